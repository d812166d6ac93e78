//! The state in memory and the store behind it, which are always changed together.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, RwLock};

use crate::engine::error::{EngineError, Message};
use crate::engine::farms::Farms;
use crate::engine::record::audit;
use crate::engine::record::totals::{SharedTotals, completed};
use crate::engine::record::troubles::Troubles;
use crate::farm::{Farm, FarmName, LineNames, RunId};
use crate::plan::Run;
use crate::platform::{Platform, chain, read, write};
use crate::state::{Change, NewEvent, State, Transaction};
use crate::store::{Store, StoreError, Tally};

/// The current state and the store that holds it.
pub(crate) struct Ledger {
    pub(crate) state: Arc<State>,
    published: Published,
    store: Arc<dyn Store>,
    platform: Platform,
    troubles: Troubles,
    farms: Farms,
    totals: SharedTotals,
}

impl Ledger {
    pub(crate) fn open(
        store: Arc<dyn Store>,
        platform: Platform,
        troubles: Troubles,
        farms: Farms,
    ) -> Result<Self, EngineError> {
        let state = Arc::new(store.load()?);
        Ok(Self {
            published: Published(Arc::new(RwLock::new(Arc::clone(&state)))),
            state,
            store,
            platform,
            troubles,
            farms,
            totals: SharedTotals::default(),
        })
    }

    /// The last committed state, for readers: getting it waits for no change.
    pub(crate) fn published(&self) -> Published {
        self.published.clone()
    }

    /// What has been completed since the start, for readers.
    pub(crate) fn totals(&self) -> SharedTotals {
        self.totals.clone()
    }

    /// Finds a run. A run that ended long ago is read from the store.
    pub(crate) async fn run(&self, id: RunId) -> Result<Run, EngineError> {
        let found = match self.state.runs.get(&id) {
            Some(run) => Some(run.clone()),
            None => {
                let store = Arc::clone(&self.store);
                let read = self.platform.on_disk(move || store.run(id));
                read.await.map_err(|error| EngineError::Task(error.to_string()))??
            }
        };
        found.ok_or_else(|| no_run(id))
    }

    /// The revision of the next commit.
    pub(crate) fn next_revision(&self) -> u64 {
        self.state.next_revision()
    }

    /// Commits changes that were computed from this ledger while it was locked, records the differences and logs them.
    /// A conflict means that another process writes to the store.
    pub(crate) async fn write(&mut self, changes: Vec<Change>, events: Vec<NewEvent>) -> Result<u64, EngineError> {
        let changed = audit::changed(&self.state, &changes);
        let events = audit::with_changed(events, changed, self.platform.clock.now());
        let farms = self.farms.get();
        let changes = changes.into_iter().map(|change| with_names(change, &farms)).collect::<Vec<_>>();
        let logged: Vec<(NewEvent, Option<String>)> =
            events.iter().map(|event| (event.clone(), audit::farms_of(event, &self.state, &changes, &farms))).collect();
        let completed = completed(&self.state, &changes, &events, &farms, self.platform.clock.now());
        match self.commit(changes, events).await {
            Ok(revision) => {
                self.totals.add(completed);
                logged.iter().for_each(|(event, farm)| audit::log(event, farm.as_deref()));
                Ok(revision)
            }
            Err(EngineError::Store(error @ StoreError::Conflict { .. })) => {
                tracing::error!("another process writes to the store: {}", chain(&error));
                Err(error.into())
            }
            Err(error) => Err(error),
        }
    }

    /// Writes a transaction that must be recorded exactly once. `then` is called once the transaction is in the store,
    /// also if the disk has kept a transaction that it reported as failed.
    pub(crate) async fn write_once(
        &mut self,
        changes: Vec<Change>,
        events: Vec<NewEvent>,
        then: impl FnOnce() + Send,
    ) -> Result<(), EngineError> {
        let before = self.state.revision;
        let written = self.write(changes, events).await;
        if self.state.revision > before {
            then();
        }
        written.map(drop)
    }

    /// Commits changes to the store, then makes them visible in memory.
    async fn commit(&mut self, changes: Vec<Change>, events: Vec<NewEvent>) -> Result<u64, EngineError> {
        let (store, transaction) =
            (Arc::clone(&self.store), Transaction { expect: self.state.revision, changes, events });
        let written = self.platform.on_disk(move || store.commit(&transaction).map(|revision| (revision, transaction)));
        let written = written.await.map_err(|error| EngineError::Task(error.to_string()));
        self.troubles.of_store(written.as_ref().ok().map(Result::as_ref), &self.platform.clock);
        match written.and_then(|written| Ok(written?)) {
            Ok((revision, transaction)) => {
                // The state is copied only if a reader still uses the previous one.
                self.published.change(&mut self.state, |state| {
                    Arc::make_mut(state).apply(&transaction.changes, revision);
                });
                Ok(revision)
            }
            Err(error) => {
                // A failing disk may have kept a transaction that it reported as failed; only the store can tell.
                self.load_again().await;
                Err(error)
            }
        }
    }

    async fn load_again(&mut self) {
        let store = Arc::clone(&self.store);
        match self.platform.on_disk(move || store.load()).await {
            Ok(Ok(new)) => self.published.change(&mut self.state, |state| *state = Arc::new(new)),
            Ok(Err(error)) => tracing::error!("the store cannot be read again: {}", chain(&error)),
            Err(error) => tracing::error!("the store cannot be read again: {error}"),
        }
    }

    /// Removes runs from memory that were deleted from the store.
    pub(crate) fn forget_runs(&mut self, gone: &BTreeSet<RunId>) {
        self.published.change(&mut self.state, |state| Arc::make_mut(state).forget_runs(gone));
    }

    /// Records events that change no state and do not belong in the daemon's log, such as the output of hooks.
    pub(crate) async fn record(&self, events: Vec<NewEvent>) -> Result<(), EngineError> {
        let store = Arc::clone(&self.store);
        let written = self.platform.on_disk(move || store.record(&events));
        let written = written.await.map_err(|error| EngineError::Task(error.to_string()))?;
        self.troubles.of_store(Some(written.as_ref()), &self.platform.clock);
        written.map_err(Into::into)
    }

    /// Counts the events of one kind that belong to a run.
    pub(crate) async fn tally(&self, run: RunId, kind: &'static str) -> Result<Tally, EngineError> {
        let store = Arc::clone(&self.store);
        let counted = self.platform.on_disk(move || store.tally(run, kind));
        counted.await.map_err(|error| EngineError::Task(error.to_string()))?.map_err(Into::into)
    }
}

/// The error for a run that does not exist.
pub(crate) fn no_run(id: RunId) -> EngineError {
    EngineError::NotFound(Message::new(format!("there is no run {id}")).hint("`teeter runs` lists the latest runs"))
}

/// The last committed state. Clones share it.
#[derive(Clone)]
pub(crate) struct Published(Arc<RwLock<Arc<State>>>);

impl Published {
    pub(crate) fn get(&self) -> Arc<State> {
        Arc::clone(&read(&self.0))
    }

    /// Changes the published state and makes the ledger's `own` reference the same.
    fn change(&self, own: &mut Arc<State>, change: impl FnOnce(&mut Arc<State>)) {
        let mut published = write(&self.0);
        *own = Arc::default();
        change(&mut published);
        *own = Arc::clone(&published);
    }
}

/// Stores the names of its members in a hold, so that the hold keeps them when the configuration changes.
fn with_names(change: Change, farms: &BTreeMap<FarmName, Farm>) -> Change {
    match change {
        Change::PutHold(mut hold) => {
            let lines = hold.entries.iter().map(|entry| &entry.server);
            hold.names = std::mem::take(&mut hold.names).and(LineNames::from_farms(lines, farms));
            Change::PutHold(hold)
        }
        other => other,
    }
}
