//! Where versions of HAProxy differ in what concerns teeter: each difference by name.
//!
//! The version is not known before the first reply, and packages carry patches of other versions. So nothing here is
//! asked before a reply is read: the code that meets a quirk recognises it in the bytes, and says so. The list is what
//! the recorded transcripts are checked against (`tests/transcripts`, one directory a series), and what tells a caller
//! beforehand what a version cannot do.

use std::fmt;
use std::str::FromStr;

use nom::bytes::complete::tag;
use nom::character::complete::u16 as number;
use nom::sequence::separated_pair;
use nom::{IResult, Parser};

/// The series that a HAProxy belongs to: `2.6` of `2.6.12-1+deb12u4`, `3.5` of `3.5-dev5`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Series {
    /// The first number.
    pub major: u16,
    /// The second.
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

/// Something that one version does and another does not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Quirk {
    /// Up to 3.1, interactive mode prints its prompt after each reply; from 3.2 on, replies on one line are parted by
    /// empty lines and the prompt comes once, at the end. `codec.rs` sees it in the first bytes. (Changed by 20ec1de21,
    /// 3.2-dev12; management guide 9.3, `prompt`.)
    PromptAfterEachReply,
    /// Up to 2.9, some messages, such as that for a weight which is no number, end without a newline of their own, so
    /// that no empty line follows. Harmless behind a prompt: a version that prints one prompt for all has it no more,
    /// and `codec.rs` never looks for empty lines where prompts are printed. (Mended by 6219a58d2, 3.0-dev3.)
    MessagesLackNewline,
    /// Up to 2.5 there is no `show version`; the version stands in `show info`, where teeter reads it on all.
    NoShowVersion,
    /// Up to 2.2, a row of `show servers state` ends with `srvrecord`; later ones tell of TLS and of the ports of
    /// checks. Columns are found by name (`table.rs`).
    ShortStateRows,
    /// Up to 3.2, neither `show stat` nor `show servers conn` has the column `served`, which counts requests from the
    /// choice of the server on. Columns are found by name, and this one is optional.
    NoServedCounter,
    /// Up to 2.3 a map cannot be replaced in a transaction: there is no `prepare map`, and `@N` is taken for the name of
    /// a map.
    NoMapTransactions,
    /// Up to 2.4, the master's `show proc` has a column of relative numbers between type and reloads.
    RelativePids,
    /// Up to 2.4, a worker that a reload has replaced prints the header of `show stat` and no row, while it still lists
    /// its sessions and its connections: `reconcile/old_workers.rs` counts sessions then. (Changed by 07954fb06, 2.5-dev2.)
    LeavingWorkerHasNoCounters,
    /// Up to 2.4, every worker of a master has the processes among its servers, in `show servers state` and `show servers
    /// conn`: `cur-1` and `old-PID` of a backend MASTER, which `show stat` does not know. `reconcile/look.rs` leaves them
    /// out. (Mended by a39e6266d, 2.5-dev5.)
    ProcessesAmongServers,
    /// From 2.6 on, `ssl` on a `stats socket` line is taken and then forgotten: the socket speaks plain text, to
    /// everybody, whatever `verify` says. TLS needs a `listen` section in front of the socket, as docs/haproxy.md has
    /// it; `tests/it/sockets.rs` tries both. (Since 2071a99df, 2.6-dev11, which puts TLS on a listener after its line
    /// has been read, and for `bind` lines only.)
    StatsSocketWithoutTls,
    /// From 3.4 on, `show sess ID` no longer has `total=` on the lines of the channels (`req=`, `res=`); what went through
    /// stands on the lines of the ends, as `in=` and `out=` of `scf=` and `scb=`. `commands/sessions.rs` reads either.
    SessionBytesAtTheEnds,
}

impl Quirk {
    /// All of them.
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

    /// Whether releases of this series have it.
    pub fn is_in(self, series: Series) -> bool {
        let (first, last) = self.versions();
        (first..=last).contains(&(series.major, series.minor))
    }

    /// The first and the last series that have it.
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
            // Still so in 3.5-dev5, the newest that was looked at.
            Self::StatsSocketWithoutTls => ((2, 6), (u16::MAX, u16::MAX)),
            // 3.3 was not looked at.
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
    fn a_series_is_no_decimal_fraction() {
        let later: Series = "3.10.1".parse().unwrap();
        assert!(!Quirk::PromptAfterEachReply.is_in(later));
        assert!(Quirk::PromptAfterEachReply.is_in("3.1.0".parse().unwrap()));
    }
}
