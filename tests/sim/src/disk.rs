//! A store whose disk fails when it is told to.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use teeter::farm::RunId;
use teeter::plan::Run;
use teeter::state::{Event, NewEvent, State, Transaction};
use teeter::store::{EventQuery, SqliteStore, Store, StoreError, Tally, Verified};

use crate::watch::Watch;

/// The real store on a disk that fails.
#[derive(Debug, Clone)]
pub struct FailingStore {
    store: Arc<SqliteStore>,
    watch: Watch,
    full: Arc<AtomicBool>,
    lies: Arc<AtomicBool>,
}

impl FailingStore {
    /// An empty store in memory, on a disk that works.
    ///
    /// # Errors
    /// As [`SqliteStore::open`].
    pub fn new(watch: Watch) -> Result<Self, StoreError> {
        let store = Arc::new(SqliteStore::in_memory()?);
        Ok(Self { store, watch, full: Arc::default(), lies: Arc::default() })
    }

    /// Whether nothing can be written from now on.
    pub fn set_full(&self, full: bool) {
        self.full.store(full, Ordering::Relaxed);
    }

    /// Keeps the next transaction and says that it has not.
    pub fn lie_once(&self) {
        self.lies.store(true, Ordering::Relaxed);
    }

    /// Tells no lie any more.
    pub fn mend(&self) {
        self.set_full(false);
        self.lies.store(false, Ordering::Relaxed);
    }

    fn room(&self) -> Result<(), StoreError> {
        if self.full.load(Ordering::Relaxed) { Err(failed("database or disk is full")) } else { Ok(()) }
    }

    /// Whether somebody has what a run has left out come back, whatever it runs.
    fn mixes(&self, transaction: &Transaction) -> Result<bool, StoreError> {
        let mut released = transaction.events.iter().filter(|event| event.kind == "hold.released").peekable();
        if released.peek().is_none() {
            return Ok(false);
        }
        let state = self.store.load()?;
        let left = |id| state.holds.get(&id)?.owner.run().and_then(|run| state.runs.get(&run));
        Ok(released.filter_map(|event| event.hold).any(|id| left(id).is_some_and(|run| !run.is_active())))
    }
}

impl Store for FailingStore {
    fn load(&self) -> Result<State, StoreError> {
        self.store.load()
    }

    fn commit(&self, transaction: &Transaction) -> Result<u64, StoreError> {
        self.room()?;
        let mixes = self.mixes(transaction)?;
        let revision = self.store.commit(transaction)?;
        if mixes {
            self.watch.may_mix();
        }
        for caller in transaction.events.iter().filter_map(|event| event.caller.as_ref()) {
            self.watch.begun_for(caller.pid.unwrap_or_default());
        }
        if self.lies.swap(false, Ordering::Relaxed) { Err(failed("disk I/O error")) } else { Ok(revision) }
    }

    fn record(&self, events: &[NewEvent]) -> Result<(), StoreError> {
        self.room()?;
        self.store.record(events)
    }

    fn tally(&self, run: RunId, kind: &str) -> Result<Tally, StoreError> {
        self.store.tally(run, kind)
    }

    fn events(&self, query: EventQuery) -> Result<Vec<Event>, StoreError> {
        self.store.events(query)
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

fn failed(words: &str) -> StoreError {
    StoreError::Aside { reason: format!("the store: {words}") }
}
