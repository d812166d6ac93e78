//! The numbers behind the metrics, from what is in memory: reading them costs HAProxy and the store nothing.

use std::collections::BTreeMap;

use jiff::Timestamp;

use crate::engine::Engine;
use crate::engine::record::totals::Totals;
use crate::engine::runs::progress::wait_of;
use crate::farm::{FarmName, Hold, InstanceName, Owner, Stage};
use crate::plan::{Run, RunState, Wait};
use crate::state::State;

/// The numbers at one moment.
#[derive(Debug, Clone, Default)]
pub struct Numbers {
    /// Each HAProxy: whether it answers, and whether it agrees with what is stored.
    pub haproxys: BTreeMap<InstanceName, HaproxyNumbers>,
    /// Holds by stage, and whether they end by themselves.
    pub holds: BTreeMap<(HoldStage, bool), HoldNumbers>,
    /// Active runs by farm and state. A farm has one active run at most.
    pub runs: BTreeMap<(FarmName, ActiveState), u64>,
    /// For each active run that waits: its farm, and what it waits for, with the seconds since its step began.
    pub waits: BTreeMap<(FarmName, &'static str), f64>,
    /// The bytes that the store takes; `None` where it has no file.
    pub store_bytes: Option<u64>,
    /// What has been completed since teeterd was started.
    pub totals: Totals,
}

/// One HAProxy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HaproxyNumbers {
    /// Whether it answers.
    pub up: bool,
    /// Whether it agrees with what is stored.
    pub agrees: bool,
}

/// Holds of one stage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HoldNumbers {
    /// How many.
    pub count: u64,
    /// When the oldest of them began.
    pub oldest: Timestamp,
}

/// The stage of a hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs, reason = "each variant is the stage of that name")]
pub enum HoldStage {
    Draining,
    Stuck,
    Out,
    /// Out after a flip or a blue-green deploy has ended: the side that gets no traffic.
    Standby,
    Verifying,
    Shared,
    Verified,
}

/// The state of a run that has not ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs, reason = "each variant is the state of that name")]
pub enum ActiveState {
    Running,
    Paused,
    Failed,
    Aborting,
}

impl Engine {
    /// The numbers now, as of the last report of each HAProxy.
    pub fn numbers(&self) -> Numbers {
        let (state, reports) = (self.record.state(), self.fleet.reports());
        let mut numbers =
            Numbers { store_bytes: self.record.size(), totals: self.record.totals(), ..Numbers::default() };
        for (name, report) in &reports {
            let agrees = report.agrees(state.revision);
            numbers.haproxys.insert(name.clone(), HaproxyNumbers { up: report.reachable, agrees });
        }
        for hold in state.holds.values() {
            numbers.add_hold(hold, &state);
        }
        let (memory, now) = (self.memory(), self.clock.now());
        for run in state.runs.values().filter(|run| run.is_active()) {
            let farm = &run.plan.farm;
            *numbers.runs.entry((farm.clone(), active_state(run))).or_default() += 1;
            if let Some(wait) = wait_of(run, &memory) {
                let waited = now.duration_since(run.step.since).as_secs_f64().max(0.0);
                numbers.waits.insert((farm.clone(), waits_for(&wait)), waited);
            }
        }
        numbers
    }
}

impl Numbers {
    fn add_hold(&mut self, hold: &Hold, state: &State) {
        let run = hold.owner.run().and_then(|id| state.runs.get(&id));
        let is_standby = run.is_some_and(|run| !run.is_active() && run.plan.strategy.leaves_standby());
        let ends = match &hold.owner {
            Owner::Run(_) => run.is_some_and(Run::is_active),
            Owner::Operator(_) => hold.expires.is_some(),
        };
        let stage = match hold.stage {
            Stage::Out { .. } if is_standby => HoldStage::Standby,
            Stage::Draining(_) => HoldStage::Draining,
            Stage::Stuck { .. } => HoldStage::Stuck,
            Stage::Out { .. } => HoldStage::Out,
            Stage::Verifying(_) => HoldStage::Verifying,
            Stage::Shared { .. } => HoldStage::Shared,
            Stage::Verified { .. } => HoldStage::Verified,
        };
        let numbers = self.holds.entry((stage, ends)).or_insert(HoldNumbers { count: 0, oldest: hold.since });
        numbers.count += 1;
        numbers.oldest = numbers.oldest.min(hold.since);
    }
}

fn active_state(run: &Run) -> ActiveState {
    match run.state {
        RunState::Failed { .. } => ActiveState::Failed,
        RunState::Aborting => ActiveState::Aborting,
        _ if run.paused => ActiveState::Paused,
        _ => ActiveState::Running,
    }
}

/// What a run waits for, in one word.
fn waits_for(wait: &Wait) -> &'static str {
    match wait {
        Wait::Confirmation { .. } | Wait::Answer { .. } => "haproxy",
        Wait::InFlight { .. } | Wait::SecondSample { .. } | Wait::Idle { .. } => "requests",
        Wait::StickyClients { .. } => "sticky_clients",
        Wait::Work { .. } => "work",
        Wait::Paused => "pause",
        Wait::Caller { .. } | Wait::CallerStays { .. } => "caller",
        Wait::Asking { .. } | Wait::Probes { .. } | Wait::WarmUp { .. } | Wait::Checks { .. } => "verification",
        Wait::Up { .. } | Wait::Overruled { .. } | Wait::Others { .. } | Wait::LastServer { .. } | Wait::Hold => {
            "servers"
        }
        Wait::Settling { .. } => "settling",
        Wait::Baking { .. } | Wait::Verdict { .. } => "bake",
    }
}
