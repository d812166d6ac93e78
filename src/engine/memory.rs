//! What is remembered between two looks and may be forgotten: samples, answers to probes, why something waits.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;
use tokio::task::AbortHandle;
use tokio::time::Instant;

use crate::engine::holds::join::Joined;
use crate::farm::{FarmName, Hold, HoldId, InstanceName, MemberName, Process, RunId};
use crate::plan::verify::ProbeResult;
use crate::plan::warm_up::Warmth;
use crate::plan::{Attendant, DrainWatch, Wait};
use crate::state::State;

/// What is remembered between two looks.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    pub(super) holds: BTreeMap<HoldId, HoldMemory>,
    pub(super) run_waits: BTreeMap<RunId, Wait>,
    /// From when on each run is driven by this teeterd.
    pub(super) taken_up: BTreeMap<RunId, Timestamp>,
    /// Who attends to each run, over how many connections.
    pub(super) attending: BTreeMap<RunId, (Attendant, usize)>,
    /// Runs that this teeterd has been told of by who attends to them.
    pub(super) met: BTreeSet<RunId>,
    /// What runs have asked their members.
    pub(super) asking: BTreeMap<RunId, Probing>,
    /// The process of each HAProxy that was last seen.
    pub(super) processes: BTreeMap<InstanceName, Process>,
    /// How many changes by others have been recorded, of each HAProxy.
    pub(super) drifts: BTreeMap<InstanceName, usize>,
    /// Since when each route has been turned to all of its farm, and every HAProxy has it so.
    pub(super) settled: BTreeMap<FarmName, Timestamp>,
    /// What the lines that join each hold were last worked out from.
    pub(super) joined: BTreeMap<HoldId, Joined>,
    /// When holds and runs were last looked at.
    pub(super) looked: Option<Instant>,
}

/// What is remembered of one hold, as long as it does not change.
#[derive(Debug, Default)]
pub(super) struct HoldMemory {
    /// The revision of the hold that this is about.
    revision: u64,
    /// From when on this teeterd has looked at it without a break: what it waits for is not counted before.
    pub(super) from: Option<Timestamp>,
    pub(super) watch: DrainWatch,
    /// The last sample of each instance that was counted.
    pub(super) samples: BTreeMap<InstanceName, u64>,
    pub(super) wait: Option<Wait>,
    pub(super) probing: Option<Probing>,
    pub(super) warming: Option<Asking<Warmth>>,
}

/// What members have answered.
pub(super) type Results<T> = Arc<Mutex<BTreeMap<MemberName, T>>>;

/// Probes that are under way.
pub(super) type Probing = Asking<ProbeResult>;

/// Members that are being asked, each by a task of its own, and what is known of their answers.
#[derive(Debug)]
pub(super) struct Asking<T> {
    /// The part of a proof that this belongs to.
    pub(super) since: Timestamp,
    pub(super) results: Results<T>,
    pub(super) tasks: BTreeMap<MemberName, AbortHandle>,
}

impl<T> Asking<T> {
    /// Where nobody has been asked yet.
    pub(super) fn new(since: Timestamp) -> Self {
        Self { since, results: Results::default(), tasks: BTreeMap::new() }
    }
}

/// Notes what a member has answered.
pub(super) fn put<T>(results: &Results<T>, member: &MemberName, result: T) {
    results.lock().unwrap_or_else(PoisonError::into_inner).insert(member.clone(), result);
}

impl<T> Drop for Asking<T> {
    fn drop(&mut self) {
        self.tasks.values().for_each(AbortHandle::abort);
    }
}

impl Memory {
    /// What is remembered of a hold; begun anew where the hold has changed.
    pub(super) fn of(&mut self, hold: &Hold) -> &mut HoldMemory {
        let memory = self.holds.entry(hold.id).or_default();
        if memory.revision != hold.revision {
            let (watch, from) = (memory.watch.again(hold), memory.from);
            *memory = HoldMemory { revision: hold.revision, from, watch, ..HoldMemory::default() };
        }
        memory
    }

    /// Notes that nothing was looked at for a while, until now.
    pub(super) fn resume(&mut self, now: Timestamp) {
        self.taken_up.values_mut().for_each(|from| *from = now);
        self.settled.clear();
        self.holds.values_mut().for_each(|hold| hold.from = Some(now));
    }

    /// Forgets what is gone.
    pub(super) fn retain(&mut self, state: &State) {
        self.holds.retain(|id, _| state.holds.contains_key(id));
        self.joined.retain(|id, _| state.holds.contains_key(id));
        self.run_waits.retain(|id, _| state.runs.contains_key(id));
        self.met.retain(|id| state.runs.contains_key(id));
        self.taken_up.retain(|id, _| state.runs.contains_key(id));
        self.settled.retain(|farm, _| state.routes.contains_key(farm));
    }
}
