//! The requests in flight on the lines of a hold, and the lines that are not in the state that the hold sets.

use std::collections::{BTreeMap, BTreeSet};

use crate::farm::{Entry, Hold, InstanceName, Load, Reason};
use crate::haproxy::{BackendName, MapName, ServerRef};
use crate::plan::Plan;
use crate::reconcile::InstanceReport;
use crate::state::State;

/// The loads of a hold's lines in one instance.
pub(crate) fn loads(hold: &Hold, instance: &InstanceName, report: &InstanceReport) -> BTreeMap<Entry, Load> {
    let Some(seen) = &report.seen else { return BTreeMap::new() };
    let lines = hold.entries.iter().filter(|entry| entry.instance == *instance);
    let old = |server: &ServerRef| report.old.iter().filter_map(|worker| worker.in_flight.get(server)).sum();
    let load = |server: &ServerRef| match seen.servers.get(server) {
        Some(server) => server.load,
        // An old process may still have requests on a line that the present configuration does not have.
        None => Load { old: old(server), ..Load::default() },
    };
    let mut loads: BTreeMap<Entry, Load> = lines.map(|entry| (entry.clone(), load(&entry.server))).collect();
    // If a whole backend is held, its requests without a server may still get one: they wait for their body, or for a
    // second try. They count on the first line of the backend.
    let backends: BTreeSet<BackendName> = loads.keys().map(|entry| entry.server.backend.clone()).collect();
    for backend in &backends {
        let is_held =
            |server: &ServerRef| loads.contains_key(&Entry { instance: instance.clone(), server: server.clone() });
        let mut servers = seen.servers.in_backend(backend).map(|(server, _)| server).peekable();
        if servers.peek().is_none() || !servers.all(is_held) {
            continue;
        }
        if let Some((_, load)) = loads.iter_mut().find(|(entry, _)| entry.server.backend == *backend) {
            let old: u64 = report.old.iter().filter_map(|worker| worker.between.get(backend)).sum();
            load.qcur += seen.without_server(backend);
            load.old += old;
        }
    }
    loads
}

/// The lines of a hold that were set to a less strict state outside teeter, and keep it because of `on_drift`.
pub(crate) fn overruled(hold: &Hold, state: &State) -> BTreeMap<Entry, String> {
    let overruled = hold.entries.iter().filter_map(|entry| Some((entry, state.baselines.get(entry)?.overruled?)));
    let looser = overruled.filter(|(_, overruled)| overruled.state < hold.wanted_state());
    looser.map(|(entry, overruled)| (entry.clone(), format!("set to {} outside teeter", overruled.state))).collect()
}

/// Why one HAProxy does not get all commands of a hold: those for its lines, and those for the maps of its run. `None`:
/// HAProxy gets all of them.
pub(crate) fn withheld<'a>(
    hold: &Hold,
    instance: &InstanceName,
    report: &'a InstanceReport,
    state: &State,
) -> Option<&'a Reason> {
    if report.withheld.is_empty() {
        return None;
    }
    let run = hold.owner.run().and_then(|id| state.runs.get(&id));
    let maps = run.map(|run| maps_of(&run.plan)).unwrap_or_default();
    let lines = hold.entries.iter().filter(|entry| entry.instance == *instance);
    report.withheld.reason(maps, lines.map(|entry| &entry.server))
}

/// The maps with which a plan switches the traffic.
pub(crate) fn maps_of(plan: &Plan) -> BTreeSet<&MapName> {
    plan.flip.route.iter().map(|key| &key.map).collect()
}
