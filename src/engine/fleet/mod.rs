//! All HAProxy instances: their reports, their orders, looks at them, and instances that do not answer.

pub(crate) mod balances;
pub(crate) mod loads;
pub(crate) mod orders;
pub(crate) mod reach;
pub(crate) mod reads;
pub(crate) mod reports;
pub(crate) mod rivals;
pub(crate) mod select;
pub(crate) mod targets;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, RwLock};

use tokio::sync::{Notify, watch};

use self::reach::Reached;
use self::targets::{LookDepth, backends_of};
use crate::engine::error::{EngineError, Message};
use crate::engine::farms::Farms;
use crate::engine::fleet::reports::Reports;
use crate::farm::{Farm, FarmName, HoldsSettings, InstanceName, OnDrift, Selector, similar};
use crate::haproxy::{Client, Master, ServerRef};
use crate::platform::{read, write};
use crate::reconcile::{ANSWER_TAKES, Instance, MapWriters, Setup};

/// The HAProxy instances of the configuration, and the farms in them.
pub(crate) struct Fleet {
    farms: Farms,
    /// The settings of holds on servers that belong to no farm.
    holds: RwLock<HoldsSettings>,
    pub(crate) instances: BTreeMap<InstanceName, Instance>,
    may_be_away: RwLock<Arc<BTreeSet<InstanceName>>>,
    rivals: Mutex<BTreeMap<InstanceName, String>>,
    /// The writers of map files.
    pub(crate) maps: MapWriters,
    /// Wakes the driver of holds and runs.
    pub(crate) nudge: Arc<Notify>,
    /// Rises when a view may have changed.
    tick: watch::Sender<u64>,
}

impl Fleet {
    /// Starts to observe every instance, each through its stats socket and, if configured, the socket of its master.
    pub(crate) fn start(
        farms: Farms,
        holds: HoldsSettings,
        haproxies: Vec<(InstanceName, Client, Option<Master>)>,
        setup: &Setup,
    ) -> Self {
        let instance = |(name, client, master): (InstanceName, Client, Option<Master>)| {
            (name.clone(), Instance::start(name, client, master, setup))
        };
        Self {
            farms,
            holds: RwLock::new(holds),
            instances: haproxies.into_iter().map(instance).collect(),
            may_be_away: RwLock::default(),
            rivals: Mutex::default(),
            maps: setup.maps.clone(),
            nudge: Arc::clone(&setup.nudge),
            tick: watch::Sender::new(1),
        }
    }

    /// Takes over the farms and hold settings of a configuration that was read again.
    pub(crate) fn set_farms(&self, farms: BTreeMap<FarmName, Farm>, holds: HoldsSettings) {
        self.maps.sweep(farms.values());
        self.farms.set(farms);
        *write(&self.holds) = holds;
    }

    /// A number that rises when a view may have changed.
    pub(crate) fn ticks(&self) -> watch::Receiver<u64> {
        self.tick.subscribe()
    }

    /// For each observer, its name and a number that rises as long as it makes progress.
    pub(crate) fn progress(&self) -> impl Iterator<Item = (String, u64)> {
        self.instances.iter().map(|(name, instance)| (format!("the observer of {name}"), instance.progress()))
    }

    pub(crate) fn farms(&self) -> Arc<BTreeMap<FarmName, Farm>> {
        self.farms.get()
    }

    /// What teeter does when a held server is changed outside teeter.
    pub(crate) fn on_drift(&self, server: &ServerRef) -> OnDrift {
        let farms = self.farms();
        let farm = farms.values().find(|farm| farm.has(server));
        farm.map_or_else(|| self.default_hold_settings().on_drift, |farm| farm.settings.on_drift)
    }

    /// The settings of holds on servers that belong to no farm.
    pub(crate) fn default_hold_settings(&self) -> HoldsSettings {
        *read(&self.holds)
    }

    /// A farm of the configuration.
    pub(crate) fn farm(&self, name: &FarmName) -> Result<Farm, EngineError> {
        let farms = self.farms();
        farms.get(name).cloned().ok_or_else(|| {
            let known = farms.keys().map(FarmName::as_str).collect::<Vec<_>>().join(", ");
            let known =
                if known.is_empty() { "none is configured".to_owned() } else { format!("the farms are {known}") };
            let message = Message::new(format!("there is no farm {name}: {known}"));
            EngineError::NotFound(match similar(name.as_str(), farms.keys().map(FarmName::as_str)) {
                Some(similar) => message.hint(format!("did you mean {similar}?")),
                None => message,
            })
        })
    }

    pub(crate) fn bump(&self) {
        self.tick.send_modify(|tick| *tick += 1);
    }

    pub(crate) fn reports(&self) -> Reports {
        self.instances.iter().map(|(name, instance)| (name.clone(), instance.reports.borrow().clone())).collect()
    }

    /// Lets every observer look now, for a change.
    pub(crate) async fn look_again(&self) -> Reports {
        self.look(self.instances.values().map(|instance| instance.look_again(None))).await
    }

    /// Lets every observer look now, for a change that needs all HAProxy instances apart from those that may be away.
    pub(crate) async fn look_at_every(&self, without: &BTreeSet<InstanceName>) -> Result<Reached, EngineError> {
        let reports = self.look_again().await;
        self.reached(reports, without, |_| true)
    }

    /// Lets every observer look at the backends that these selectors may concern.
    pub(crate) async fn look_for(&self, selectors: &[Selector], depth: LookDepth) -> Reports {
        let farms = self.farms();
        let looks = self.instances.values().map(|instance| {
            let seen = instance.reports.borrow().seen.clone();
            instance.look_again(seen.and_then(|seen| backends_of(selectors, &farms, &seen, depth)))
        });
        let reports = self.look(looks).await;
        // A server that is not known yet may have been added since the last look at all backends.
        if self.resolve(selectors, &reports).is_ok() { reports } else { self.look_again().await }
    }

    async fn look(&self, looks: impl Iterator<Item = impl Future<Output = ()>>) -> Reports {
        // The reports show which instances have not answered in time.
        let _ = tokio::time::timeout(ANSWER_TAKES + ANSWER_TAKES, futures_util::future::join_all(looks)).await;
        self.reports()
    }
}
