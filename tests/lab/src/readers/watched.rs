//! What is measured of a daemon while others ask it: its memory, and how regularly it tells its watchdog that it goes on.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::net::UnixDatagram;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

use crate::figures_site::memory_of;

/// A service manager that only listens.
pub(crate) struct Notified {
    path: PathBuf,
    told: Arc<Mutex<Told>>,
    listening: JoinHandle<()>,
}

#[derive(Default)]
struct Told {
    last: Option<Instant>,
    longest: Duration,
}

impl Notified {
    pub(crate) fn listen(path: &Path) -> io::Result<Self> {
        let socket = UnixDatagram::bind(path)?;
        let told = Arc::<Mutex<Told>>::default();
        let heard = Arc::clone(&told);
        let listening = tokio::spawn(async move {
            let mut buffer = [0; 4096];
            while let Ok(length) = socket.recv(&mut buffer).await {
                if String::from_utf8_lossy(&buffer[..length]).contains("WATCHDOG=1") {
                    heard.lock().unwrap_or_else(PoisonError::into_inner).tell();
                }
            }
        });
        Ok(Self { path: path.to_owned(), told, listening })
    }

    /// What a daemon is told of it.
    pub(crate) fn environment(&self, watchdog: Duration) -> Vec<(&'static str, String)> {
        let path = self.path.display().to_string();
        vec![("NOTIFY_SOCKET", path), ("WATCHDOG_USEC", watchdog.as_micros().to_string())]
    }

    /// Measures from now on.
    pub(crate) fn begin(&self) {
        *self.told.lock().unwrap_or_else(PoisonError::into_inner) =
            Told { last: Some(Instant::now()), longest: Duration::ZERO };
    }

    /// The longest time without a word since then.
    pub(crate) fn longest(&self) -> Duration {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        told.tell();
        told.longest
    }
}

impl Told {
    fn tell(&mut self) {
        let now = Instant::now();
        if let Some(last) = self.last.replace(now) {
            self.longest = self.longest.max(now - last);
        }
    }
}

impl Drop for Notified {
    fn drop(&mut self) {
        self.listening.abort();
    }
}

/// Looks at a process's memory again and again.
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

    /// The most of it, in KiB.
    pub(crate) fn end(self) -> u64 {
        self.looking.abort();
        self.most.load(Ordering::Relaxed)
    }
}
