//! How often to look: fast when the answer may come any moment, slow when it is far, seldom when nothing is waited for.

use std::time::Duration;

/// What is being waited for in one HAProxy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PollReason {
    /// HAProxy does not answer; so many tries in a row.
    Answer(u32),
    /// HAProxy said no; trying again at once would be the same.
    AfterRefusal,
    /// A new process, after a reload has begun.
    Reload,
    /// Servers to empty: so much is in flight, unchanged in so many looks.
    Drain { in_flight: u64, unchanged: u32 },
    /// Checks to pass.
    Checks,
    /// A process to go away, or drift, while servers are held.
    Held,
    /// Nothing.
    Nothing,
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
