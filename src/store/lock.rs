//! The lock that lets only one process open a store. SQLite's own locks would also keep readers out.

use std::fs::{File, OpenOptions};
use std::io;
use std::path::Path;
use std::time::Duration;

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

use super::{StoreError, private};

/// The lock on a store's file, held until this value is dropped. It must be dropped after every connection to the file,
/// because closing the file releases SQLite's own locks on it.
#[derive(Debug)]
pub(super) struct Lock(#[expect(dead_code, reason = "the open file is the lock")] File);

impl Lock {
    /// Takes the lock. Waits [`BUSY_TIMEOUT`] for a daemon that is stopping.
    ///
    /// # Errors
    /// Another process has the lock, or the file cannot be opened.
    pub(super) fn take(path: &Path) -> Result<Self, StoreError> {
        let failed = |source| StoreError::File { path: path.display().to_string(), source };
        let file = private::open_regular_file(path, OpenOptions::new().write(true)).map_err(failed)?;
        let (file, _) = file.ok_or_else(|| failed(io::ErrorKind::InvalidInput.into()))?;
        for _ in 0..BUSY_TIMEOUT.as_millis() / RETRY_INTERVAL.as_millis() {
            if is_free(&file).map_err(failed)? {
                return Ok(Self(file));
            }
            std::thread::sleep(RETRY_INTERVAL);
        }
        Err(StoreError::InUse { path: path.display().to_string() })
    }
}

fn is_free(file: &File) -> io::Result<bool> {
    match flock(file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(true),
        Err(Errno::WOULDBLOCK | Errno::INTR) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// Whether a process has the store in this file open.
///
/// # Errors
/// The system refuses.
pub(super) fn is_taken(file: &File) -> io::Result<bool> {
    let free = is_free(file)?;
    if free {
        flock(file, FlockOperation::Unlock)?;
    }
    Ok(!free)
}

/// The time between two attempts to take the lock.
const RETRY_INTERVAL: Duration = Duration::from_millis(20);

/// How long to wait for a daemon that is stopping and may still have the store open.
pub(super) const BUSY_TIMEOUT: Duration = Duration::from_secs(2);
