//! What the engine remembers between two passes and may forget: samples, answers to probes, why holds and runs wait.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use jiff::Timestamp;
use tokio::task::AbortHandle;
use tokio::time::Instant;

use crate::engine::runs::watching::Watching;
use crate::farm::{FarmName, Hold, HoldId, InstanceName, MemberName, Process, RunId, Stage};
use crate::plan::verify::ProbeResult;
use crate::plan::warm_up::Warmth;
use crate::plan::{Attendant, Curve, DrainWatch, Wait};
use crate::platform::lock;
use crate::state::{DrainRecord, State, WatchRecord};

/// What is remembered between two passes over holds and runs.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    pub(super) holds: BTreeMap<HoldId, HoldMemory>,
    pub(super) runs: BTreeMap<RunId, RunMemory>,
    pub(super) instances: BTreeMap<InstanceName, InstanceMemory>,
    /// Since when every HAProxy has had a route on all of its farm.
    pub(super) settled: BTreeMap<FarmName, Timestamp>,
    /// When the driver last began a pass over holds and runs.
    pub(super) looked: Option<Instant>,
}

/// What is remembered of one run.
#[derive(Debug, Default)]
pub(crate) struct RunMemory {
    pub(super) wait: Option<Wait>,
    /// From when on this teeterd drives the run.
    pub(super) driven_from: Option<Timestamp>,
    /// The caller that attends to the run, and over how many connections.
    pub(super) attending: Option<(Attendant, usize)>,
    /// Whether a caller has attended since this teeterd was started.
    pub(super) attended: bool,
    /// Requests to the members of the run, and their answers.
    pub(super) asking: Option<Probing>,
    /// The drains that the store has for views of the run.
    pub(super) drains: Option<Arc<KnownDrains>>,
    /// What both sides of its watches are given.
    pub(super) watching: Watching,
}

/// Drains in the store, for views of one run.
#[derive(Debug)]
pub(super) struct KnownDrains {
    /// The revision of the state at which they were read.
    pub(super) revision: u64,
    /// The drains of the run.
    pub(super) of_run: Vec<DrainRecord>,
    /// The watches of the run that have ended.
    pub(super) watches: Vec<WatchRecord>,
    /// The lengths of earlier drains of its farm; none while the run does not drain.
    pub(super) earlier: Vec<Duration>,
}

/// What is remembered of one HAProxy.
#[derive(Debug, Default)]
pub(crate) struct InstanceMemory {
    /// The process that was last recorded.
    pub(super) process: Option<Process>,
    /// How many changes made outside teeter have been recorded.
    pub(super) drifts: usize,
}

/// What the lines that join a hold were last worked out from: its revision, and the lines of each HAProxy that answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Joined {
    pub(super) revision: u64,
    pub(super) lines: BTreeMap<InstanceName, u64>,
}

/// What is remembered of one hold, as long as it does not change.
#[derive(Debug, Default)]
pub(super) struct HoldMemory {
    /// The revision of the hold at which this memory began.
    revision: u64,
    /// Since when this teeterd has driven the hold without a break: the times of waits do not count before.
    pub(super) from: Option<Timestamp>,
    pub(super) watch: DrainWatch,
    /// What was in flight since the drain began.
    pub(super) curve: Curve,
    pub(super) joined: Option<Joined>,
    /// The last sample of each instance that was counted.
    pub(super) samples: BTreeMap<InstanceName, u64>,
    pub(super) wait: Option<Wait>,
    pub(super) probing: Option<Probing>,
    pub(super) warming: Option<Asking<Warmth>>,
}

/// The answers of members so far.
pub(super) type Results<T> = Arc<Mutex<BTreeMap<MemberName, T>>>;

/// Probes that have begun.
pub(super) type Probing = Asking<ProbeResult>;

/// Members that are asked, each by a task of its own, and their answers so far.
#[derive(Debug)]
pub(super) struct Asking<T> {
    /// When the phase of the verification, or the step of the run, began for which they are asked.
    pub(super) since: Timestamp,
    pub(super) results: Results<T>,
    pub(super) tasks: BTreeMap<MemberName, AbortHandle>,
}

impl<T> Asking<T> {
    /// No member has been asked yet.
    pub(super) fn new(since: Timestamp) -> Self {
        Self { since, results: Results::default(), tasks: BTreeMap::new() }
    }
}

/// Stores the answer of a member.
pub(super) fn put<T>(results: &Results<T>, member: &MemberName, result: T) {
    lock(results).insert(member.clone(), result);
}

impl<T> Drop for Asking<T> {
    fn drop(&mut self) {
        self.tasks.values().for_each(AbortHandle::abort);
    }
}

impl Memory {
    /// The memory of a hold; it begins anew when the hold has changed.
    pub(super) fn for_hold(&mut self, hold: &Hold) -> &mut HoldMemory {
        let memory = self.holds.entry(hold.id).or_default();
        if memory.revision != hold.revision {
            let (watch, from) = (memory.watch.again(hold), memory.from);
            let draining = matches!(hold.stage, Stage::Draining(_));
            let curve = if draining { std::mem::take(&mut memory.curve) } else { Curve::default() };
            *memory = HoldMemory { revision: hold.revision, from, watch, curve, ..HoldMemory::default() };
        }
        memory
    }

    /// What the lines that join a hold were last worked out from, without forgetting anything of the hold.
    pub(super) fn joined(&self, id: HoldId) -> Option<&Joined> {
        self.holds.get(&id)?.joined.as_ref()
    }

    /// What is remembered of a run; nothing yet where it is new.
    pub(super) fn run(&mut self, id: RunId) -> &mut RunMemory {
        self.runs.entry(id).or_default()
    }

    /// The caller that attends to a run now.
    pub(super) fn attendant(&self, id: RunId) -> Option<Attendant> {
        self.runs.get(&id)?.attending.as_ref().map(|(attendant, _)| attendant.clone())
    }

    /// Notes that holds and runs were not looked at for a while, until now.
    pub(super) fn resume(&mut self, now: Timestamp) {
        for run in self.runs.values_mut() {
            run.driven_from = run.driven_from.map(|_| now);
        }
        self.settled.clear();
        self.holds.values_mut().for_each(|hold| hold.from = Some(now));
    }

    /// Forgets holds, runs and routes that the state does not have any more.
    pub(super) fn retain(&mut self, state: &State) {
        self.holds.retain(|id, _| state.holds.contains_key(id));
        self.runs.retain(|id, run| state.runs.contains_key(id) || run.attending.is_some());
        self.settled.retain(|farm, _| state.routes.contains_key(farm));
    }
}
