//! What a share of the traffic means for the store: an entry of the route, or weights.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::carry::hold_of;
use super::facts::seen_server;
use super::holds::baselines;
use super::ledger::Ledger;
use super::route::stored_route;
use crate::farm::{Canary, Entry, GroupName, Hold, HoldId, InstanceName, Percent, Route, Stage, weights};
use crate::plan::{Run, Undo};
use crate::reconcile::InstanceReport;
use crate::state::Change;

/// A share of the traffic that is to be given.
pub(super) struct Sharing<'a> {
    pub(super) run: &'a Run,
    /// Who gets it.
    pub(super) group: &'a GroupName,
    /// Who has the rest.
    pub(super) with: &'a GroupName,
    pub(super) share: Percent,
}

/// What is changed, how that is undone, and the holds that are new.
type Given = (Vec<Change>, Vec<Undo>, BTreeMap<GroupName, HoldId>);

impl Sharing<'_> {
    pub(super) fn changes(
        &self,
        next_hold: u64,
        ledger: &Ledger,
        reports: &BTreeMap<InstanceName, InstanceReport>,
        now: Timestamp,
    ) -> Given {
        if self.run.plan.flip.route.is_empty() {
            self.by_weights(next_hold, ledger, reports, now)
        } else {
            self.by_clients(ledger, reports)
        }
    }

    /// The map says how many clients in a hundred go to the group, whose servers are in.
    fn by_clients(&self, ledger: &Ledger, reports: &BTreeMap<InstanceName, InstanceReport>) -> Given {
        let before = stored_route(self.run, ledger, reports);
        let tried = |share| Some(Canary { group: self.group.clone(), share });
        let canary = tried(Some(self.share));
        let mut changes = vec![Change::PutRoute(Box::new(Route { canary, ..before.clone() }))];
        // What the map was told of the share is taken back, too, and not forgotten.
        let canary = before.canary.clone().or_else(|| tried(None));
        let mut undo = vec![Undo::Turn(Box::new(Route { canary, ..before }))];
        if let Some(hold) = self.hold(self.group, ledger) {
            changes.push(Change::DropHold(hold.id));
            undo.push(Undo::Put(Box::new(hold)));
        }
        (changes, undo, BTreeMap::new())
    }

    /// Both groups are held in traffic, each server with a weight.
    fn by_weights(
        &self,
        mut next_hold: u64,
        ledger: &Ledger,
        reports: &BTreeMap<InstanceName, InstanceReport>,
        now: Timestamp,
    ) -> Given {
        let was = |group: &GroupName| -> BTreeMap<Entry, u16> {
            let lines = self.run.members(group).flat_map(|member| &member.entries);
            let weight = |entry: &Entry| match ledger.state.baselines.get(entry) {
                Some(was) => Some(was.weight),
                None => seen_server(entry, reports).map(|server| server.weight),
            };
            lines.filter_map(|entry| Some((entry.clone(), weight(entry)?))).collect()
        };
        let weights = weights(&was(self.group), &was(self.with), self.share);
        let (mut changes, mut undo, mut new) = (Vec::new(), Vec::new(), BTreeMap::new());
        for group in [self.group, self.with] {
            let hold = match self.hold(group, ledger) {
                Some(hold) => {
                    undo.push(Undo::Put(Box::new(hold.clone())));
                    hold
                }
                None => {
                    let hold = hold_of(self.run, group, HoldId(next_hold), None, ledger, reports, now);
                    next_hold += 1;
                    undo.push(Undo::Drop(hold.id));
                    new.insert(group.clone(), hold.id);
                    hold
                }
            };
            changes.extend(weighed(&hold.entries, ledger, reports));
            let of = weights.iter().filter(|(entry, _)| hold.entries.contains(*entry));
            let stage = Stage::Shared { weights: of.map(|(entry, weight)| (entry.clone(), *weight)).collect() };
            let revision = ledger.next_revision();
            changes.push(Change::PutHold(Box::new(Hold { stage, note: None, revision, ..hold })));
        }
        (changes, undo, new)
    }

    fn hold(&self, group: &GroupName, ledger: &Ledger) -> Option<Hold> {
        self.run.holds.get(group).and_then(|id| ledger.state.holds.get(id)).cloned()
    }
}

/// What servers were, with their weights to be put back.
fn weighed(
    entries: &BTreeSet<Entry>,
    ledger: &Ledger,
    reports: &BTreeMap<InstanceName, InstanceReport>,
) -> Vec<Change> {
    let known = entries.iter().filter_map(|entry| Some((entry, ledger.state.baselines.get(entry)?)));
    let known = known.map(|(entry, was)| Change::PutBaseline(entry.clone(), was.clone()));
    let all = known.chain(baselines(entries, ledger, reports));
    all.map(|change| match change {
        Change::PutBaseline(entry, mut was) => {
            was.weighed = true;
            Change::PutBaseline(entry, was)
        }
        other => other,
    })
    .collect()
}
