//! The only place where the halves meet: what is seen, what is stored, what is decided.
//!
//! Requests change the store and wait until HAProxy agrees; a background task looks at every hold and run whenever
//! something was seen or a time has come, and lets the pure decisions of `plan` say what follows.

mod driver;
mod error;
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
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::Duration;

use tokio::sync::{Mutex as AsyncMutex, Notify, watch};
use tokio::time::Instant;

use self::fleet::reach::Reached;
use self::fleet::targets::{LookDepth, backends_of};
use self::memory::Memory;
use self::record::ledger::{Ledger, Published};
use crate::farm::{Farm, FarmName, HoldsSettings, InstanceName, OnDrift, Seen, Selector};
use crate::haproxy::{Client, Master, ServerRef};
use crate::platform::{Clock, Platform, chain};
use crate::reconcile::{Instance, InstanceReport, MapWriters, Setup};
use crate::state::event;
use crate::store::Store;

pub use self::error::EngineError;
pub use self::holds::guard::Guarding;
pub use self::holds::release::ReleaseOrder;
pub use self::holds::take::HoldOrder;
pub use self::prober::{Answer, Prober};
pub use self::record::requester::{Requester, Waiting};
pub use self::record::retention::Retention;
pub use self::record::troubles::Troubles;
pub use self::retired::left_over::Retired;
pub use self::runs::begin::{DrainChange, RollingChange, RunOrder};
pub use self::runs::callers::{Attendance, Claim, Introduction};
pub use self::runs::hook_output::{HOOK_OUTPUT, Said};
pub use self::views::doctor;

/// Everything that teeter does, behind one handle.
pub struct Engine {
    farms: RwLock<Arc<BTreeMap<FarmName, Farm>>>,
    /// For servers that no farm has.
    holds: RwLock<HoldsSettings>,
    instances: BTreeMap<InstanceName, Instance>,
    /// HAProxys that may be away.
    may_be_away: RwLock<Arc<BTreeSet<InstanceName>>>,
    ledger: AsyncMutex<Ledger>,
    /// The state of the ledger, for who only looks.
    published: Published,
    store: Arc<dyn Store>,
    memory: Mutex<Memory>,
    troubles: Troubles,
    retention: record::retention::Known,
    prober: Arc<dyn Prober>,
    clock: Clock,
    platform: Platform,
    /// The writers of map files.
    maps: MapWriters,
    /// When it was started.
    begun: Instant,
    /// Something was seen, answered or changed: look at holds and runs again.
    nudge: Arc<Notify>,
    /// How often holds and runs were looked at.
    passes: AtomicU64,
    /// Counts what views may show: rises when it may be worth looking again.
    tick: watch::Sender<u64>,
}

impl Engine {
    /// Opens the store's state and starts to observe every HAProxy, each by its stats socket and, where there is one,
    /// its master's socket, and to drive what is stored.
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
        let nudge = Arc::new(Notify::new());
        let clock = platform.clock;
        let troubles = Troubles::default();
        let ledger = Ledger::open(Arc::clone(&store), platform.clone(), troubles.clone())?;
        let setup = Setup {
            maps: MapWriters::new(platform.clone()),
            resumes: ledger.state.is_told(),
            nudge: Arc::clone(&nudge),
        };
        let instance = |(name, client, master): (InstanceName, Client, Option<Master>)| {
            (name.clone(), Instance::start(name, client, master, &setup))
        };
        let engine = Arc::new(Self {
            farms: RwLock::new(Arc::new(farms)),
            holds: RwLock::new(holds),
            instances: haproxies.into_iter().map(instance).collect(),
            may_be_away: RwLock::default(),
            published: ledger.published(),
            ledger: AsyncMutex::new(ledger),
            store,
            memory: Mutex::default(),
            troubles,
            retention: record::retention::Known::new(None),
            prober,
            clock,
            platform,
            maps: setup.maps,
            begun: clock.mark(),
            nudge,
            passes: AtomicU64::new(0),
            tick: watch::Sender::new(1),
        });
        {
            let mut ledger = engine.ledger.lock().await;
            engine.set_back(&mut ledger).await?;
            engine.prove_again(&mut ledger).await?;
            while engine.take_over_renamed(&mut ledger, &engine.reports()).await? {}
            engine.warn_of_left_over(&ledger.state);
            engine.publish(&ledger);
        }
        engine.maps.sweep(engine.farms().values());
        engine.platform.spawn(record::retention::tend(Arc::downgrade(&engine), engine.retention.subscribe()));
        engine.platform.spawn(driver::drive(Arc::downgrade(&engine), Arc::clone(&engine.nudge)));
        Ok(engine)
    }

    /// Takes over another set of farms, and what happens when somebody changes held servers that no farm has. Runs go
    /// on with the plan they were begun with.
    pub async fn set_farms(&self, farms: BTreeMap<FarmName, Farm>, holds: HoldsSettings) {
        self.maps.sweep(farms.values());
        *self.farms.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(farms);
        *self.holds.write().unwrap_or_else(PoisonError::into_inner) = holds;
        let ledger = self.ledger.lock().await;
        let happened =
            event(self.clock.now(), "config.read", "the configuration was read again".to_owned(), None, None);
        if let Err(error) = ledger.record(vec![happened]).await {
            tracing::warn!("that the configuration was read again is not recorded: {}", chain(&error));
        }
        // Other entries of maps are to be looked up from now on.
        self.publish(&ledger);
    }

    /// Counts the changes that views may show.
    pub fn ticks(&self) -> watch::Receiver<u64> {
        self.tick.subscribe()
    }

    /// Carries a change out to its end, whether or not somebody still waits for it.
    ///
    /// # Errors
    /// The daemon is stopping.
    pub async fn carry_through<T: Send + 'static>(
        &self,
        change: impl Future<Output = T> + Send + 'static,
    ) -> Result<T, EngineError> {
        let stopping = |error| EngineError::Unreachable(format!("teeterd is stopping: {error}"));
        self.platform.spawn(change).await.map_err(stopping)
    }

    /// What goes round for ever, each with a number that rises for as long as it does: the observer of each HAProxy, and
    /// the task that drives holds and runs.
    pub fn progress(&self) -> Vec<(String, u64)> {
        let observers = self.instances.iter().map(|(name, it)| (format!("the observer of {name}"), it.progress()));
        let driver = ("the driver of holds and runs".to_owned(), self.passes.load(Ordering::Relaxed));
        observers.chain([driver]).collect()
    }

    /// The clock that it goes by.
    pub fn clock(&self) -> Clock {
        self.clock
    }

    fn farms(&self) -> Arc<BTreeMap<FarmName, Farm>> {
        Arc::clone(&self.farms.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// What happens when somebody else changes a server while it is held.
    fn on_drift(&self, server: &ServerRef) -> OnDrift {
        let farms = self.farms();
        let farm = farms.values().find(|farm| farm.has(server));
        farm.map_or_else(|| self.of_holds_elsewhere().on_drift, |farm| farm.settings.on_drift)
    }

    /// What holds go by on servers that no farm has.
    fn of_holds_elsewhere(&self) -> HoldsSettings {
        *self.holds.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn memory(&self) -> std::sync::MutexGuard<'_, Memory> {
        // What is remembered is only ever a hint: after a panic it is at worst out of date.
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn bump(&self) {
        self.tick.send_modify(|tick| *tick += 1);
    }

    fn reports(&self) -> BTreeMap<InstanceName, InstanceReport> {
        self.instances.iter().map(|(name, instance)| (name.clone(), instance.reports.borrow().clone())).collect()
    }

    /// Looks at every HAProxy now, for a change.
    async fn look_again(&self) -> BTreeMap<InstanceName, InstanceReport> {
        self.look(self.instances.values().map(|instance| instance.look_again(None))).await
    }

    /// The same where nothing may be unknown, but for those that may be away.
    async fn look_at_every(&self, without: &BTreeSet<InstanceName>) -> Result<Reached, EngineError> {
        let reports = self.look_again().await;
        self.reached(reports, without, |_| true)
    }

    /// Looks at what these selectors may name, with what stands with it.
    async fn look_for(&self, selectors: &[Selector], care: LookDepth) -> BTreeMap<InstanceName, InstanceReport> {
        let farms = self.farms();
        let looks = self.instances.values().map(|instance| {
            let seen = instance.reports.borrow().seen.clone();
            instance.look_again(seen.and_then(|seen| backends_of(selectors, &farms, &seen, care)))
        });
        let reports = self.look(looks).await;
        // What is not known by now may have come since everything was looked at.
        if self.resolve(selectors, &reports).is_ok() { reports } else { self.look_again().await }
    }

    async fn look(
        &self,
        looks: impl Iterator<Item = impl Future<Output = ()>>,
    ) -> BTreeMap<InstanceName, InstanceReport> {
        tokio::time::timeout(ANSWER_TAKES + ANSWER_TAKES, futures_util::future::join_all(looks)).await.ok();
        self.reports()
    }
}

fn seen_of(reports: &BTreeMap<InstanceName, InstanceReport>) -> BTreeMap<InstanceName, &Seen> {
    reports.iter().filter_map(|(name, report)| Some((name.clone(), report.seen.as_deref()?))).collect()
}

/// How long HAProxy may take for one line. It answers in milliseconds unless it is stopped or drowning.
pub const ANSWER_TAKES: Duration = Duration::from_secs(5);
