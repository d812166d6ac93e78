//! Notifies systemd's watchdog while every loop of the daemon makes progress.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::service;
use crate::engine::{ANSWER_TAKES, Engine};

/// Notifies the watchdog, if there is one, while every observer and the driver make progress. If one of these loops
/// stops, systemd restarts the daemon. Runs on its own thread, which waits for no other part of the daemon.
pub(super) fn keep(engine: &Arc<Engine>) -> io::Result<()> {
    let Some(every) = service::watchdog() else { return Ok(()) };
    let pause = (every / 3).max(Duration::from_millis(100));
    let (engine, clock) = (Arc::downgrade(engine), engine.clock());
    let watch = move || {
        let mut rounds = Rounds::default();
        while let Some(progress) = engine.upgrade().map(|engine| engine.progress()) {
            match rounds.stopped(progress, clock.mark()) {
                None => service::alive(),
                Some(name) => {
                    tracing::error!("{name} has made no progress for {STOPPED:?}: the watchdog is not notified");
                }
            }
            std::thread::sleep(pause);
        }
    };
    std::thread::Builder::new().name("watchdog".to_owned()).spawn(watch).map(drop)
}

/// The last progress of each loop, and its time.
#[derive(Default)]
struct Rounds(BTreeMap<String, (u64, Instant)>);

impl Rounds {
    /// A loop that has made no progress for too long.
    fn stopped(&mut self, progress: Vec<(String, u64)>, now: Instant) -> Option<String> {
        let mut stopped = None;
        for (name, number) in progress {
            let (before, since) = self.0.entry(name.clone()).or_insert((number, now));
            if *before != number {
                (*before, *since) = (number, now);
            } else if now.duration_since(*since) > STOPPED {
                stopped = Some(name);
            }
        }
        stopped
    }
}

/// The longest wait of a loop for a HAProxy that does not answer, including the line before it and the pause after it.
const STOPPED: Duration = ANSWER_TAKES.saturating_mul(3);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_loop_must_make_progress_by_itself() {
        let mut rounds = Rounds::default();
        let start = crate::platform::Clock::new().mark();
        let mut stopped = |edge: u64, driver: u64, second: u64| {
            let progress = vec![("edge".to_owned(), edge), ("driver".to_owned(), driver)];
            rounds.stopped(progress, start + Duration::from_secs(second))
        };
        assert_eq!(stopped(1, 1, 0), None);
        assert_eq!(stopped(2, 1, 15), None);
        assert_eq!(stopped(3, 1, 16), Some("driver".to_owned()));
        assert_eq!(stopped(4, 2, 17), None);
        assert_eq!(stopped(4, 3, 33), Some("edge".to_owned()));
    }
}
