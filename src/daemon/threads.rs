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

/// Lowers the priority of this thread, so that readers get the processor last. If the system refuses, the thread keeps
/// the usual priority.
fn lower_priority() {
    let _ = rustix::process::setpriority_process(Some(rustix::thread::gettid()), READER_NICE);
}

/// The threads for changes and for all other work of the daemon.
const WORKERS: usize = 2;

/// One thread for each reader that may be answered at once (`control/bounds.rs`), one for expensive answers, and one
/// for looks at HAProxy: no answer waits for another, and the system divides the processors among the threads.
const READERS: usize = 10;

/// The greatest number of threads that read from the disk for readers.
const ON_DISK: usize = 4;

/// The nice value of a reader's thread, which gets a third of the share of other threads: enough for an answer on a
/// busy machine, where HAProxy's traffic comes first.
const READER_NICE: i32 = 5;
