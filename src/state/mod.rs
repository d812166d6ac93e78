//! The state that decisions are made from, and its changes: holds, baselines, routes and runs.
//!
//! Pure: `store` keeps the state on disk, `engine` keeps it in memory.

mod baseline;
mod caller;
mod drained;
mod effects;
mod event;
mod observed;
mod route;
mod share;
mod versions;
mod watched;

use std::collections::{BTreeMap, BTreeSet};

use crate::farm::{Baseline, Entry, FarmName, Hold, HoldId, Route, RunId, Side};
use crate::plan::Run;

pub use caller::{Caller, Login};
pub use drained::{DrainOutcome, DrainRecord};
pub use effects::Effects;
pub use event::{Changed, Event, NewEvent, asked, event};
pub use observed::{Observed, ObservedInstance};
pub use watched::WatchRecord;

/// The stored state that decisions are made from.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct State {
    /// Rises with every transaction.
    pub revision: u64,
    /// The number that the next hold gets.
    pub next_hold: u64,
    /// The number that the next run gets.
    pub next_run: u64,
    /// Every hold, by its number.
    pub holds: BTreeMap<HoldId, Hold>,
    /// The state of each server before its first hold.
    pub baselines: BTreeMap<Entry, Baseline>,
    /// The routes of farms whose traffic teeter has switched.
    pub routes: BTreeMap<FarmName, Route>,
    /// Every run that has not ended or still has holds, and the latest of the others.
    pub runs: BTreeMap<RunId, Run>,
}

/// Changes of which all are made, or none.
#[derive(Debug, Clone, Default)]
pub struct Transaction {
    /// The revision that the changes were worked out from.
    pub expect: u64,
    /// The changes, in the order in which they are applied.
    pub changes: Vec<Change>,
    /// The events that are recorded with the changes.
    pub events: Vec<NewEvent>,
}

/// One change of the state.
#[derive(Debug, Clone)]
pub enum Change {
    /// Add a hold, or replace the hold with its number.
    PutHold(Box<Hold>),
    /// Remove a hold.
    DropHold(HoldId),
    /// Store the state of a server before its first hold.
    PutBaseline(Entry, Baseline),
    /// Forget the state of a server before its first hold, because it has been restored.
    DropBaseline(Entry),
    /// Switch a farm's route, or change its record.
    PutRoute(Box<Route>),
    /// Stop managing a farm's route: other programs may change it.
    DropRoute(FarmName),
    /// Add a run, or replace the run with its number.
    PutRun(Box<Run>),
    /// Keep the record of a drain that has ended. No decision needs it: only the store has it.
    AddDrain(Box<DrainRecord>),
    /// Keep the record of a watch that has ended. No decision needs it: only the store has it.
    AddWatch(Box<WatchRecord>),
}

/// The number of runs that are kept in memory, whether they have ended or not.
pub const REMEMBERED: u64 = 200;

impl State {
    /// The revision that the next transaction gets.
    pub fn next_revision(&self) -> u64 {
        self.revision + 1
    }

    /// The side that gets a farm's traffic; `None` where teeter has not switched the route.
    pub fn live(&self, farm: &FarmName) -> Option<Side> {
        self.routes.get(farm).map(|route| route.live.clone())
    }

    /// Whether teeterd has sent HAProxy commands for this state: then an earlier teeterd may have left replies unread.
    pub fn has_sent_commands(&self) -> bool {
        !self.baselines.is_empty() || !self.routes.is_empty()
    }

    /// Applies changes that the store has committed as `revision`.
    pub fn apply(&mut self, changes: &[Change], revision: u64) {
        self.revision = revision;
        for change in changes {
            match change {
                Change::PutHold(hold) => {
                    self.next_hold = self.next_hold.max(hold.id.0 + 1);
                    self.holds.insert(hold.id, (**hold).clone());
                }
                Change::DropHold(id) => {
                    self.holds.remove(id);
                }
                Change::PutBaseline(entry, baseline) => {
                    self.baselines.insert(entry.clone(), baseline.clone());
                }
                Change::DropBaseline(entry) => {
                    self.baselines.remove(entry);
                }
                Change::PutRoute(route) => {
                    self.routes.insert(route.farm.clone(), (**route).clone());
                }
                Change::DropRoute(farm) => {
                    self.routes.remove(farm);
                }
                Change::PutRun(run) => {
                    self.next_run = self.next_run.max(run.id.0 + 1);
                    self.runs.insert(run.id, (**run).clone());
                }
                Change::AddDrain(_) | Change::AddWatch(_) => {}
            }
        }
        self.forget_ended();
    }

    /// Forgets runs that were deleted from the store.
    pub fn forget_runs(&mut self, deleted: &BTreeSet<RunId>) {
        self.runs.retain(|id, _| !deleted.contains(id));
    }

    /// Forgets runs that have ended, except the latest runs and those that still have holds. The store keeps all runs.
    fn forget_ended(&mut self) {
        let since = RunId(self.next_run.saturating_sub(REMEMBERED));
        if self.runs.first_key_value().is_none_or(|(first, _)| *first >= since) {
            return;
        }
        let holding: BTreeSet<RunId> = self.holds.values().filter_map(|hold| hold.owner.run()).collect();
        self.runs.retain(|id, run| *id >= since || run.is_active() || holding.contains(id));
    }
}
