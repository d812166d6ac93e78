//! How long a command waits. Where teeterd has set a time it is that, and a moment more for teeterd to say what became of
//! it. Where there is none, for a HAProxy that is away or somebody's `teeter resume`, the command has a limit of its own.

use std::pin::Pin;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use tokio::time::Sleep;

use super::clock;

/// The time that something is waited for.
#[derive(Default)]
pub(super) struct Limit {
    now: Option<Waiting>,
}

/// What is waited for now. It is the same while `what` is.
struct Waiting {
    what: String,
    takes: Duration,
    until: Timestamp,
    over: Pin<Box<Sleep>>,
}

impl Limit {
    /// Something is waited for, within so many seconds by what teeterd says, or for as long as this command waits where
    /// it says nothing. The same `what` again does not begin anew. Says until when, for people.
    pub(super) fn waits(&mut self, what: String, within_s: Option<u64>, own: Duration) -> String {
        // Its time is over and nothing has come of it yet.
        let within = within_s.filter(|seconds| *seconds > 0).map(Duration::from_secs);
        let what = format!("{what} {}", within.is_some());
        let same = self.now.take().filter(|now| now.what == what && (within.is_none() || !now.is_extended(within)));
        let now = self.now.insert(same.unwrap_or_else(|| Waiting::new(what, within, own)));
        format!("until {} at most", clock::local(now.until))
    }

    /// Nothing is waited for that could take too long.
    pub(super) fn none(&mut self) {
        self.now = None;
    }

    /// Ends when that has taken too long, with how long it took.
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

    /// Whether teeterd gives it more time than it did.
    fn is_extended(&self, within: Option<Duration>) -> bool {
        let left = SignedDuration::try_from(within.unwrap_or_default()).unwrap_or(SignedDuration::MAX);
        clock::now().checked_add(left).is_ok_and(|until| until > self.until + A_MOMENT)
    }
}

/// How long a command waits for what teeterd gives no time.
pub(super) const OWN: Duration = Duration::from_secs(600);

/// How long it waits until a paused run is resumed.
pub(super) const PAUSED: Duration = Duration::from_secs(24 * 3600);

/// From the end of a time until teeterd has said what became of it.
const LATE: Duration = Duration::from_secs(60);

/// A second is cut off, and an answer takes its time.
const A_MOMENT: SignedDuration = SignedDuration::from_secs(3);

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_same_wait_ends_once_and_a_wait_that_is_given_more_time_goes_on() {
        let mut limit = Limit::default();
        let first = limit.waits("drain".to_owned(), Some(30), OWN);
        assert_eq!(limit.waits("drain".to_owned(), Some(30), OWN), first);
        assert_eq!(limit.passed().await, Duration::from_secs(90));
        limit.waits("drain".to_owned(), Some(3600), OWN);
        assert_eq!(limit.passed().await, Duration::from_secs(3660));
    }

    #[tokio::test(start_paused = true)]
    async fn what_has_no_time_has_that_of_the_command() {
        let mut limit = Limit::default();
        // First its own time, then, when nothing came of it, the command's.
        limit.waits("proof".to_owned(), Some(5), OWN);
        limit.waits("proof".to_owned(), Some(0), OWN);
        assert_eq!(limit.passed().await, OWN);
        limit.waits("paused".to_owned(), None, PAUSED);
        assert_eq!(limit.passed().await, PAUSED);
        limit.none();
        let waits = tokio::time::timeout(PAUSED * 2, limit.passed()).await;
        assert!(waits.is_err());
    }
}
