//! The only way to the store: the ledger, the requester of a change, the record of each change, and the pruning of old
//! records.

pub(crate) mod audit;
pub(crate) mod clock_set_back;
pub(crate) mod ledger;
pub(crate) mod requester;
pub(crate) mod retention;
pub(crate) mod totals;
pub(crate) mod troubles;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::{Mutex as AsyncMutex, MutexGuard};
use tokio::time::Instant;

use self::ledger::{Ledger, Published};
use self::requester::Requester;
use self::totals::{SharedTotals, Totals};
use self::troubles::{STORE, Troubles};
use crate::engine::error::EngineError;
use crate::engine::farms::Farms;
use crate::platform::{Platform, lock};
use crate::state::{Event, State};
use crate::store::{EventQuery, Store, StoreError};

/// The store and the state that was last committed to it.
pub(crate) struct Record {
    ledger: AsyncMutex<Ledger>,
    published: Published,
    totals: SharedTotals,
    store: Arc<dyn Store>,
    pub(crate) troubles: Troubles,
    retention: retention::RetentionSetting,
    /// When [`Record::try_the_store`] last wrote to the store.
    tried: Mutex<Option<Instant>>,
    platform: Platform,
}

impl Record {
    /// Loads the state.
    ///
    /// # Errors
    /// The store cannot be read.
    pub(crate) fn open(store: Arc<dyn Store>, platform: Platform, farms: Farms) -> Result<Self, EngineError> {
        let troubles = Troubles::default();
        let ledger = Ledger::open(Arc::clone(&store), platform.clone(), troubles.clone(), farms)?;
        Ok(Self {
            published: ledger.published(),
            totals: ledger.totals(),
            ledger: AsyncMutex::new(ledger),
            store,
            troubles,
            retention: retention::RetentionSetting::new(None),
            tried: Mutex::default(),
            platform,
        })
    }

    /// Locks the ledger for the driver's own changes. Other changes wait until the guard is dropped.
    pub(crate) async fn lock(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().await
    }

    /// Locks the ledger for a change of this requester. From here on, the change is finished even if the requester
    /// disconnects.
    ///
    /// # Errors
    /// The requester disconnected before this call.
    pub(crate) async fn begin(&self, by: &Requester) -> Result<MutexGuard<'_, Ledger>, EngineError> {
        let ledger = self.ledger.lock().await;
        if by.begin() { Ok(ledger) } else { Err(EngineError::TakenBack) }
    }

    /// The last committed state. Waits for no change.
    pub(crate) fn state(&self) -> Arc<State> {
        self.published.get()
    }

    /// What has been completed since teeterd was started.
    pub(crate) fn totals(&self) -> Totals {
        self.totals.get()
    }

    /// The bytes that the store takes on the disk; `None` where it has no file.
    pub(crate) fn size(&self) -> Option<u64> {
        self.store.size()
    }

    /// Runs `work` with the store on a thread that may wait for the disk.
    ///
    /// # Errors
    /// The store cannot be read, or the daemon is stopping.
    pub(crate) async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&dyn Store) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, EngineError> {
        let store = Arc::clone(&self.store);
        let read = self.platform.on_disk(move || work(&*store));
        Ok(read.await.map_err(|error| EngineError::Task(error.to_string()))??)
    }

    /// Reads recorded events.
    ///
    /// # Errors
    /// The store cannot be read.
    pub(crate) async fn events(&self, query: EventQuery) -> Result<Vec<Event>, EngineError> {
        self.read(move |store| store.events(query)).await
    }

    /// Whether this process is the one that may write to the store.
    pub(crate) fn holds_lease(&self) -> bool {
        self.store.holds_lease()
    }

    /// What is wrong with the store as a whole, if anything.
    pub(crate) fn trouble(&self) -> Option<&str> {
        self.store.trouble()
    }

    /// Tries to write to the store, at most once in [`REFUSED_LATELY`], and sets or clears the trouble of the store.
    /// Only one page is written, so success does not clear the trouble if a larger change was refused within that time.
    pub(crate) async fn try_the_store(&self) {
        let now = self.platform.clock.mark();
        {
            let mut tried = lock(&self.tried);
            if tried.is_some_and(|before| now.duration_since(before) < REFUSED_LATELY) {
                return;
            }
            *tried = Some(now);
        }
        let store = Arc::clone(&self.store);
        let tried = self.platform.on_disk(move || store.try_to_write());
        let Ok(Ok(tried)) = tokio::time::timeout(DISK_TAKES, tried).await else { return };
        let refused = self.troubles.last(STORE).is_some_and(|last| last.elapsed() < REFUSED_LATELY);
        if tried.is_err() || !refused {
            self.troubles.of_store(Some(tried.as_ref()), &self.platform.clock);
        }
    }

    /// Tries again if the last refusal is at least [`REFUSED_LATELY`] old.
    pub(crate) async fn try_the_store_again(&self) {
        if self.troubles.last(STORE).is_some_and(|last| last.elapsed() >= REFUSED_LATELY) {
            self.try_the_store().await;
        }
    }
}

/// How long a refusal of the store counts. Changes that wait are tried again several times a second.
const REFUSED_LATELY: Duration = Duration::from_secs(5);

/// How long an attempt to write may take. After that, nothing is concluded from it.
const DISK_TAKES: Duration = Duration::from_secs(5);
