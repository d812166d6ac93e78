//! The threads of the daemon: some for changes, others for readers.

use std::io;

use tokio::runtime::{Builder, Runtime};

/// Starts the threads for changes, and those for readers.
pub(super) fn start() -> io::Result<(Runtime, Runtime)> {
    let changes = Builder::new_multi_thread().worker_threads(WORKERS).enable_all().build()?;
    let readers = Builder::new_multi_thread()
        .worker_threads(READERS)
        .max_blocking_threads(ON_DISK)
        .thread_name("reader")
        .on_thread_start(lower_priority)
        .enable_all()
        .build()?;
    Ok((changes, readers))
}

/// Lowers the priority of this thread, so that readers get the processor last. If the system refuses, they are served
/// like others.
fn lower_priority() {
    let _ = rustix::process::setpriority_process(Some(rustix::thread::gettid()), STANDING_BACK);
}

const WORKERS: usize = 2;

/// One thread for each reader that may be answered at once (`control/bounds.rs`), one for expensive answers, and one
/// for looks at HAProxy: no answer waits for the end of another one, and the system divides the processors among them.
const READERS: usize = 10;

/// The most threads that read from the disk for readers.
const ON_DISK: usize = 4;

/// A third of the share of other threads: enough for an answer on a busy machine, where HAProxy's traffic comes first.
const STANDING_BACK: i32 = 5;
