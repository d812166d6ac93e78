//! A share of the traffic for a group: a percentage of the clients in the route's map, or weights.

use std::collections::BTreeMap;

use super::Change;
use super::effects::Working;
use crate::farm::{Canary, Entry, GroupName, Hold, Percent, Route, Stage, weights};
use crate::plan::Undo;

impl Working<'_> {
    pub(super) fn share(&mut self, group: &GroupName, with: &GroupName, share: Percent) {
        if self.effects.run.plan.flip.route.is_empty() {
            self.share_by_weights(group, with, share);
        } else {
            self.share_by_clients(group, share);
        }
    }

    /// Sets the percentage of the clients in the route's map, and releases the hold of the group.
    fn share_by_clients(&mut self, group: &GroupName, share: Percent) {
        let before = self.state.route_of(&self.effects.run, self.observed);
        let canary = |share| Some(Canary { group: group.clone(), share });
        let route = Route { canary: canary(Some(share)), ..before.clone() };
        self.effects.changes.push(Change::PutRoute(Box::new(route)));
        // HAProxy may have the share already, so an undo must change HAProxy, and not only the store.
        let before = Route { canary: before.canary.clone().or_else(|| canary(None)), ..before };
        self.effects.run.step.undo.push(Undo::Switch(Box::new(before)));
        if let Some(hold) = self.held(group) {
            self.drop_hold(hold);
        }
    }

    /// Holds both groups in service, each server with a weight.
    fn share_by_weights(&mut self, group: &GroupName, with: &GroupName, share: Percent) {
        let weights = weights(&self.usual_weights(group), &self.usual_weights(with), share);
        for group in [group, with] {
            let hold = match self.held(group) {
                Some(hold) => {
                    self.effects.run.step.undo.push(Undo::Put(Box::new(hold.clone())));
                    hold
                }
                None => {
                    let hold = self.new_hold(group, None);
                    self.next_hold += 1;
                    self.effects.run.step.undo.push(Undo::Drop(hold.id));
                    self.effects.run.holds.insert(group.clone(), hold.id);
                    hold
                }
            };
            self.effects.changes.extend(self.state.weighed_baselines(&hold.entries, self.observed));
            let weights = weights.iter().filter(|(entry, _)| hold.entries.contains(*entry));
            let weights = weights.map(|(entry, weight)| (entry.clone(), *weight)).collect();
            self.put(Hold { stage: Stage::Shared { weights }, note: None, ..hold });
        }
    }

    /// The weights of a group's lines without any hold.
    fn usual_weights(&self, group: &GroupName) -> BTreeMap<Entry, u16> {
        let lines = self.effects.run.members(group).flat_map(|member| &member.entries);
        let weight = |entry: &Entry| match self.state.baselines.get(entry) {
            Some(was) => Some(was.weight),
            None => self.observed.server(entry).map(|server| server.weight),
        };
        lines.filter_map(|entry| Some((entry.clone(), weight(entry)?))).collect()
    }
}
