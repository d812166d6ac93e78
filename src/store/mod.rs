//! The records that must outlive the process: holds, baselines, routes, runs and events.
//!
//! The trait has transactions with a precondition on the revision, and a lease for the daemon that drives runs, so that
//! the same engine can use a store that several daemons share.

mod aside;
mod events;
mod lock;
mod place;
mod private;
mod prune;
mod readers;
mod records;
mod runs;
mod samples;
mod schema;
mod sqlite;
mod thin;
mod verify;

use std::fs::File;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use thiserror::Error;

use crate::farm::{FarmName, RunId};
use crate::plan::Run;
use crate::state::{DrainRecord, Event, NewEvent, State, Transaction, WatchRecord};

pub use aside::open;
pub use place::check_directory;
pub(crate) use place::{directory, rename_new};
pub use prune::{Keep, Pruned};
pub use sqlite::SqliteStore;
pub use verify::{Verified, verify_file};

/// The query for events.
#[derive(Debug, Clone, Copy, Default)]
pub struct EventQuery {
    /// Only events of this run.
    pub run: Option<RunId>,
    /// Only events with a greater number.
    pub after: Option<u64>,
    /// Only events at or after this time, to the second.
    pub since: Option<Timestamp>,
    /// No events of this kind.
    pub without: Option<&'static str>,
    /// The greatest number of events. The latest ones are returned, in order of time.
    pub limit: usize,
}

/// The query for drains. Its answer has the latest drains only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DrainQuery {
    /// The drains of a run.
    OfRun(RunId),
    /// The drains of a farm's servers, by runs and by hand.
    OfFarm(FarmName),
}

/// The query for the runs of one farm.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunQuery {
    /// The farm.
    pub farm: FarmName,
    /// Only runs that were started then or later.
    pub since: Option<Timestamp>,
    /// The greatest number of runs. The latest ones are returned.
    pub limit: usize,
}

/// The count of a run's events of one kind.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// The number of events.
    pub events: usize,
    /// The length of their texts, in bytes.
    pub bytes: usize,
}

/// The error of a store.
#[derive(Debug, Error)]
pub enum StoreError {
    /// Another process has the store open.
    #[error("the store {path} is in use by another teeterd")]
    InUse {
        /// The path of the store's file.
        path: String,
    },
    /// A newer teeter wrote the store.
    #[error("the store {path} has schema {found}, and this teeterd knows schemas up to {known}")]
    TooNew {
        /// The path of the store's file.
        path: String,
        /// The schema of the file.
        found: u32,
        /// The latest schema that this program knows.
        known: u32,
    },
    /// Another process has changed the store meanwhile.
    #[error("the store has revision {found}, and the change was made for revision {expected}")]
    Conflict {
        /// The revision that was expected.
        expected: u64,
        /// The revision of the store.
        found: u64,
    },
    /// The file is not a database, or the database is damaged.
    #[error("the store {path} is damaged ({what})")]
    Corrupt {
        /// The path of the store's file.
        path: String,
        /// The message of the database.
        what: String,
    },
    /// The store was damaged and has been renamed.
    #[error("{reason}")]
    SetAside {
        /// The damage, the new name of the file, and the commands for the operator.
        reason: String,
    },
    /// The store is damaged and cannot be renamed.
    #[error("{problem}, and {path} cannot be set aside")]
    NotSetAside {
        /// The damage.
        problem: String,
        /// The path of the store's file.
        path: String,
        /// Why the file cannot be renamed.
        source: std::io::Error,
    },
    /// The file cannot be created, opened or read.
    #[error("cannot use the store {path}")]
    File {
        /// The path of the store's file.
        path: String,
        /// The error of the operating system.
        source: std::io::Error,
    },
    /// A record cannot be read.
    #[error("the store {path} has a {kind} that cannot be read")]
    Damaged {
        /// The path of the store's file.
        path: String,
        /// The kind of the record.
        kind: &'static str,
        /// Why the record cannot be read.
        source: serde_json::Error,
    },
    /// A record has a key that cannot be read, or a key of another record.
    #[error("the store {path} has a {kind} under the key {key:?}: {problem}")]
    Misfiled {
        /// The path of the store's file.
        path: String,
        /// The kind of the record.
        kind: &'static str,
        /// The key of the record.
        key: String,
        /// The problem with the key.
        problem: String,
    },
    /// The database failed.
    #[error("the database of the store {path} failed: {problem}")]
    Database {
        /// The path of the store's file.
        path: String,
        /// The error of the database. Not a `source`, because its own source repeats its text in other words.
        problem: rusqlite::Error,
    },
}

/// A store of holds, baselines, routes, runs and events.
pub trait Store: Send + Sync {
    /// Reads the state.
    ///
    /// # Errors
    /// The store cannot be read.
    fn load(&self) -> Result<State, StoreError>;

    /// Makes a transaction durable and returns the new revision.
    ///
    /// # Errors
    /// [`StoreError::Conflict`] where the precondition does not hold, other errors where the store cannot be written.
    /// No part of the transaction is stored then.
    fn commit(&self, transaction: &Transaction) -> Result<u64, StoreError>;

    /// Records events that change no state: the revision stays.
    ///
    /// # Errors
    /// The store cannot be written. No event is recorded then.
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

    /// Reads one run, also one that ended long ago.
    ///
    /// # Errors
    /// The store cannot be read.
    fn run(&self, id: RunId) -> Result<Option<Run>, StoreError>;

    /// Reads the runs of one farm, the latest first.
    ///
    /// # Errors
    /// The store cannot be read.
    fn runs(&self, query: &RunQuery) -> Result<Vec<Run>, StoreError>;

    /// Reads the records of drains that have ended.
    ///
    /// # Errors
    /// The store cannot be read.
    fn drains(&self, query: &DrainQuery) -> Result<Vec<DrainRecord>, StoreError>;

    /// Reads the records of a run's watches that have ended, the latest last.
    ///
    /// # Errors
    /// The store cannot be read.
    fn watches(&self, run: RunId) -> Result<Vec<WatchRecord>, StoreError>;

    /// Deletes events and runs that `keep` does not keep, at most `limit` events in one transaction, and records
    /// `event` in the same transaction. Changes neither the revision nor a record that a decision needs.
    ///
    /// # Errors
    /// The store cannot be written. Nothing is deleted then.
    fn prune(&self, _keep: &Keep, _limit: usize, _event: Option<&NewEvent>) -> Result<Pruned, StoreError> {
        Ok(Pruned::default())
    }

    /// Writes without a change, to find out whether the store can be written.
    ///
    /// # Errors
    /// The store cannot be written.
    fn try_to_write(&self) -> Result<(), StoreError> {
        Ok(())
    }

    /// Verifies the file, each record, and the references between records.
    ///
    /// # Errors
    /// The store cannot be read.
    fn verify(&self) -> Result<Verified, StoreError>;

    /// The size of the store's files, in bytes; `None` for a store without files, or if the system refuses.
    fn size(&self) -> Option<u64> {
        None
    }

    /// A copy of the store as it is at one moment: a file without a name, which can be the store of a teeterd.
    ///
    /// # Errors
    /// The store cannot be read, or there is no room for the copy.
    fn backup(&self) -> Result<File, StoreError>;

    /// Whether this daemon may drive runs at present. A store that only one daemon uses always returns true.
    fn holds_lease(&self) -> bool;

    /// Why the store accepts no change; `None` where it accepts changes.
    fn trouble(&self) -> Option<&str> {
        None
    }
}

/// The path of a file beside a database: the path of the database with this suffix.
fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// The suffixes of the files that SQLite keeps beside a database.
const SQLITE_SUFFIXES: [&str; 2] = ["-wal", "-shm"];

impl StoreError {
    /// Whether the error comes from the file or from its disk.
    pub fn is_of_disk(&self) -> bool {
        matches!(self, Self::Database { .. } | Self::File { .. })
    }

    /// The next step for the operator; `None` where none is known.
    pub fn advice(&self) -> Option<String> {
        let Self::Database { path, problem } = self else { return None };
        let folder = Path::new(path).parent().unwrap_or(Path::new("/")).display();
        match problem.sqlite_error_code() {
            Some(rusqlite::ErrorCode::DiskFull) => Some(format!("make room on the file system of {folder}")),
            Some(rusqlite::ErrorCode::ReadOnly) => {
                Some(format!("let teeterd write to {folder}: is its file system mounted read-only?"))
            }
            Some(rusqlite::ErrorCode::CannotOpen) => {
                Some(format!("check the directory {folder}, and how many files teeterd may open (LimitNOFILE=)"))
            }
            Some(rusqlite::ErrorCode::SystemIoFailure) => {
                Some(format!("check the file system of {folder}, and the kernel's messages about its disk (`dmesg`)"))
            }
            _ => None,
        }
    }
}
