//! What a hold does not reach: unheld lines of its servers that take requests, and HAProxys that are away.

use std::collections::BTreeSet;

use crate::engine::Engine;
use crate::engine::fleet::reports::Reports;
use crate::engine::holds::join::Joining;
use crate::farm::{Entry, Hold, InstanceName, SeenServer, Stage};
use crate::haproxy::AdminState;
use crate::state::State;

impl Engine {
    /// A sentence for people about what a hold does not reach, and why; `None` if it reaches everything.
    pub(crate) fn not_reached(&self, hold: &Hold, state: &State, reports: &Reports) -> Option<String> {
        let Joining { refused, .. } = self.joining_now(hold, state, reports);
        let refused_text = refused.iter().map(|(entry, why)| {
            format!(
                "{entry} came later and is not held, because {why}: `teeter drain {entry} --reason … --allow-outage` \
                 takes it out"
            )
        });
        let unheld: Vec<String> = unheld(hold, state, reports)
            .into_iter()
            .filter(|(entry, _)| !refused.contains_key(entry))
            .map(|(entry, why)| format!("{entry} takes requests and is not held: it has {why}"))
            .collect();
        let more = unheld.len().saturating_sub(SHOWN);
        let more = (more > 0).then(|| format!("{more} more lines of its servers take requests and are not held"));
        let away = self.fleet.without_for_hold(hold, reports);
        let away = hold.reach.without.union(&away).map(|name| {
            format!(
                "HAProxy {name} does not answer, and the hold goes on without it: it gets the hold as soon as it \
                answers"
            )
        });
        let texts = away.chain(refused_text).chain(unheld.iter().take(SHOWN).cloned()).chain(more);
        texts.reduce(|one, more| format!("{one}; {more}"))
    }

    /// The HAProxys that answer and that a hold or a route has yet to join.
    pub(crate) fn yet_to_join(&self, state: &State, reports: &Reports) -> BTreeSet<InstanceName> {
        let mut names: BTreeSet<InstanceName> = BTreeSet::new();
        for hold in state.holds.values() {
            let Joining { lines, back, .. } = self.joining_now(hold, state, reports);
            names.extend(lines.into_iter().map(|entry| entry.instance).chain(back));
        }
        names.extend(self.joining_routes(state, reports).into_values().flatten());
        names
    }
}

/// Lines that take requests and are in no hold though they are lines of this hold's servers, each with the reason: in
/// the same HAProxy by the same name, in any HAProxy by the same address and port.
fn unheld(hold: &Hold, state: &State, reports: &Reports) -> Vec<(Entry, String)> {
    if hold.wanted_state() == AdminState::Ready || matches!(hold.stage, Stage::Shared { .. }) {
        return Vec::new();
    }
    let names: BTreeSet<_> = hold.entries.iter().map(|entry| (&entry.instance, &entry.server.server)).collect();
    let seen = |entry: &Entry| reports.get(&entry.instance)?.seen.as_ref()?.servers.get(&entry.server).and_then(place);
    let places: BTreeSet<_> = hold.entries.iter().filter_map(seen).collect();
    let held = |entry: &Entry| state.holds.values().any(|hold| hold.entries.contains(entry));
    let mut found = Vec::new();
    for (name, report) in reports.iter().filter(|(_, report)| report.reachable) {
        for (line, server) in report.seen.iter().flat_map(|seen| seen.servers.iter()) {
            let by_name = names.contains(&(name, &line.server));
            let by_place = place(server).filter(|place| places.contains(place));
            let disabled = report.seen.as_ref().is_some_and(|seen| seen.is_disabled(&line.backend));
            if disabled || !server.is_usable() || (!by_name && by_place.is_none()) {
                continue;
            }
            let entry = Entry { instance: name.clone(), server: line.clone() };
            if !held(&entry) {
                let why = match by_place {
                    Some((address, port)) => format!("the same address, {address}:{port}"),
                    None => "the same name".to_owned(),
                };
                found.push((entry, why));
            }
        }
    }
    found
}

/// The address and port of a server; `None` if HAProxy does not name them.
fn place(server: &SeenServer) -> Option<(String, u16)> {
    (!server.address.is_empty() && server.port > 0).then(|| (server.address.clone(), server.port))
}

/// How many unheld lines are named; of the others the number is shown.
const SHOWN: usize = 3;
