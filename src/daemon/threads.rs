//! The threads of the daemon: some for whatever changes something, and others for who only looks.

use std::io;

use tokio::runtime::{Builder, Runtime};

/// Starts the threads for changes, and those for readers.
pub(super) fn start() -> io::Result<(Runtime, Runtime)> {
    let changes = Builder::new_multi_thread().worker_threads(WORKERS).enable_all().build()?;
    let readers = Builder::new_multi_thread()
        .worker_threads(READERS)
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

/// One for each reader who may be answered at once (`control/bounds.rs`), one for what is dear, and one for looks at HAProxy:
/// so nobody's answer waits for the end of another's, and the system shares out the processors among them.
const READERS: usize = 10;

/// What readers have from the disk, they have from so many threads at most.
const ON_DISK: usize = 4;

/// A third of the share of others: enough for an answer where HAProxy has much to do, and its traffic comes first.
const STANDING_BACK: i32 = 5;
