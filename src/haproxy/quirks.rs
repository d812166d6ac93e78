//! The differences between versions of HAProxy that concern teeter, each with a name.
//!
//! The version is not known before the first reply, and packages have patches of other versions. So code recognises a
//! quirk in the bytes of a reply, not by the version, and a comment names the quirk. Tests check this list against the
//! recorded transcripts (`tests/transcripts`, one directory for each series). Callers read in it which functions a
//! version lacks.

use std::fmt;
use std::str::FromStr;

use nom::bytes::complete::tag;
use nom::character::complete::u16 as number;
use nom::sequence::separated_pair;
use nom::{IResult, Parser};

/// The series that a HAProxy belongs to: `2.6` of `2.6.12-1+deb12u4`, `3.5` of `3.5-dev5`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Series {
    /// The first number of the version.
    pub major: u16,
    /// The second number of the version.
    pub minor: u16,
}

impl FromStr for Series {
    type Err = ();

    fn from_str(version: &str) -> Result<Self, ()> {
        series(version).map(|(_, series)| series).map_err(|_| ())
    }
}

impl fmt::Display for Series {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

/// A behaviour that some versions have and others do not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Quirk {
    /// Up to 3.1, interactive mode prints its prompt after each reply. From 3.2 on, empty lines separate the replies to
    /// one line, and the prompt comes once, at the end. `codec.rs` recognises it in the first bytes. (Changed by
    /// 20ec1de21, 3.2-dev12; management guide 9.3, `prompt`.)
    PromptAfterEachReply,
    /// Up to 2.9, some messages, such as the one for a weight that is not a number, have no newline at their end, so no
    /// empty line follows. Harmless before a prompt: a version that prints one prompt for all replies does not have
    /// this quirk, and `codec.rs` looks for no empty lines where prompts are printed. (Fixed by 6219a58d2, 3.0-dev3.)
    MessagesLackNewline,
    /// Up to 2.5 there is no `show version`. `show info` has the version on all series, and teeter reads it there.
    NoShowVersion,
    /// Up to 2.2, a row of `show servers state` ends with `srvrecord`; later versions have columns for TLS and for the
    /// ports of checks. Columns are found by name (`table.rs`).
    ShortStateRows,
    /// Up to 3.2, neither `show stat` nor `show servers conn` has the column `served`, which counts a request from the
    /// choice of its server on. Columns are found by name, and this one is optional.
    NoServedCounter,
    /// Up to 2.3 a map cannot be replaced in a transaction: there is no `prepare map`, and `@N` is read as the name of
    /// a map.
    NoMapTransactions,
    /// Up to 2.4, the master's `show proc` has a column of relative numbers between type and reloads.
    RelativePids,
    /// Up to 2.4, a worker that a reload has replaced prints the header of `show stat` without a row, while it still
    /// lists its sessions and connections: `reconcile/old_workers.rs` counts sessions then. (Changed by 07954fb06,
    /// 2.5-dev2.)
    LeavingWorkerHasNoCounters,
    /// Up to 2.4, every worker of a master lists the processes among its servers, in `show servers state` and `show
    /// servers conn`: `cur-1` and `old-PID` of a backend MASTER, which `show stat` does not have. `reconcile/look.rs`
    /// drops them. (Fixed by a39e6266d, 2.5-dev5.)
    ProcessesAmongServers,
    /// From 2.6 on, `ssl` on a `stats socket` line is accepted and then ignored: the socket speaks plain text with
    /// every client, whatever `verify` says. TLS needs a `listen` section in front of the socket, as in
    /// docs/haproxy.md; `tests/it/haproxy/socket_kinds.rs` tries both. (Since 2071a99df, 2.6-dev11, which sets up TLS
    /// after a listener's line was read, and for `bind` lines only.)
    StatsSocketWithoutTls,
    /// From 3.4 on, `show sess ID` has no `total=` on the lines of the channels (`req=`, `res=`). The bytes are on the
    /// lines of the ends, as `in=` and `out=` of `scf=` and `scb=`. `commands/sessions.rs` reads either.
    SessionBytesAtTheEnds,
}

impl Quirk {
    /// All quirks.
    pub const ALL: [Self; 11] = [
        Self::PromptAfterEachReply,
        Self::MessagesLackNewline,
        Self::NoShowVersion,
        Self::ShortStateRows,
        Self::NoServedCounter,
        Self::NoMapTransactions,
        Self::RelativePids,
        Self::LeavingWorkerHasNoCounters,
        Self::ProcessesAmongServers,
        Self::StatsSocketWithoutTls,
        Self::SessionBytesAtTheEnds,
    ];

    /// Whether the releases of this series have the quirk.
    pub fn is_in(self, series: Series) -> bool {
        let (first, last) = self.versions();
        (first..=last).contains(&(series.major, series.minor))
    }

    /// The first and the last series that have the quirk.
    fn versions(self) -> ((u16, u16), (u16, u16)) {
        let up_to = |major, minor| ((0, 0), (major, minor));
        match self {
            Self::PromptAfterEachReply => up_to(3, 1),
            Self::MessagesLackNewline => up_to(2, 9),
            Self::NoShowVersion => up_to(2, 5),
            Self::ShortStateRows => up_to(2, 2),
            Self::NoServedCounter => up_to(3, 2),
            Self::NoMapTransactions => up_to(2, 3),
            Self::RelativePids | Self::LeavingWorkerHasNoCounters | Self::ProcessesAmongServers => up_to(2, 4),
            // 3.5-dev5, the newest version that was tried, still has this quirk.
            Self::StatsSocketWithoutTls => ((2, 6), (u16::MAX, u16::MAX)),
            // 3.3 was not tried.
            Self::SessionBytesAtTheEnds => ((3, 4), (u16::MAX, u16::MAX)),
        }
    }
}

fn series(version: &str) -> IResult<&str, Series> {
    separated_pair(number, tag("."), number).map(|(major, minor)| Series { major, minor }).parse(version)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_version_belongs_to_a_series() {
        for (version, expected) in [
            ("2.6.12-1+deb12u4", "2.6"),
            ("3.5-dev5-50872d-6", "3.5"),
            ("3.5-dev5", "3.5"),
            ("3.4-dev7-abc123", "3.4"),
            ("3.4.7-1", "3.4"),
            ("3.10.0", "3.10"),
        ] {
            assert_eq!(version.parse::<Series>().unwrap().to_string(), expected);
        }
        for version in ["", "3", "three.two", "99999999.1"] {
            assert!(version.parse::<Series>().is_err(), "{version:?}");
        }
    }

    #[test]
    fn a_series_is_not_compared_as_a_decimal_fraction() {
        let later: Series = "3.10.1".parse().unwrap();
        assert!(!Quirk::PromptAfterEachReply.is_in(later));
        assert!(Quirk::PromptAfterEachReply.is_in("3.1.0".parse().unwrap()));
    }
}
