//! What the engine uses of the machine that it runs on: the clock, the disk, and tasks. A simulation has another.

mod clock;
mod error_chain;
mod lock;

use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::task::{AbortHandle, JoinHandle};

pub use self::clock::Clock;
pub use self::error_chain::chain;
pub use self::lock::{lock, read, write};

/// The machine that an engine runs on. Clones are the same machine.
#[derive(Debug, Clone, Default)]
pub struct Platform {
    /// The only clock.
    pub clock: Clock,
    /// How the disk is worked with.
    pub disk: Disk,
    tasks: Arc<Mutex<Vec<AbortHandle>>>,
    /// The threads that answer readers; where there are none, they share those of everything else.
    readers: Option<Handle>,
}

/// How work is done that waits for the disk.
#[derive(Clone, Default)]
pub enum Disk {
    /// On threads of their own, as the disk takes it.
    #[default]
    Threads,
    /// In simulated time: this long passes before the work is done, and this long before anybody hears of it.
    Simulated(Arc<dyn Fn() -> (Duration, Duration) + Send + Sync>),
}

impl Platform {
    /// Another machine than the real one.
    pub fn new(clock: Clock, disk: Disk) -> Self {
        Self { clock, disk, ..Self::default() }
    }

    /// The same machine, with threads of their own for what readers ask.
    #[must_use]
    pub fn with_readers(self, readers: Handle) -> Self {
        Self { readers: Some(readers), ..self }
    }

    /// Runs `task` until it ends or everything is stopped.
    pub fn spawn<T: Send + 'static>(&self, task: impl Future<Output = T> + Send + 'static) -> JoinHandle<T> {
        self.keep(tokio::spawn(task))
    }

    /// The same for what a reader has asked: however much that is, no other task waits for a thread because of it.
    pub fn spawn_for_reader<T: Send + 'static>(&self, task: impl Future<Output = T> + Send + 'static) -> JoinHandle<T> {
        match &self.readers {
            Some(readers) => self.keep(readers.spawn(task)),
            None => self.spawn(task),
        }
    }

    fn keep<T>(&self, task: JoinHandle<T>) -> JoinHandle<T> {
        let mut tasks = lock(&self.tasks);
        if tasks.len() == tasks.capacity() {
            tasks.retain(|task| !task.is_finished());
        }
        tasks.push(task.abort_handle());
        task
    }

    /// Does work that may wait for the disk. It is done to its end even when nobody waits for it any more.
    pub fn on_disk<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> JoinHandle<T> {
        match &self.disk {
            Disk::Threads => tokio::task::spawn_blocking(work),
            Disk::Simulated(takes) => {
                let (before, after) = takes();
                self.spawn(async move {
                    tokio::time::sleep(before).await;
                    let done = work();
                    tokio::time::sleep(after).await;
                    done
                })
            }
        }
    }

    /// Stops every task where it stands, as the end of the process would.
    pub fn stop(&self) {
        lock(&self.tasks).drain(..).for_each(|task| task.abort());
    }
}

impl fmt::Debug for Disk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Threads => "Threads",
            Self::Simulated(_) => "Simulated",
        })
    }
}
