//! What is in flight on the lines of a hold, and what HAProxy does not have as the hold wants it.

use std::collections::{BTreeMap, BTreeSet};

use crate::farm::{Entry, Hold, InstanceName, Load, Reason};
use crate::haproxy::{BackendName, MapName, ServerRef};
use crate::plan::Plan;
use crate::reconcile::InstanceReport;
use crate::state::State;

/// The loads of a hold's lines in one instance.
pub(crate) fn loads(hold: &Hold, instance: &InstanceName, report: &InstanceReport) -> BTreeMap<Entry, Load> {
    let Some(seen) = &report.seen else { return BTreeMap::new() };
    let mine = hold.entries.iter().filter(|entry| entry.instance == *instance);
    let old = |server: &ServerRef| report.old.iter().filter_map(|worker| worker.in_flight.get(server)).sum();
    let load = |server: &ServerRef| match seen.servers.get(server) {
        Some(server) => server.load,
        // A line that is gone from the configuration may still be served by who had it.
        None => Load { old: old(server), ..Load::default() },
    };
    let mut loads: BTreeMap<Entry, Load> = mine.map(|entry| (entry.clone(), load(&entry.server))).collect();
    // Requests of a backend that is out as a whole may still be on their way to one of its servers: those that wait
    // for their body, or for a second try. They are counted on the first of them.
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

/// The lines of a hold that were set to a looser state outside teeter and, by `on_drift`, stay there.
pub(crate) fn overruled(hold: &Hold, state: &State) -> BTreeMap<Entry, String> {
    let overruled = hold.entries.iter().filter_map(|entry| Some((entry, state.baselines.get(entry)?.overruled?)));
    let looser = overruled.filter(|(_, overruled)| overruled.state < hold.wanted_state());
    looser.map(|(entry, overruled)| (entry.clone(), format!("set to {} outside teeter", overruled.state))).collect()
}

/// What one instance is not told of a hold: of its lines, or of the maps by which its run turns the traffic.
pub(crate) fn untold<'a>(
    hold: &Hold,
    instance: &InstanceName,
    report: &'a InstanceReport,
    state: &State,
) -> Option<&'a Reason> {
    if report.untold.is_empty() {
        return None;
    }
    let run = hold.owner.run().and_then(|id| state.runs.get(&id));
    let maps = run.map(|run| maps_of(&run.plan)).unwrap_or_default();
    let mine = hold.entries.iter().filter(|entry| entry.instance == *instance);
    report.untold.reason(maps, mine.map(|entry| &entry.server))
}

/// The maps by which a plan turns the traffic.
pub(crate) fn maps_of(plan: &Plan) -> BTreeSet<&MapName> {
    plan.flip.route.iter().map(|key| &key.map).collect()
}
