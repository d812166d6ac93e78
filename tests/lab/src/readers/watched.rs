//! The measurements of a daemon with readers: its memory, and the intervals between its notifications of the watchdog.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::net::UnixDatagram;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

use crate::figures_site::memory_of;

/// A service manager that only receives notifications.
pub(crate) struct ServiceManager {
    path: PathBuf,
    intervals: Arc<Mutex<Intervals>>,
    listening: JoinHandle<()>,
}

/// The times between two notifications of the watchdog.
#[derive(Default)]
struct Intervals {
    last: Option<Instant>,
    longest: Duration,
}

impl ServiceManager {
    pub(crate) fn listen(path: &Path) -> io::Result<Self> {
        let socket = UnixDatagram::bind(path)?;
        let intervals = Arc::<Mutex<Intervals>>::default();
        let shared = Arc::clone(&intervals);
        let listening = tokio::spawn(async move {
            let mut buffer = [0; 4096];
            while let Ok(length) = socket.recv(&mut buffer).await {
                if String::from_utf8_lossy(&buffer[..length]).contains("WATCHDOG=1") {
                    shared.lock().unwrap_or_else(PoisonError::into_inner).end_interval();
                }
            }
        });
        Ok(Self { path: path.to_owned(), intervals, listening })
    }

    /// The environment of a daemon with this service manager.
    pub(crate) fn environment(&self, watchdog: Duration) -> Vec<(&'static str, String)> {
        let path = self.path.display().to_string();
        vec![("NOTIFY_SOCKET", path), ("WATCHDOG_USEC", watchdog.as_micros().to_string())]
    }

    /// Measures from now on.
    pub(crate) fn begin(&self) {
        *self.intervals.lock().unwrap_or_else(PoisonError::into_inner) =
            Intervals { last: Some(Instant::now()), longest: Duration::ZERO };
    }

    /// The longest time without a notification since then.
    pub(crate) fn longest(&self) -> Duration {
        let mut intervals = self.intervals.lock().unwrap_or_else(PoisonError::into_inner);
        intervals.end_interval();
        intervals.longest
    }
}

impl Intervals {
    fn end_interval(&mut self) {
        let now = Instant::now();
        if let Some(last) = self.last.replace(now) {
            self.longest = self.longest.max(now - last);
        }
    }
}

impl Drop for ServiceManager {
    fn drop(&mut self) {
        self.listening.abort();
    }
}

/// Reads the memory of a process every 20 ms.
pub(crate) struct Peak {
    most: Arc<AtomicU64>,
    looking: JoinHandle<()>,
}

impl Peak {
    pub(crate) fn watch(pid: u32) -> Self {
        let most = Arc::<AtomicU64>::default();
        let seen = Arc::clone(&most);
        let looking = tokio::spawn(async move {
            while let Ok(memory) = memory_of(pid) {
                seen.fetch_max(memory.now, Ordering::Relaxed);
                sleep(Duration::from_millis(20)).await;
            }
        });
        Self { most, looking }
    }

    /// Stops; returns the most memory, in KiB.
    pub(crate) fn end(self) -> u64 {
        self.looking.abort();
        self.most.load(Ordering::Relaxed)
    }
}
