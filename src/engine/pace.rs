//! How often to look: fast when the answer may come any moment, slow when it is far, hardly when nobody waits.

use std::time::Duration;

/// What is being waited for in one HAProxy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Waiting {
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
pub(super) fn pace(waiting: Waiting, took: Duration) -> Duration {
    let millis = match waiting {
        Waiting::Answer(tries) => 50 << tries.min(4),
        Waiting::AfterRefusal => 1000,
        Waiting::Reload => 8,
        // The second sample after an empty one.
        Waiting::Drain { in_flight: 0, unchanged: ..=4 } => 12,
        // Nothing is in flight, but something is waited for all the same: a grace, idle connections, a retry's time.
        Waiting::Drain { in_flight: 0, unchanged } => 25 + 25 * u64::from(unchanged.saturating_sub(5).min(3)),
        // Near the end: requests of a second or two are met within a few milliseconds of their end, while a session
        // that stays for an hour is not worth fifty looks a second.
        Waiting::Drain { in_flight: 1..=8, unchanged } => 20 + 5 * u64::from(unchanged.saturating_sub(100).min(20)),
        // A crowd of short requests is gone a moment later; one that stays is looked at less and less often.
        Waiting::Drain { unchanged, .. } => 25 + 25 * u64::from(unchanged.min(7)),
        Waiting::Checks => 50,
        Waiting::Held => 200,
        Waiting::Nothing => 1000,
    };
    let pause = Duration::from_millis(millis);
    if matches!(waiting, Waiting::Drain { .. }) { pause.max((took * 4).min(RARELY)) } else { pause }
}

/// However long looks take, a deadline of some seconds must be kept.
const RARELY: Duration = Duration::from_secs(1);
