//! What must outlive the process: holds, what servers were before, routes, runs, and the log of events.
//!
//! The trait speaks in transactions with a precondition on the revision, in a watch of changes and in a lease for
//! whoever drives runs, so that a store shared by several daemons can stand behind the same engine.

mod aside;
mod events;
mod lock;
mod place;
mod private;
mod prune;
mod readers;
mod records;
mod schema;
mod sqlite;
mod verify;

use std::fs::File;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use thiserror::Error;

use crate::farm::RunId;
use crate::plan::Run;
use crate::state::{Event, NewEvent, State, Transaction};

pub use aside::open;
pub use place::of_store;
pub(crate) use place::{directory, rename_new};
pub use prune::{Keep, Pruned};
pub use sqlite::SqliteStore;
pub use verify::{Verified, verify_file};

/// Which events are asked for.
#[derive(Debug, Clone, Copy, Default)]
pub struct EventQuery {
    /// Only those of this run.
    pub run: Option<RunId>,
    /// Only those after this number.
    pub after: Option<u64>,
    /// Only those since then, to the second.
    pub since: Option<Timestamp>,
    /// All but those of this kind.
    pub without: Option<&'static str>,
    /// At most so many: the latest, in order of time.
    pub limit: usize,
}

/// How much of a kind is recorded of a run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// Events.
    pub events: usize,
    /// Bytes of their texts together.
    pub bytes: usize,
}

/// A store that could not do what it was asked.
#[derive(Debug, Error)]
pub enum StoreError {
    /// Another process has it open.
    #[error("the store {path} is in use by another teeterd")]
    InUse {
        /// Its path.
        path: String,
    },
    /// It was written by a newer teeter.
    #[error("the store {path} has schema {found}, and this teeterd knows schemas up to {known}")]
    TooNew {
        /// Its path.
        path: String,
        /// Its schema.
        found: u32,
        /// The latest schema that is known.
        known: u32,
    },
    /// Somebody else has changed it meanwhile.
    #[error("the store is at revision {found}, and the change was worked out from revision {expected}")]
    Conflict {
        /// The revision that was expected.
        expected: u64,
        /// The revision that it has.
        found: u64,
    },
    /// Its file is no database any more, or a damaged one.
    #[error("the store {path} is damaged ({what})")]
    Corrupt {
        /// Its path.
        path: String,
        /// What the database says.
        what: String,
    },
    /// It was damaged and has been set aside.
    #[error("{reason}")]
    Aside {
        /// What happened, and what to do.
        reason: String,
    },
    /// It is damaged and cannot be set aside.
    #[error("{problem}, and {path} cannot be set aside")]
    NotAside {
        /// What is wrong with it.
        problem: String,
        /// Its path.
        path: String,
        /// Why not.
        source: std::io::Error,
    },
    /// Its file cannot be made, opened or read.
    #[error("cannot use the store {path}")]
    File {
        /// Its path.
        path: String,
        /// Why not.
        source: std::io::Error,
    },
    /// A row in it cannot be read.
    #[error("the store {path} has a {what} that cannot be read")]
    Damaged {
        /// Its path.
        path: String,
        /// What kind of row.
        what: &'static str,
        /// Why not.
        source: serde_json::Error,
    },
    /// A row stands under a key that cannot be read, or that is not its own.
    #[error("the store {path} has a {what} under the key {key:?}: {problem}")]
    Misfiled {
        /// Its path.
        path: String,
        /// What kind of row.
        what: &'static str,
        /// Its key.
        key: String,
        /// What is wrong with that.
        problem: String,
    },
    /// The database failed.
    #[error("the database of the store {path} failed: {problem}")]
    Database {
        /// Its path.
        path: String,
        /// The error of the database. It is not a source: its own source repeats it in other words.
        problem: rusqlite::Error,
    },
}

/// Where holds, runs and events are kept.
pub trait Store: Send + Sync {
    /// Reads everything.
    ///
    /// # Errors
    /// The store cannot be read.
    fn load(&self) -> Result<State, StoreError>;

    /// Makes a transaction durable and gives the new revision.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] where the precondition does not hold, others where it cannot be written; then nothing
    /// of it has been.
    fn commit(&self, transaction: &Transaction) -> Result<u64, StoreError>;

    /// Records what changes nothing: the revision stays.
    ///
    /// # Errors
    /// The store cannot be written; then nothing has been recorded.
    fn record(&self, events: &[NewEvent]) -> Result<(), StoreError>;

    /// Counts the events of a kind that a run has.
    ///
    /// # Errors
    /// The store cannot be read.
    fn tally(&self, run: RunId, kind: &str) -> Result<Tally, StoreError>;

    /// Reads recorded events.
    ///
    /// # Errors
    /// The store cannot be read.
    fn events(&self, query: EventQuery) -> Result<Vec<Event>, StoreError>;

    /// Reads a run, also one that has ended long ago.
    ///
    /// # Errors
    /// The store cannot be read.
    fn run(&self, id: RunId) -> Result<Option<Run>, StoreError>;

    /// Takes away what may go, at most so many events in one transaction, and records `begun` with it where anything goes.
    /// Neither the revision nor what a decision is made from changes.
    ///
    /// # Errors
    /// The store cannot be written; then nothing has gone.
    fn prune(&self, _keep: &Keep, _most: usize, _begun: Option<&NewEvent>) -> Result<Pruned, StoreError> {
        Ok(Pruned::default())
    }

    /// Writes what changes nothing, to see whether anything can be written.
    ///
    /// # Errors
    /// Nothing can be written.
    fn try_to_write(&self) -> Result<(), StoreError> {
        Ok(())
    }

    /// Looks whether it is whole: its file, each record, and what records say of one another.
    ///
    /// # Errors
    /// The store cannot be read.
    fn verify(&self) -> Result<Verified, StoreError>;

    /// A copy of it as it is at one moment: a file without a name that the next teeterd may begin with.
    ///
    /// # Errors
    /// The store cannot be read, or there is no room for the copy.
    fn backup(&self) -> Result<File, StoreError>;

    /// Whether this daemon may drive runs now. A store of one's own always says yes.
    fn holds_lease(&self) -> bool;

    /// Why it takes no change, where it takes none.
    fn trouble(&self) -> Option<&str> {
        None
    }
}

/// The name of a file that SQLite keeps beside a database, or of one that has taken its place: the same, and this end.
fn beside(path: &Path, end: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(end);
    name.into()
}

/// What SQLite may keep beside a database.
const BESIDE: [&str; 2] = ["-wal", "-shm"];

impl StoreError {
    /// Whether it is the file, or the disk that it is on, that fails.
    pub fn is_of_disk(&self) -> bool {
        matches!(self, Self::Database { .. } | Self::File { .. })
    }

    /// What to do, where that is known.
    pub fn advice(&self) -> Option<String> {
        let Self::Database { path, problem } = self else { return None };
        let folder = Path::new(path).parent().unwrap_or(Path::new("/")).display();
        match problem.sqlite_error_code() {
            Some(rusqlite::ErrorCode::DiskFull) => Some(format!("make room on the file system of {folder}")),
            Some(rusqlite::ErrorCode::ReadOnly) => {
                Some(format!("let teeterd write to {folder}: is its file system mounted read-only?"))
            }
            Some(rusqlite::ErrorCode::CannotOpen) => {
                Some(format!("look at the directory {folder}, and at how many files teeterd may open"))
            }
            Some(rusqlite::ErrorCode::SystemIoFailure) => {
                Some(format!("look at the file system of {folder}, and at what the kernel says of its disk"))
            }
            _ => None,
        }
    }
}
