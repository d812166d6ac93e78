//! What the commands of the lab share: errors, output, and an end by a signal or after a limit.

use std::io::{self, Write as _};
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio::time::timeout;

/// An error with this text.
pub(crate) fn failure(text: String) -> io::Error {
    io::Error::other(text)
}

/// Prints a line.
pub(crate) fn say(text: &str) -> io::Result<()> {
    writeln!(io::stdout(), "{text}")
}

/// Runs a command's work until it is done, for `limit` at most, or until SIGINT or SIGTERM. At the end the work is
/// dropped, and with it every process that it has started.
pub(crate) async fn until_stopped<T>(limit: Duration, work: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        done = timeout(limit, work) => done.unwrap_or_else(|_| Err(failure(format!("not done in {limit:?}")))),
        _ = tokio::signal::ctrl_c() => Err(failure("interrupted".to_owned())),
        _ = terminate.recv() => Err(failure("stopped by SIGTERM".to_owned())),
    }
}
