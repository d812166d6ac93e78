//! The orders for HAProxy instances, worked out from the stored state.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::engine::fleet::Fleet;
use crate::farm::{
    Emptying, Entry, Farm, GroupName, Hold, InstanceName, OnDeadline, Stage, Stays, Sticky, keys_to_look_up, wanted,
    wanted_maps,
};
use crate::haproxy::{AdminState, BackendName, MapKey, MapName};
use crate::plan::{Run, RunState, Step};
use crate::reconcile::{Draining, Instance, Order};
use crate::state::State;

impl Fleet {
    /// Gives every instance the order that follows from the stored state.
    pub(crate) fn publish(&self, state: &State) {
        let mut all = wanted(state.holds.values(), &state.baselines);
        for server in all.values_mut().flat_map(|servers| servers.iter_mut()) {
            server.1.on_drift = self.on_drift(server.0);
        }
        let mut maps = wanted_maps(state.routes.values(), state.holds.values());
        let farms = self.farms();
        let configured = configured_keys(farms.values());
        for (name, instance) in &self.instances {
            let servers_of = |pick: fn(&Hold) -> bool| {
                let holds = state.holds.values().filter(|hold| pick(hold));
                let entries = holds.flat_map(|hold| &hold.entries).filter(|entry| entry.instance == *name);
                Arc::new(entries.map(|entry| entry.server.clone()).collect::<BTreeSet<_>>())
            };
            let draining = state.holds.values().filter_map(|hold| {
                let Stage::Draining(Emptying { mode, hardened, .. }) = hold.stage else { return None };
                let entries = hold.entries.iter().filter(|entry| entry.instance == *name);
                let servers: BTreeSet<_> = entries.map(|entry| entry.server.clone()).collect();
                (!servers.is_empty()).then(|| Draining {
                    servers,
                    last: hardened && mode >= hold.ladder.last,
                    // For servers that stay in drain, the views show whether sticky clients may come back.
                    sticks: hold.ladder.stays == Stays::Sticky && (!hardened || mode == AdminState::Drain),
                    idle: hold.ladder.idle,
                })
            });
            let maps = maps.remove(name).unwrap_or_default();
            let order = Order {
                revision: state.revision,
                wanted: Arc::new(all.remove(name).unwrap_or_default()),
                keys: Arc::new(configured.iter().cloned().chain(keys_to_look_up(&maps)).collect()),
                maps: Arc::new(maps),
                draining: Arc::new(draining.collect()),
                watched: Arc::new(watched(state.runs.values(), name).into_iter().collect()),
                joins_later: state.holds.values().any(|hold| hold.reach.follows),
                joins_anywhere: state.holds.values().any(Hold::may_spread),
                kill: servers_of(|hold| {
                    matches!(hold.stage, Stage::Draining(Emptying { killed: Some(_), .. }))
                        && hold.ladder.on_deadline == OnDeadline::Kill
                }),
            };
            instance.orders.send_replace(order);
        }
        self.bump();
    }

    /// Publishes again if an instance is behind, for example after a commit that was reported as failed but was kept.
    pub(crate) fn publish_if_behind(&self, state: &State) {
        let is_current = |instance: &Instance| instance.orders.borrow().revision == state.revision;
        if !self.instances.values().all(is_current) {
            self.publish(state);
        }
    }
}

/// The entries of maps that the configuration names.
pub(crate) fn configured_keys<'a>(farms: impl Iterator<Item = &'a Farm>) -> BTreeSet<(MapName, MapKey)> {
    let mut keys = BTreeSet::new();
    for flip in farms.map(|farm| &farm.settings.flip) {
        for route in &flip.route {
            keys.insert((route.map.clone(), route.key.clone()));
            keys.extend(route.versions().filter(|_| flip.sticky() == Sticky::Pin).map(|(_, entry)| entry));
        }
    }
    keys
}

/// The backends that have to be looked at because a run compares the servers in them.
pub(crate) fn watched<'a>(runs: impl Iterator<Item = &'a Run>, instance: &InstanceName) -> Vec<BackendName> {
    let lines = runs.filter(|run| run.state == RunState::Running).map(|run| match run.current() {
        Some(Step::Bake { new, .. }) => lines(run, new).collect(),
        // Servers that must be up or stay in service may be in a backend without held servers.
        Some(Step::In { .. } | Step::Out { .. } | Step::Flip { .. } | Step::Ask { .. } | Step::AskAll { .. }) => {
            run.plan.entries().collect()
        }
        _ => Vec::new(),
    });
    let lines = lines.flatten().filter(|entry| entry.instance == *instance);
    lines.map(|entry| entry.server.backend.clone()).collect()
}

fn lines<'a>(run: &'a Run, groups: &'a [GroupName]) -> impl Iterator<Item = &'a Entry> {
    groups.iter().flat_map(|group| run.members(group)).flat_map(|member| &member.entries)
}
