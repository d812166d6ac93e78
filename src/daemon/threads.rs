//! The threads of the daemon: some for whatever changes something, and others for who only looks.

use std::io;

use tokio::runtime::{Builder, Runtime};

/// Starts the threads for changes, and those for readers.
pub(super) fn start() -> io::Result<(Runtime, Runtime)> {
    let changes = Builder::new_multi_thread().worker_threads(WORKERS).enable_all().build()?;
    let readers = Builder::new_multi_thread()
        .worker_threads(WORKERS)
        .max_blocking_threads(ON_DISK)
        .thread_name("reader")
        .on_thread_start(stand_back)
        .enable_all()
        .build()?;
    Ok((changes, readers))
}

/// Where there are too few processors for all, readers have them last. A system that refuses that serves them like others.
fn stand_back() {
    rustix::process::setpriority_process(Some(rustix::thread::gettid()), STANDING_BACK).ok();
}

const WORKERS: usize = 2;

/// What readers have from the disk, they have from so many threads at most.
const ON_DISK: usize = 4;

/// Of 19: a tenth of the share of others.
const STANDING_BACK: i32 = 10;
