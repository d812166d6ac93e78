//! The names that command lines may contain.

use std::collections::BTreeSet;

use crate::api::{FarmNamesView, NamesView, RunNameView, RunStatus};
use crate::engine::Engine;
use crate::farm::natural;

impl Engine {
    /// All names, from the last look at each HAProxy: a completion must not wait, and must not cost HAProxy anything.
    pub fn names(&self) -> NamesView {
        let (reports, state, farms) = (self.fleet.reports(), self.record.state(), self.fleet.farms());
        let seen = reports.seen();
        let servers: BTreeSet<String> =
            seen.values().flat_map(|seen| seen.servers.keys()).map(ToString::to_string).collect();
        let farms = farms.values().map(|farm| {
            // A farm that does not fit HAProxy has no groups, but a name.
            let groups = farm.layout(&seen).map(|layout| layout.groups).unwrap_or_default();
            let groups = groups.keys().map(ToString::to_string).collect();
            FarmNamesView { name: farm.name.to_string(), groups }
        });
        let owners: BTreeSet<String> = state.holds.values().map(|hold| hold.owner.to_string()).collect();
        let runs = state.runs.values().rev().take(RUNS).map(|run| RunNameView {
            id: run.id.0,
            farm: run.plan.farm.to_string(),
            strategy: run.plan.strategy.into(),
            state: RunStatus::from(&run.state),
            active: run.is_active(),
        });
        NamesView {
            haproxys: self.fleet.instances.keys().map(ToString::to_string).collect(),
            servers: in_order(servers),
            farms: farms.collect(),
            owners: in_order(owners),
            runs: runs.collect(),
        }
    }
}

fn in_order(names: BTreeSet<String>) -> Vec<String> {
    let mut names: Vec<String> = names.into_iter().collect();
    names.sort_by(|one, other| natural(one, other));
    names
}

/// The most runs to name.
const RUNS: usize = 20;
