//! The time between two looks: short if the awaited change may come at any moment, and long if nothing is awaited.

use std::time::Duration;

use super::order::Draining;

/// What the observer of one HAProxy waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PollReason {
    /// HAProxy does not answer; the number of failed looks in a row.
    Answer(u32),
    /// HAProxy refused a command, and would refuse it again at once.
    AfterRefusal,
    /// A new process, after a reload has begun.
    Reload,
    /// Servers drain: the requests in flight, and for how many looks in a row that number has not changed.
    Drain { in_flight: u64, unchanged: u32 },
    /// Checks to pass.
    Checks,
    /// Servers are held: the end of the process, or a change made outside teeter.
    Held,
    /// Nothing.
    Nothing,
}

/// Counts for how many looks in a row the requests in flight on the draining servers have not changed.
///
/// The count begins anew with each change of what drains: the next drain, and the next step of a drain ladder, may be
/// over within milliseconds, however long the one before took.
#[derive(Debug, Default)]
pub(super) struct UnchangedLooks {
    draining: Vec<Draining>,
    in_flight: u64,
    looks: u32,
}

impl UnchangedLooks {
    /// Adds a look that has found `in_flight` requests on the servers that drain.
    pub(super) fn add(&mut self, draining: &[Draining], in_flight: u64) -> PollReason {
        if self.draining != draining {
            *self = Self { draining: draining.to_vec(), in_flight, looks: 0 };
        } else if self.in_flight == in_flight {
            self.looks = self.looks.saturating_add(1);
        } else {
            (self.in_flight, self.looks) = (in_flight, 0);
        }
        PollReason::Drain { in_flight, unchanged: self.looks }
    }

    /// Nothing drains.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }
}

/// The time until the next look.
///
/// `took` is how long the last look took: a drain keeps HAProxy busy for a fifth of the time at most.
pub(super) fn pace(reason: PollReason, took: Duration) -> Duration {
    let millis = match reason {
        PollReason::Answer(tries) => 50 << tries.min(4),
        PollReason::AfterRefusal => 1000,
        PollReason::Reload => 8,
        // The second sample after an empty one.
        PollReason::Drain { in_flight: 0, unchanged: ..=4 } => 12,
        // Nothing is in flight, but the drain goes on: it waits for a grace, idle connections or the time of a retry.
        PollReason::Drain { in_flight: 0, unchanged } => 25 + 25 * u64::from(unchanged.saturating_sub(5).min(3)),
        // Few requests: the end of one that takes a second or two is seen within some milliseconds. A session that
        // lasts an hour does not need fifty looks a second.
        PollReason::Drain { in_flight: 1..=8, unchanged } => 20 + 5 * u64::from(unchanged.saturating_sub(100).min(20)),
        // Many requests: short ones end soon; if their number does not change, the looks become rarer.
        PollReason::Drain { unchanged, .. } => 25 + 25 * u64::from(unchanged.min(7)),
        PollReason::Checks => 50,
        PollReason::Held => 200,
        PollReason::Nothing => 1000,
    };
    let pause = Duration::from_millis(millis);
    match reason {
        // A look may take long because the machine is busy. The few looks that confirm an empty server are not delayed.
        PollReason::Drain { in_flight: 0, unchanged: ..=2 } => pause,
        PollReason::Drain { .. } => pause.max((took * 4).min(RARELY)),
        _ => pause,
    }
}

/// The longest pause, even if looks take long: drains have deadlines of some seconds.
const RARELY: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn draining(last: bool) -> Vec<Draining> {
        let servers = BTreeSet::from(["app/web01".parse().unwrap()]);
        vec![Draining { servers, last, sticks: false, idle: false }]
    }

    #[test]
    fn each_drain_and_each_step_of_its_ladder_begins_with_fast_looks() {
        let mut unchanged = UnchangedLooks::default();
        let looked = |unchanged: &mut UnchangedLooks, last| pace(unchanged.add(&draining(last), 0), Duration::ZERO);
        let first = looked(&mut unchanged, false);
        for _ in 0..20 {
            let _ = looked(&mut unchanged, false);
        }
        assert!(looked(&mut unchanged, false) > first);
        assert_eq!(looked(&mut unchanged, true), first);
        for _ in 0..20 {
            let _ = looked(&mut unchanged, true);
        }
        unchanged.clear();
        assert_eq!(looked(&mut unchanged, true), first);
    }
}
