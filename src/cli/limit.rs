//! How long a command waits. If teeterd gives a time, the limit is that time plus a moment for teeterd to report the
//! result. If it gives none, such as for an unreachable HAProxy or a paused run, the command has a limit of its own.

use std::pin::Pin;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::time::Sleep;

use super::clock;

/// The limit of the current wait.
#[derive(Default)]
pub(super) struct Limit {
    now: Option<Waiting>,
}

/// One wait. It goes on while `what` stays the same.
struct Waiting {
    what: String,
    takes: Duration,
    until: Timestamp,
    over: Pin<Box<Sleep>>,
}

impl Limit {
    /// Starts a wait for `what`: `within_s` seconds according to teeterd, otherwise the command's `own` limit. The same
    /// `what` continues the current wait. Returns the end of the wait, as text.
    pub(super) fn waits(&mut self, what: String, within_s: Option<u64>, own: Duration) -> String {
        // The time is over, and teeterd has not reported a result yet.
        let within = within_s.filter(|seconds| *seconds > 0).map(Duration::from_secs);
        let what = format!("{what} {}", within.is_some());
        let same = self.now.take().filter(|now| now.what == what && (within.is_none() || !now.is_extended(within)));
        let now = self.now.insert(same.unwrap_or_else(|| Waiting::new(what, within, own)));
        format!("until {} at most", clock::local(now.until))
    }

    /// Ends the wait.
    pub(super) fn none(&mut self) {
        self.now = None;
    }

    /// Returns when the wait has taken too long, with its length.
    pub(super) async fn passed(&mut self) -> Duration {
        match &mut self.now {
            Some(now) => {
                now.over.as_mut().await;
                now.takes
            }
            None => std::future::pending().await,
        }
    }
}

impl Waiting {
    fn new(what: String, within: Option<Duration>, own: Duration) -> Self {
        let takes = within.map_or(own, |within| within + LATE);
        let shown = SignedDuration::try_from(within.unwrap_or(own)).unwrap_or(SignedDuration::MAX);
        let until = clock::now().checked_add(shown).unwrap_or(Timestamp::MAX);
        Self { what, takes, until, over: Box::pin(tokio::time::sleep(takes)) }
    }

    /// Whether teeterd now gives more time than before.
    fn is_extended(&self, within: Option<Duration>) -> bool {
        let left = SignedDuration::try_from(within.unwrap_or_default()).unwrap_or(SignedDuration::MAX);
        clock::now().checked_add(left).is_ok_and(|until| until > self.until + A_MOMENT)
    }
}

/// The limit if teeterd gives no time.
pub(super) const OWN: Duration = Duration::from_secs(600);

/// The limit while a run is paused, or waits for an operator.
pub(super) const PAUSED: Duration = Duration::from_secs(24 * 3600);

/// The time for teeterd to report the result after the given time is over.
const LATE: Duration = Duration::from_secs(60);

/// An extension smaller than this is rounding or the time of an answer.
const A_MOMENT: SignedDuration = SignedDuration::from_secs(3);

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_wait_ends_once_and_goes_on_if_it_gets_more_time() {
        let mut limit = Limit::default();
        let first = limit.waits("drain".to_owned(), Some(30), OWN);
        assert_eq!(limit.waits("drain".to_owned(), Some(30), OWN), first);
        assert_eq!(limit.passed().await, Duration::from_secs(90));
        limit.waits("drain".to_owned(), Some(3600), OWN);
        assert_eq!(limit.passed().await, Duration::from_secs(3660));
    }

    #[tokio::test(start_paused = true)]
    async fn a_wait_without_a_time_has_the_limit_of_the_command() {
        let mut limit = Limit::default();
        // First the given time, then, without a result, the limit of the command.
        limit.waits("verification".to_owned(), Some(5), OWN);
        limit.waits("verification".to_owned(), Some(0), OWN);
        assert_eq!(limit.passed().await, OWN);
        limit.waits("paused".to_owned(), None, PAUSED);
        assert_eq!(limit.passed().await, PAUSED);
        limit.none();
        let waits = tokio::time::timeout(PAUSED * 2, limit.passed()).await;
        assert!(waits.is_err());
    }
}
