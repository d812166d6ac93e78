//! Finds what the store keeps of farms and HAProxys that are not configured any more.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use crate::farm::{Entry, Farm, FarmName, Hold, HoldId, InstanceName, Owner, Side};
use crate::state::State;

/// A farm or a HAProxy that is not configured any more.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Retired {
    /// A farm: its route, and what its runs have left behind.
    Farm(FarmName),
    /// A HAProxy: its lines that are or were held.
    Haproxy(InstanceName),
}

/// What the store keeps of a retired farm or HAProxy.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct LeftOver {
    /// The side that the farm's traffic was switched to.
    pub(crate) route: Option<Side>,
    /// Routes of farms that name the HAProxy.
    pub(crate) routes: BTreeSet<FarmName>,
    /// Holds, with their lines that are left over.
    pub(crate) holds: BTreeMap<HoldId, BTreeSet<Entry>>,
    /// Lines that have a baseline and are in none of the holds.
    pub(crate) lines: BTreeSet<Entry>,
}

impl fmt::Display for Retired {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Farm(farm) => write!(f, "farm {farm}"),
            Self::Haproxy(name) => write!(f, "HAProxy {name}"),
        }
    }
}

impl Retired {
    /// The command that forgets it.
    pub(crate) fn forget_command(&self) -> String {
        match self {
            Self::Farm(farm) => format!("teeter forget {farm}"),
            Self::Haproxy(name) => format!("teeter forget --haproxy {name}"),
        }
    }
}

impl fmt::Display for LeftOver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let route = self.route.as_ref().map(|side| format!("its route, switched to {side}"));
        let routes = self.routes.iter().map(|farm| format!("the route of farm {farm} there"));
        let holds = self.holds.iter().map(|(id, entries)| format!("hold {id} on {}", list(entries)));
        let lines = (!self.lines.is_empty()).then(|| format!("what {} was before it was held", list(&self.lines)));
        let all: Vec<String> = route.into_iter().chain(routes).chain(holds).chain(lines).collect();
        f.write_str(&all.join("; "))
    }
}

/// Finds everything of farms and HAProxys that are not configured. What an active run uses is not left over.
pub(crate) fn left_over(
    state: &State,
    farms: &BTreeMap<FarmName, Farm>,
    instances: &BTreeSet<&InstanceName>,
) -> BTreeMap<Retired, LeftOver> {
    let mut all: BTreeMap<Retired, LeftOver> = BTreeMap::new();
    let retired = |farm: &FarmName| {
        let busy = state.runs.values().any(|run| run.is_active() && run.plan.farm == *farm);
        (!farms.contains_key(farm) && !busy).then(|| Retired::Farm(farm.clone()))
    };
    let unconfigured = |name: &InstanceName| (!instances.contains(name)).then(|| Retired::Haproxy(name.clone()));
    for (farm, route) in &state.routes {
        if let Some(retired) = retired(farm) {
            all.entry(retired).or_default().route = Some(route.live.clone());
        }
        for retired in route.instances.iter().filter_map(unconfigured) {
            all.entry(retired).or_default().routes.insert(farm.clone());
        }
    }
    let mut held = BTreeSet::new();
    for hold in state.holds.values() {
        held.extend(&hold.entries);
        let Some(farm) = farm_of_ended_run(hold, state).and_then(&retired) else { continue };
        all.entry(farm).or_default().holds.insert(hold.id, hold.entries.clone());
    }
    for hold in state.holds.values() {
        for (retired, entry) in hold.entries.iter().filter_map(|entry| Some((unconfigured(&entry.instance)?, entry))) {
            all.entry(retired).or_default().holds.entry(hold.id).or_default().insert(entry.clone());
        }
    }
    for entry in state.baselines.keys().filter(|entry| !held.contains(*entry)) {
        if let Some(retired) = unconfigured(&entry.instance) {
            all.entry(retired).or_default().lines.insert(entry.clone());
        }
    }
    all
}

/// The farm of the ended run that has left a hold behind; `None` for every other hold.
fn farm_of_ended_run<'a>(hold: &Hold, state: &'a State) -> Option<&'a FarmName> {
    let Owner::Run(id) = hold.owner else { return None };
    state.runs.get(&id).filter(|run| !run.is_active()).map(|run| &run.plan.farm)
}

fn list(entries: &BTreeSet<Entry>) -> String {
    let mut names: Vec<String> = entries.iter().take(NAMED).map(ToString::to_string).collect();
    if entries.len() > NAMED {
        names.push(format!("{} more", entries.len() - NAMED));
    }
    names.join(", ")
}

/// How many lines are named: there may be thousands.
const NAMED: usize = 5;
