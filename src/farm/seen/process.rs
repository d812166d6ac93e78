//! The identity of a HAProxy process. It distinguishes a process from a later one with the same process id.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::haproxy::commands::Info;

/// The identity of a HAProxy process. A process id may be used again, so the start time is part of the identity.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Process {
    /// The process id.
    pub pid: u32,
    /// When the process started: see `Seen::started`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started: Option<u64>,
}

impl Process {
    /// Whether both are the same process. Where HAProxy does not report its start, two estimates may differ by a
    /// second.
    pub fn is_same(&self, other: &Self) -> bool {
        let apart = self.started.zip(other.started).map_or(0, |(one, other)| one.abs_diff(other));
        self.pid == other.pid && apart <= ESTIMATED
    }

    /// The identity of a process at its first look, at the time `now`.
    pub fn first_seen(info: &Info, now: Timestamp) -> Self {
        let estimate = || u64::try_from(now.as_second()).ok().map(|now| now.saturating_sub(info.uptime));
        Self { pid: info.pid, started: info.started.or_else(estimate) }
    }

    /// The identity of the process that follows `before`. Two processes may start within one second with the same
    /// process id: the start time is then moved, so that the two differ.
    #[must_use]
    pub fn following(self, before: &Self) -> Self {
        let next = before.started.filter(|_| self.is_same(before)).map(|started| started + ESTIMATED + 1);
        Self { started: next.or(self.started), ..self }
    }
}

/// The greatest difference between two estimates of one start, in seconds: each estimate is in whole seconds.
const ESTIMATED: u64 = 1;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn processes_with_one_process_id_differ_by_their_start() {
        let at = |pid, started| Process { pid, started };
        assert!(at(8, Some(100)).is_same(&at(8, Some(101))) && at(8, None).is_same(&at(8, Some(100))));
        assert!(!at(8, Some(100)).is_same(&at(8, Some(102))) && !at(8, Some(100)).is_same(&at(9, Some(100))));
        // A stored record without the start of a process.
        let stored: crate::farm::Overruled = serde_json::from_str(r#"{"state":"ready","pid":8}"#).unwrap();
        assert!(stored.process.is_same(&at(8, Some(100))) && !stored.process.is_same(&at(9, None)));
        let before = at(8, Some(100));
        for next in [at(8, Some(100)), at(8, Some(101)), at(8, Some(200)), at(9, Some(100))] {
            assert!(!next.following(&before).is_same(&before), "{next:?}");
        }
    }
}
