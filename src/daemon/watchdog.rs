//! What the watchdog is told: that everything that goes round for ever still does.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::service;
use crate::engine::{ANSWER_TAKES, Engine};

/// Tells the watchdog, where there is one, for as long as every observer and the driver go round. A daemon in which one
/// has stopped is restarted. This is a thread of its own: it waits for nothing that the daemon does.
pub(super) fn keep(engine: &Arc<Engine>) -> io::Result<()> {
    let Some(every) = service::watchdog() else { return Ok(()) };
    let pause = (every / 3).max(Duration::from_millis(100));
    let (engine, clock) = (Arc::downgrade(engine), engine.clock());
    let watch = move || {
        let mut rounds = Rounds::default();
        while let Some(progress) = engine.upgrade().map(|engine| engine.progress()) {
            match rounds.stopped(progress, clock.mark()) {
                None => service::alive(),
                Some(what) => tracing::error!("{what} has not gone on for {STOPPED:?}: the watchdog is not told"),
            }
            std::thread::sleep(pause);
        }
    };
    std::thread::Builder::new().name("watchdog".to_owned()).spawn(watch).map(drop)
}

/// How far each of them was, and since when.
#[derive(Default)]
struct Rounds(BTreeMap<String, (u64, Instant)>);

impl Rounds {
    /// One that has not gone on for too long.
    fn stopped(&mut self, progress: Vec<(String, u64)>, now: Instant) -> Option<String> {
        let mut stopped = None;
        for (what, number) in progress {
            let (before, since) = self.0.entry(what.clone()).or_insert((number, now));
            if *before != number {
                (*before, *since) = (number, now);
            } else if now.duration_since(*since) > STOPPED {
                stopped = Some(what);
            }
        }
        stopped
    }
}

/// A HAProxy that does not answer is waited for so long at most, the line before it and the pause after it included.
const STOPPED: Duration = ANSWER_TAKES.saturating_mul(3);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_has_to_go_on_whatever_the_others_do() {
        let mut rounds = Rounds::default();
        let begun = crate::platform::Clock::new().mark();
        let mut told = |one: u64, other: u64, second: u64| {
            let progress = vec![("one".to_owned(), one), ("other".to_owned(), other)];
            rounds.stopped(progress, begun + Duration::from_secs(second))
        };
        assert_eq!(told(1, 1, 0), None);
        assert_eq!(told(2, 1, 15), None);
        assert_eq!(told(3, 1, 16), Some("other".to_owned()));
        assert_eq!(told(4, 2, 17), None);
        assert_eq!(told(4, 3, 33), Some("one".to_owned()));
    }
}
