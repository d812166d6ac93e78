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

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use thiserror::Error;
use tokio::sync::watch;

use crate::farm::{Baseline, Entry, FarmName, Hold, HoldId, Route, RunId, Side};
use crate::plan::Run;

pub use aside::open;
pub use place::of_store;
pub(crate) use place::{directory, rename_new};
pub use prune::{Keep, Pruned};
pub use sqlite::SqliteStore;
pub use verify::{Verified, verify_file};

/// Everything that decisions are made from.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct State {
    /// Rises with every transaction.
    pub revision: u64,
    /// The number that the next hold gets.
    pub next_hold: u64,
    /// The number that the next run gets.
    pub next_run: u64,
    /// Every hold.
    pub holds: BTreeMap<HoldId, Hold>,
    /// What each server was before its first hold.
    pub baselines: BTreeMap<Entry, Baseline>,
    /// Where the traffic of farms goes that teeter has turned.
    pub routes: BTreeMap<FarmName, Route>,
    /// Every run that has not ended or whose holds are there, and the latest of the others.
    pub runs: BTreeMap<RunId, Run>,
}

/// Changes that are made together or not at all.
#[derive(Debug, Clone, Default)]
pub struct Transaction {
    /// The revision that the changes were worked out from.
    pub expect: u64,
    /// What changes.
    pub changes: Vec<Change>,
    /// What is recorded with it.
    pub events: Vec<NewEvent>,
}

/// One change of the state.
#[derive(Debug, Clone)]
pub enum Change {
    /// Add a hold or replace the one of its number.
    PutHold(Box<Hold>),
    /// Remove a hold.
    DropHold(HoldId),
    /// Remember what a server was.
    PutBaseline(Entry, Baseline),
    /// Forget it: it has been given back.
    DropBaseline(Entry),
    /// Turn a farm's route, or change what is known of it.
    PutRoute(Box<Route>),
    /// Leave a farm's route to others.
    DropRoute(FarmName),
    /// Add a run or replace the one of its number.
    PutRun(Box<Run>),
}

/// Something that happened, to be recorded.
#[derive(Debug, Clone)]
pub struct NewEvent {
    /// When.
    pub at: Timestamp,
    /// What kind, a stable word.
    pub kind: &'static str,
    /// What happened, for people.
    pub text: String,
    /// The run it belongs to.
    pub run: Option<RunId>,
    /// The hold it belongs to.
    pub hold: Option<HoldId>,
    /// Who asked for it.
    pub caller: Option<Caller>,
    /// What its transaction changes, where it is the first event of that.
    pub changed: Vec<Changed>,
}

/// What a transaction makes of one thing, in words.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Changed {
    /// Of what.
    pub what: String,
    /// What it was; `None` where it was not there.
    pub before: Option<String>,
    /// What it is; `None` where it is not there any more.
    pub after: Option<String>,
}

/// Something that happened, as recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Its number; later is larger.
    pub id: u64,
    /// When.
    pub at: Timestamp,
    /// What kind.
    pub kind: String,
    /// What happened.
    pub text: String,
    /// The run it belongs to.
    pub run: Option<RunId>,
    /// The hold it belongs to.
    pub hold: Option<HoldId>,
    /// Who asked for it.
    pub caller: Option<Caller>,
    /// What its transaction changed, where it is the first event of that.
    pub changed: Vec<Changed>,
}

/// Who asked for a change, as the kernel says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Caller {
    /// User id.
    pub uid: u32,
    /// Group id.
    pub gid: u32,
    /// Process id.
    pub pid: Option<i32>,
    /// The user's name, or its number.
    pub user: String,
    /// The name of the process.
    pub command: String,
    /// The program that it ran, where teeterd may see that.
    #[serde(default)]
    pub exe: Option<String>,
    /// As whom somebody logged in, where the process is another user's by now, as by sudo.
    #[serde(default)]
    pub login: Option<Login>,
}

/// The user as whom somebody logged in. The kernel keeps it over sudo and su.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Login {
    /// User id.
    pub uid: u32,
    /// The user's name, or its number.
    pub user: String,
}

impl Caller {
    /// Who asks: behind root the user that has logged in. Only there, because a process that nobody has logged in for
    /// can name any user; root gains nothing by that.
    pub fn person(&self) -> &str {
        self.login.as_ref().filter(|_| self.uid == 0).map_or(&self.user, |login| &login.user)
    }
}

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
    #[error("{problem}, and {path} cannot be set aside: {source}")]
    NotAside {
        /// What is wrong with it.
        problem: String,
        /// Its path.
        path: String,
        /// Why not.
        source: std::io::Error,
    },
    /// Its file cannot be made, opened or read.
    #[error("the store {path}: {source}")]
    File {
        /// Its path.
        path: String,
        /// Why not.
        source: std::io::Error,
    },
    /// A row in it cannot be read.
    #[error("the store {path} has a {what} that cannot be read: {source}")]
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
    #[error("the store {path}: {source}")]
    Database {
        /// Its path.
        path: String,
        /// What the database said.
        source: rusqlite::Error,
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

    /// The revision, as it changes.
    fn watch(&self) -> watch::Receiver<u64>;

    /// Whether this daemon may drive runs now. A store of one's own always says yes.
    fn holds_lease(&self) -> bool;

    /// Why it takes no change, where it takes none.
    fn trouble(&self) -> Option<&str> {
        None
    }
}

/// So many runs are remembered, whether they have ended or not.
const REMEMBERED: u64 = 200;

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
        let Self::Database { path, source } = self else { return None };
        let folder = Path::new(path).parent().unwrap_or(Path::new("/")).display();
        match source.sqlite_error_code() {
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

impl State {
    /// The side that gets a farm's traffic, where teeter has turned it.
    pub fn live(&self, farm: &FarmName) -> Option<Side> {
        self.routes.get(farm).map(|route| route.live.clone())
    }

    /// Whether HAProxy is told anything: then not every reply to whoever wrote this need have been read.
    pub fn is_told(&self) -> bool {
        !self.baselines.is_empty() || !self.routes.is_empty()
    }

    /// Applies changes that have been made durable as `revision`.
    pub fn apply(&mut self, changes: &[Change], revision: u64) {
        self.revision = revision;
        for change in changes {
            match change {
                Change::PutHold(hold) => {
                    self.next_hold = self.next_hold.max(hold.id.0 + 1);
                    self.holds.insert(hold.id, (**hold).clone());
                }
                Change::DropHold(id) => {
                    self.holds.remove(id);
                }
                Change::PutBaseline(entry, baseline) => {
                    self.baselines.insert(entry.clone(), baseline.clone());
                }
                Change::DropBaseline(entry) => {
                    self.baselines.remove(entry);
                }
                Change::PutRoute(route) => {
                    self.routes.insert(route.farm.clone(), (**route).clone());
                }
                Change::DropRoute(farm) => {
                    self.routes.remove(farm);
                }
                Change::PutRun(run) => {
                    self.next_run = self.next_run.max(run.id.0 + 1);
                    self.runs.insert(run.id, (**run).clone());
                }
            }
        }
        self.forget_ended();
    }

    /// Forgets runs that have gone from the store.
    pub fn forget_runs(&mut self, gone: &BTreeSet<RunId>) {
        self.runs.retain(|id, _| !gone.contains(id));
    }

    /// Forgets runs that have ended, but for the latest and those whose holds are there: the store has them all.
    fn forget_ended(&mut self) {
        let since = RunId(self.next_run.saturating_sub(REMEMBERED));
        if self.runs.first_key_value().is_none_or(|(first, _)| *first >= since) {
            return;
        }
        let holding: BTreeSet<RunId> = self.holds.values().filter_map(|hold| hold.owner.run()).collect();
        self.runs.retain(|id, run| *id >= since || run.is_active() || holding.contains(id));
    }
}
