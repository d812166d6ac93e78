//! How often to look: fast when the answer may come any moment, slow when it is far, seldom when nothing is waited for.

use std::time::Duration;

use super::order::Draining;

/// What is being waited for in one HAProxy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PollReason {
    /// HAProxy does not answer; so many tries in a row.
    Answer(u32),
    /// HAProxy said no; trying again at once would be the same.
    AfterRefusal,
    /// A new process, after a reload has begun.
    Reload,
    /// Servers to empty: so much is in flight, and so many looks in a row have not seen another number.
    Drain { in_flight: u64, unchanged: u32 },
    /// Checks to pass.
    Checks,
    /// A process to go away, or drift, while servers are held.
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
    /// Adds a look that has seen so many requests in flight on the servers that drain.
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
/// `took` is how long the last look took: HAProxy is not kept busy for more than a fifth of the time by somebody who
/// waits until servers are empty.
pub(super) fn pace(waiting: PollReason, took: Duration) -> Duration {
    let millis = match waiting {
        PollReason::Answer(tries) => 50 << tries.min(4),
        PollReason::AfterRefusal => 1000,
        PollReason::Reload => 8,
        // The second sample after an empty one.
        PollReason::Drain { in_flight: 0, unchanged: ..=4 } => 12,
        // Nothing is in flight, but something is waited for all the same: a grace, idle connections, a retry's time.
        PollReason::Drain { in_flight: 0, unchanged } => 25 + 25 * u64::from(unchanged.saturating_sub(5).min(3)),
        // Near the end: requests of a second or two are met within a few milliseconds of their end, while a session
        // that stays for an hour is not worth fifty looks a second.
        PollReason::Drain { in_flight: 1..=8, unchanged } => 20 + 5 * u64::from(unchanged.saturating_sub(100).min(20)),
        // A crowd of short requests is gone a moment later; one that stays is looked at less and less often.
        PollReason::Drain { unchanged, .. } => 25 + 25 * u64::from(unchanged.min(7)),
        PollReason::Checks => 50,
        PollReason::Held => 200,
        PollReason::Nothing => 1000,
    };
    let pause = Duration::from_millis(millis);
    match waiting {
        // A look may take long because the machine is busy. The few that confirm that servers are empty go on at once.
        PollReason::Drain { in_flight: 0, unchanged: ..=2 } => pause,
        PollReason::Drain { .. } => pause.max((took * 4).min(RARELY)),
        _ => pause,
    }
}

/// However long looks take, a deadline of some seconds must be kept.
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
