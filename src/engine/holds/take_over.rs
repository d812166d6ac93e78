//! Taking over servers that were put in maintenance or drain outside teeter.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use crate::engine::fleet::reports::Reports;
use crate::engine::holds::release::ReleaseOrder;
use crate::engine::record::ledger::Ledger;
use crate::farm::{Baseline, Entry, Hold, HoldId, InstanceName, Ladder, OnDeadline, Owner, Reach, Span, Stage, Stays};
use crate::haproxy::AdminState;
use crate::state::Change;

/// What is taken over.
#[derive(Default)]
pub(super) struct Taken {
    /// The new baselines: ready, for the time after the last hold.
    pub(super) baselines: Vec<Change>,
    /// The taken-over lines that no hold has.
    pub(super) free: BTreeSet<Entry>,
    /// The strictest state that the free lines are in.
    pub(super) mode: AdminState,
}

/// The lines that HAProxy has in maintenance or drain, with that state.
pub(super) fn lines_out(entries: &BTreeSet<Entry>, reports: &Reports) -> BTreeMap<Entry, AdminState> {
    let state = |entry: &Entry| reports.server(entry).map(|server| server.admin.forced());
    let set = entries.iter().filter_map(|entry| Some((entry.clone(), state(entry)?)));
    set.filter(|(_, state)| *state > AdminState::Ready).collect()
}

/// Takes over lines that were set outside teeter: those of HAProxy that no hold has, and held ones by their baselines.
pub(super) fn take_over(entries: &BTreeSet<Entry>, ledger: &Ledger, reports: &Reports) -> Taken {
    let mut taken = Taken::default();
    let held = |entry: &Entry| ledger.state.holds.values().any(|hold| hold.entries.contains(entry));
    for (entry, was) in
        ledger.state.baselines.iter().filter(|(entry, was)| entries.contains(*entry) && was.state > AdminState::Ready)
    {
        let was = Baseline { state: AdminState::Ready, overruled: None, ..was.clone() };
        taken.baselines.push(Change::PutBaseline(entry.clone(), was));
    }
    let observed = reports.observed();
    for (entry, state) in lines_out(entries, reports).into_iter().filter(|(entry, _)| !held(entry)) {
        let Some(server) = observed.server(&entry) else { continue };
        let origin = observed.origin(&entry);
        let was = Baseline { state: AdminState::Ready, origin, ..server.baseline() };
        taken.baselines.push(Change::PutBaseline(entry.clone(), was));
        taken.mode = taken.mode.max(state);
        taken.free.insert(entry);
    }
    taken
}

/// The hold under which taken-over lines that no hold had are verified.
pub(super) fn hold_of_taken(
    id: HoldId,
    order: &ReleaseOrder,
    owner: &Owner,
    without: &BTreeSet<InstanceName>,
    taken: &Taken,
    now: Timestamp,
) -> Hold {
    let mode = taken.mode;
    let ladder = Ladder {
        first: mode,
        last: mode,
        grace: Span::default(),
        deadline: Span::default(),
        on_deadline: OnDeadline::Fail,
        stays: Stays::None,
        idle: false,
    };
    Hold {
        id,
        owner: owner.clone(),
        reason: "taken over from outside teeter".to_owned(),
        selectors: order.selectors.iter().map(ToString::to_string).collect(),
        entries: taken.free.clone(),
        since: now,
        expires: None,
        ladder,
        stage: Stage::Out { mode, at: now, left: 0 },
        first_out: false,
        revision: 0,
        note: None,
        reach: Reach { without: without.clone(), ..Reach::default() },
        names: Default::default(),
    }
}
