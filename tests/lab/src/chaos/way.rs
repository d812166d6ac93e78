//! The ways to deploy and to flip that faults are tested with.

use crate::sample::Sample;

/// A strategy on a farm.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Way {
    /// Its name in the report.
    pub name: &'static str,
    pub(crate) sample: Sample,
    pub(crate) farm: &'static str,
    /// The arguments of `teeter`, without version and hook.
    pub(crate) command: &'static [&'static str],
    /// Whether it only switches the traffic and has no work.
    pub(crate) flips: bool,
    /// Whether new requests reach one version only: it switches a route and gives no group a share.
    pub(crate) exact: bool,
    /// Whether the side without traffic is on standby at the end.
    pub(crate) standby: bool,
}

const PLAIN: Way = Way {
    name: "see-saw",
    sample: Sample::Servers,
    farm: "web",
    command: &["deploy", "web"],
    flips: false,
    exact: false,
    standby: false,
};

impl Way {
    /// Every way.
    pub const ALL: [Self; 8] = [
        PLAIN,
        Self { name: "see-saw-route", sample: Sample::Route, exact: true, ..PLAIN },
        Self {
            name: "rolling",
            command: &["deploy", "web", "--strategy", "rolling", "--batch", "2", "--settle", "0s"],
            ..PLAIN
        },
        Self {
            name: "blue-green",
            sample: Sample::BlueGreen,
            farm: "shop",
            command: &["deploy", "shop", "--strategy", "blue-green"],
            exact: true,
            standby: true,
            ..PLAIN
        },
        Self {
            name: "canary",
            command: &["deploy", "web", "--strategy", "canary", "--steps", "20%", "--pause", "300ms"],
            ..PLAIN
        },
        Self {
            name: "canary-route",
            sample: Sample::Canary,
            command: &["deploy", "web", "--strategy", "canary", "--steps", "20%", "--pause", "300ms"],
            ..PLAIN
        },
        Self { name: "flip", command: &["flip", "web", "b"], flips: true, standby: true, ..PLAIN },
        Self {
            name: "flip-route",
            sample: Sample::Route,
            command: &["flip", "web", "b"],
            flips: true,
            standby: true,
            ..PLAIN
        },
    ];

    /// Whether an entry of a map decides which side gets the traffic.
    pub(crate) fn routed(&self) -> bool {
        self.sample.map().is_some()
    }

    /// The texts that are replaced in the sample's teeter.toml, so that no case waits for minutes.
    pub(crate) fn edits(&self) -> Vec<(&'static str, &'static str)> {
        let mut edits = vec![("deadline = \"60s\"", "deadline = \"20s\"")];
        match self.sample {
            Sample::Servers => edits.push(("grace = \"30s\"", "grace = \"1s\"")),
            Sample::Canary => edits.push(("for = \"60s\"", "for = \"500ms\"")),
            _ => {}
        }
        edits
    }
}
