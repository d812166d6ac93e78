//! Joins what HAProxy reports, what the store has, and what `plan` decides.
//!
//! Requests change the store and wait until HAProxy agrees. A background task drives every hold and run whenever a
//! HAProxy has reported or a time has come; the pure functions of `plan` decide what follows.

mod driver;
mod error;
mod farms;
mod fleet;
mod holds;
mod memory;
mod prober;
mod record;
mod retired;
mod runs;
mod verify;
mod views;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use tokio::sync::watch;
use tokio::time::Instant;

use self::farms::Farms;
use self::fleet::Fleet;
use self::memory::Memory;
use self::record::Record;
use crate::farm::{Farm, FarmName, HoldsSettings, InstanceName};
use crate::haproxy::{Client, Master};
use crate::platform::{Clock, Platform, chain, lock};
use crate::reconcile::{MapWriters, Setup};
use crate::state::{Event, event};
use crate::store::{EventQuery, Store};

pub use self::error::{EngineError, Message};
pub use self::holds::guard::OutagePolicy;
pub use self::holds::release::ReleaseOrder;
pub use self::holds::take::HoldOrder;
pub use self::prober::{Answer, Prober};
pub use self::record::requester::{CancelOnDrop, Requester};
pub use self::record::retention::Retention;
pub use self::record::totals::{BOUNDS, Durations, RunEnd, Totals};
pub use self::record::troubles::Troubles;
pub use self::retired::left_over::Retired;
pub use self::runs::callers::{Attendance, Claim, Introduction};
pub use self::runs::hook_output::{HOOK_OUTPUT, HookLine};
pub use self::runs::order::{DrainChange, RollingChange, RunOrder};
pub use self::views::doctor;
pub use self::views::numbers::{ActiveState, HaproxyNumbers, HoldNumbers, HoldStage, Numbers};
pub use crate::reconcile::ANSWER_TAKES;

/// The engine: everything that teeterd does to HAProxy and the store, behind one handle.
pub struct Engine {
    fleet: Fleet,
    record: Arc<Record>,
    memory: Mutex<Memory>,
    prober: Arc<dyn Prober>,
    clock: Clock,
    platform: Platform,
    /// When the engine was started.
    begun: Instant,
    /// How many passes over holds and runs have begun.
    passes: AtomicU64,
}

impl Engine {
    /// Opens the store's state, starts to observe every HAProxy by its stats socket and, if there is one, its master's
    /// socket, and starts to drive the stored holds and runs.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn start(
        farms: BTreeMap<FarmName, Farm>,
        holds: HoldsSettings,
        haproxies: Vec<(InstanceName, Client, Option<Master>)>,
        store: Arc<dyn Store>,
        prober: Arc<dyn Prober>,
        platform: Platform,
    ) -> Result<Arc<Self>, EngineError> {
        let clock = platform.clock;
        let farms = Farms::new(farms);
        let record = Arc::new(Record::open(store, platform.clone(), farms.clone())?);
        let setup = Setup {
            maps: MapWriters::new(platform.clone()),
            resumes: record.state().has_sent_commands(),
            nudge: Arc::default(),
        };
        let engine = Arc::new(Self {
            fleet: Fleet::start(farms, holds, haproxies, &setup),
            record,
            memory: Mutex::default(),
            prober,
            clock,
            platform,
            begun: clock.mark(),
            passes: AtomicU64::new(0),
        });
        {
            let mut ledger = engine.record.lock().await;
            engine.record.correct_clock_set_back(&mut ledger).await?;
            engine.restart_verifications(&mut ledger).await?;
            while engine.take_over_renamed(&mut ledger, &engine.fleet.reports()).await? {}
            engine.warn_of_left_over(&ledger.state);
            engine.fleet.publish(&ledger.state);
        }
        engine.fleet.maps.sweep(engine.fleet.farms().values());
        engine.platform.spawn(record::retention::prune_hourly(Arc::downgrade(&engine.record)));
        engine.platform.spawn(driver::drive(Arc::downgrade(&engine), setup.nudge));
        Ok(engine)
    }

    /// Replaces the farms, and the settings for holds on servers that no farm has. Runs go on with the plan they were
    /// begun with.
    pub async fn set_farms(&self, farms: BTreeMap<FarmName, Farm>, holds: HoldsSettings) {
        self.fleet.set_farms(farms, holds);
        let ledger = self.record.lock().await;
        let happened =
            event(self.clock.now(), "config.read", "the configuration was read again".to_owned(), None, None);
        if let Err(error) = ledger.record(vec![happened]).await {
            tracing::warn!("cannot record that the configuration was read again: {}", chain(&error));
        }
        // From now on the observers look up the map entries of the new routes.
        self.fleet.publish(&ledger.state);
    }

    /// A counter that rises when a view may have changed.
    pub fn ticks(&self) -> watch::Receiver<u64> {
        self.fleet.ticks()
    }

    /// Carries a change out to its end, even if the client disconnects.
    ///
    /// # Errors
    /// The daemon is stopping.
    pub async fn carry_through<T: Send + 'static>(
        &self,
        change: impl Future<Output = T> + Send + 'static,
    ) -> Result<T, EngineError> {
        let stopping = |error: tokio::task::JoinError| EngineError::Stopping(error.to_string());
        self.platform.spawn(change).await.map_err(stopping)
    }

    /// Answers a reader on the threads of readers. The work goes on to its end when the reader disconnects.
    ///
    /// # Errors
    /// The daemon is stopping.
    pub async fn for_reader<T: Send + 'static>(
        &self,
        read: impl Future<Output = T> + Send + 'static,
    ) -> Result<T, EngineError> {
        let stopping = |error: tokio::task::JoinError| EngineError::Stopping(error.to_string());
        self.platform.spawn_for_reader(read).await.map_err(stopping)
    }

    /// Reads recorded events.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn events(&self, query: EventQuery) -> Result<Vec<Event>, EngineError> {
        self.record.events(query).await
    }

    /// Sets which HAProxy instances may be away: drains and deploys go on without them while they do not answer.
    pub fn set_may_be_away(&self, names: BTreeSet<InstanceName>) {
        self.fleet.set_may_be_away(names);
    }

    /// Notes the other process that works with a HAProxy as this one does, or that there is none.
    pub fn set_rival(&self, haproxy: &InstanceName, rival: Option<String>) {
        self.fleet.set_rival(haproxy, rival);
    }

    /// Sets what is kept in the store, and prunes the rest from now on.
    pub fn set_retention(&self, retention: Arc<dyn Retention>) {
        self.record.set_retention(retention);
    }

    /// Notes that a part of teeterd itself does not work or, with `None`, works again.
    pub fn set_trouble(&self, about: &'static str, words: Option<String>) {
        match words {
            Some(words) => self.record.troubles.set(about, words, &self.clock),
            None => self.record.troubles.clear(about),
        }
    }

    /// The endless tasks, each with a number that rises in every round: the observer of each HAProxy, and the task that
    /// drives holds and runs.
    pub fn progress(&self) -> Vec<(String, u64)> {
        let driver = ("the driver of holds and runs".to_owned(), self.passes.load(Ordering::Relaxed));
        self.fleet.progress().chain([driver]).collect()
    }

    /// The clock of the engine.
    pub fn clock(&self) -> Clock {
        self.clock
    }

    fn memory(&self) -> std::sync::MutexGuard<'_, Memory> {
        // The memory holds only hints: after a panic they are at worst out of date.
        lock(&self.memory)
    }
}
