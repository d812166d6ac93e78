//! Which HAProxy process answers, and whether two looks met the same one.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::haproxy::commands::Info;

/// A process, as far as it is told from others later, also from one with its number.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Process {
    /// Its process id.
    pub pid: u32,
    /// When it started, as [`Seen::started`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started: Option<u64>,
}

impl Process {
    /// Whether both are the same. Where HAProxy does not say when it started, two estimates may differ by a little.
    pub fn is(&self, other: &Self) -> bool {
        let apart = self.started.zip(other.started).map_or(0, |(one, other)| one.abs_diff(other));
        self.pid == other.pid && apart <= ESTIMATED
    }

    /// One that is seen for the first time, `now`.
    pub fn of(info: &Info, now: Timestamp) -> Self {
        let estimate = || u64::try_from(now.as_second()).ok().map(|now| now.saturating_sub(info.uptime));
        Self { pid: info.pid, started: info.started.or_else(estimate) }
    }

    /// The same, told from the one before it, where that has been found to be another: two may have started within one
    /// second.
    #[must_use]
    pub fn after(self, before: &Self) -> Self {
        let next = before.started.filter(|_| self.is(before)).map(|started| started + ESTIMATED + 1);
        Self { started: next.or(self.started), ..self }
    }
}

/// Two estimates of one moment, of which each has whole seconds, in seconds.
const ESTIMATED: u64 = 1;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_told_from_another_of_its_number() {
        let at = |pid, started| Process { pid, started };
        assert!(at(8, Some(100)).is(&at(8, Some(101))) && at(8, None).is(&at(8, Some(100))));
        assert!(!at(8, Some(100)).is(&at(8, Some(102))) && !at(8, Some(100)).is(&at(9, Some(100))));
        // As it was stored before it was known when a process started.
        let stored: crate::farm::Overruled = serde_json::from_str(r#"{"state":"ready","pid":8}"#).unwrap();
        assert!(stored.process.is(&at(8, Some(100))) && !stored.process.is(&at(9, None)));
        let before = at(8, Some(100));
        for next in [at(8, Some(100)), at(8, Some(101)), at(8, Some(200)), at(9, Some(100))] {
            assert!(!next.after(&before).is(&before), "{next:?}");
        }
    }
}
