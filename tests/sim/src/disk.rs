//! The store, on a disk that can be full or lie.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use teeter::farm::RunId;
use teeter::plan::Run;
use teeter::state::{DrainRecord, Event, NewEvent, State, Transaction, WatchRecord};
use teeter::store::{DrainQuery, EventQuery, RunQuery, SqliteStore, Store, StoreError, Tally, Verified};

use crate::watch::Watch;

/// The real store, on a disk that can fail. Clones are the same store.
#[derive(Debug, Clone)]
pub struct FailingStore {
    store: Arc<SqliteStore>,
    watch: Watch,
    full: Arc<AtomicBool>,
    lies: Arc<AtomicBool>,
    /// Transactions that were refused since the disk is full.
    refused: Arc<AtomicU64>,
}

impl FailingStore {
    /// An empty store in memory, on a disk that works.
    ///
    /// # Errors
    /// As [`SqliteStore::open`].
    pub fn new(watch: Watch) -> Result<Self, StoreError> {
        let store = Arc::new(SqliteStore::in_memory()?);
        Ok(Self { store, watch, full: Arc::default(), lies: Arc::default(), refused: Arc::default() })
    }

    /// Makes the disk full, or makes room.
    pub fn set_full(&self, full: bool) {
        self.full.store(full, Ordering::Relaxed);
        self.refused.store(0, Ordering::Relaxed);
    }

    /// Keeps the next transaction and reports an error.
    pub fn lie_once(&self) {
        self.lies.store(true, Ordering::Relaxed);
    }

    /// Works again.
    pub fn repair(&self) {
        self.set_full(false);
        self.lies.store(false, Ordering::Relaxed);
    }

    /// How many transactions were refused since the disk is full.
    pub fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }

    fn require_room(&self) -> Result<(), StoreError> {
        if self.full.load(Ordering::Relaxed) { Err(failed(io::ErrorKind::StorageFull)) } else { Ok(()) }
    }

    /// Whether a transaction gives back servers that a run has left out, whatever their version.
    fn mixes(&self, transaction: &Transaction) -> Result<bool, StoreError> {
        let mut released = transaction.events.iter().filter(|event| event.kind == "hold.released").peekable();
        if released.peek().is_none() {
            return Ok(false);
        }
        let state = self.store.load()?;
        let run_of = |hold| state.holds.get(&hold)?.owner.run().and_then(|run| state.runs.get(&run));
        Ok(released.filter_map(|event| event.hold).any(|hold| run_of(hold).is_some_and(|run| !run.is_active())))
    }
}

impl Store for FailingStore {
    fn load(&self) -> Result<State, StoreError> {
        self.store.load()
    }

    fn commit(&self, transaction: &Transaction) -> Result<u64, StoreError> {
        if let Err(full) = self.require_room() {
            self.refused.fetch_add(1, Ordering::Relaxed);
            return Err(full);
        }
        let mixes = self.mixes(transaction)?;
        let revision = self.store.commit(transaction)?;
        if mixes {
            self.watch.may_mix();
        }
        for caller in transaction.events.iter().filter_map(|event| event.caller.as_ref()) {
            self.watch.stored_for(caller.pid.unwrap_or_default());
        }
        if self.lies.swap(false, Ordering::Relaxed) { Err(failed(io::ErrorKind::Other)) } else { Ok(revision) }
    }

    fn record(&self, events: &[NewEvent]) -> Result<(), StoreError> {
        self.require_room()?;
        self.store.record(events)
    }

    fn try_to_write(&self) -> Result<(), StoreError> {
        self.require_room()?;
        self.store.try_to_write()
    }

    fn tally(&self, run: RunId, kind: &str) -> Result<Tally, StoreError> {
        self.store.tally(run, kind)
    }

    fn events(&self, query: EventQuery) -> Result<Vec<Event>, StoreError> {
        self.store.events(query)
    }

    fn drains(&self, query: &DrainQuery) -> Result<Vec<DrainRecord>, StoreError> {
        self.store.drains(query)
    }

    fn runs(&self, query: &RunQuery) -> Result<Vec<Run>, StoreError> {
        self.store.runs(query)
    }

    fn watches(&self, run: RunId) -> Result<Vec<WatchRecord>, StoreError> {
        self.store.watches(run)
    }

    fn run(&self, id: RunId) -> Result<Option<Run>, StoreError> {
        self.store.run(id)
    }

    fn verify(&self) -> Result<Verified, StoreError> {
        self.store.verify()
    }

    fn backup(&self) -> Result<std::fs::File, StoreError> {
        self.store.backup()
    }

    fn holds_lease(&self) -> bool {
        self.store.holds_lease()
    }
}

fn failed(kind: io::ErrorKind) -> StoreError {
    StoreError::File { path: "/sim/teeter.db".to_owned(), source: kind.into() }
}
