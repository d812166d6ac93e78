//! Work whose result answers every request that arrived before it began.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::platform::Clock;

/// One piece of work at a time; its result answers every request that arrived before it began.
#[derive(Debug)]
pub(super) struct Shared<T> {
    clock: Clock,
    /// The number of requests.
    asked: AtomicU64,
    /// The number of requests that were answered or dropped.
    left: AtomicU64,
    last: Mutex<Last<T>>,
}

#[derive(Debug)]
struct Last<T> {
    /// The requests with smaller numbers arrived before the work began.
    before: u64,
    result: Option<Arc<T>>,
    rests_until: Option<Instant>,
}

impl<T> Shared<T> {
    pub(super) fn new(clock: Clock) -> Self {
        let last = Last { before: 0, result: None, rests_until: None };
        Self { clock, asked: AtomicU64::new(0), left: AtomicU64::new(0), last: Mutex::new(last) }
    }

    /// The result of work that begins after this call. At least half of the time no work is done.
    pub(super) async fn get(&self, work: impl AsyncFnOnce() -> T) -> Arc<T> {
        let number = self.asked.fetch_add(1, Ordering::SeqCst);
        let _leaves = Leaves(&self.left);
        let mut last = self.last.lock().await;
        if let Some(result) = last.result.as_ref().filter(|_| number < last.before) {
            let result = Arc::clone(result);
            if self.left.load(Ordering::SeqCst) + 1 >= self.asked.load(Ordering::SeqCst) {
                // No other request waits for this result.
                last.result = None;
            }
            return result;
        }
        if let Some(until) = last.rests_until {
            tokio::time::sleep_until(until).await;
        }
        let (before, began) = (self.asked.load(Ordering::SeqCst), self.clock.mark());
        let result = Arc::new(work().await);
        let others = before > number + 1;
        let rests_until = Some(self.clock.mark() + began.elapsed().min(REST));
        *last = Last { before, result: others.then(|| Arc::clone(&result)), rests_until };
        result
    }
}

/// Counts a request as left when it is dropped.
struct Leaves<'a>(&'a AtomicU64);

impl Drop for Leaves<'_> {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

/// The longest pause between two pieces of work.
const REST: Duration = Duration::from_millis(500);

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;
    use tokio::sync::Semaphore;

    use super::*;

    #[tokio::test]
    async fn requests_during_work_share_the_result_of_the_next_work_and_the_result_is_then_dropped() {
        let (shared, goes_on, done) = (Shared::new(Clock::new()), Semaphore::new(0), AtomicU64::new(0));
        let ask = || {
            let work = async || {
                goes_on.acquire().await.expect("it is open").forget();
                done.fetch_add(1, Ordering::SeqCst)
            };
            shared.get(work).boxed_local()
        };
        let mut all: Vec<_> = (0..10).map(|_| ask()).collect();
        assert!(all.iter_mut().all(|asked| asked.now_or_never().is_none()));
        goes_on.add_permits(1);
        assert_eq!(*all.remove(0).await, 0);
        // A waiting request is dropped.
        drop(all.pop());
        goes_on.add_permits(1);
        assert!(futures_util::future::join_all(all).await.iter().all(|result| **result == 1));
        assert!(shared.last.lock().await.result.is_none());
        goes_on.add_permits(1);
        assert_eq!(*ask().await, 2);
    }
}
