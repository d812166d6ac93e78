//! The machine that the engine runs on: the clock, the disk and tasks. A simulation supplies another machine.

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
    /// How work that waits for the disk is run.
    pub disk: Disk,
    tasks: Arc<Mutex<Vec<AbortHandle>>>,
    /// The threads that answer readers. `None`: readers share the threads of all other tasks.
    readers: Option<Handle>,
}

/// How work that waits for the disk is run.
#[derive(Clone, Default)]
pub enum Disk {
    /// On blocking threads, for as long as the disk takes.
    #[default]
    Threads,
    /// In simulated time. The first duration passes before the work, the second before the caller gets the result.
    Simulated(Arc<dyn Fn() -> (Duration, Duration) + Send + Sync>),
}

impl Platform {
    /// A machine with this clock and this disk, for simulations.
    pub fn new(clock: Clock, disk: Disk) -> Self {
        Self { clock, disk, ..Self::default() }
    }

    /// The same machine with separate threads for the requests of readers.
    #[must_use]
    pub fn with_readers(self, readers: Handle) -> Self {
        Self { readers: Some(readers), ..self }
    }

    /// Runs `task` until it ends or [`Platform::stop`] is called.
    pub fn spawn<T: Send + 'static>(&self, task: impl Future<Output = T> + Send + 'static) -> JoinHandle<T> {
        self.keep(tokio::spawn(task))
    }

    /// Runs the task of a reader. Where readers have threads of their own, no number of such tasks delays another task.
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

    /// Does work that may wait for the disk. The work is finished even if its caller stops waiting.
    pub fn on_disk<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> JoinHandle<T> {
        match &self.disk {
            Disk::Threads => tokio::task::spawn_blocking(work),
            Disk::Simulated(delays) => {
                let (before, after) = delays();
                self.spawn(async move {
                    tokio::time::sleep(before).await;
                    let result = work();
                    tokio::time::sleep(after).await;
                    result
                })
            }
        }
    }

    /// Stops every task at its next await point, as the end of the process would.
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
