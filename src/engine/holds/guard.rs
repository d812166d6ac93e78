//! What must be left in service when somebody takes servers out by hand.

use crate::engine::fleet::reports::Reports;
use std::collections::{BTreeMap, BTreeSet};

use crate::engine::Engine;
use crate::engine::error::EngineError;
use crate::engine::holds::refusal;

use crate::engine::record::ledger::Ledger;
use crate::farm::{Entry, Farm, InstanceName, Layout, Seen, Side, live_side};
use crate::haproxy::{AdminBits, AdminState, BackendName};
use crate::plan::{Veto, guard};

use crate::state::State;

/// What must be left in service when servers are taken out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Guarding {
    /// Nothing.
    Nothing,
    /// A server of each backend, and of each farm as many members as it must have, unless it has not so many now and
    /// loses none.
    NotWorse,
    /// The same, and of each farm that is touched as many as it must have in any case.
    AllButMin,
}

impl Engine {
    /// Refuses to take `entries` out where too little would be left.
    pub(crate) fn guard_outage(
        &self,
        entries: &BTreeSet<Entry>,
        guarding: Guarding,
        ledger: &Ledger,
        reports: &Reports,
    ) -> Result<(), EngineError> {
        if guarding == Guarding::Nothing {
            return Ok(());
        }
        let seen = soon(reports, &ledger.state);
        let seen: BTreeMap<InstanceName, &Seen> = seen.iter().map(|(name, seen)| (name.clone(), seen)).collect();
        let (mut vetoes, mut away) = (Vec::new(), BTreeSet::new());
        for farm in self.fleet.farms().values() {
            let strict = guarding == Guarding::AllButMin && entries.iter().any(|entry| farm.has(&entry.server));
            let layout = match farm.layout(&seen) {
                Ok(layout) => layout,
                Err(error) if strict => {
                    vetoes.push(Veto::Uncounted { problem: error.to_string() });
                    continue;
                }
                // A farm that does not fit HAProxy cannot be guarded; `teeterd --check` and deploys say so.
                Err(_) => continue,
            };
            let (live, idle) = traffic(farm, &layout, &ledger.state, &seen);
            away.extend(idle);
            if strict {
                // What was last seen says nothing of how many are in service now.
                reports.require_answer(&layout.entries())?;
                vetoes.extend(guard::all_but_min(farm, &layout, &live, entries, &seen));
            } else {
                vetoes.extend(guard::min_available(farm, &layout, &live, entries, &seen));
            }
        }
        vetoes.extend(guard::last_servers(entries, &away, &seen));
        if vetoes.is_empty() {
            return Ok(());
        }
        let instead = if guarding == Guarding::AllButMin { refusal::ALL_BUT_MIN } else { refusal::BY_HAND };
        Err(self.refusal(vetoes, entries, &seen, ledger, instead))
    }

    /// Whether a backend that gets traffic would be left without a usable server when `entries` go out.
    pub(crate) fn is_last(&self, entries: &BTreeSet<Entry>, state: &State, reports: &Reports) -> bool {
        let seen = soon(reports, state);
        let seen: BTreeMap<InstanceName, &Seen> = seen.iter().map(|(name, seen)| (name.clone(), seen)).collect();
        let farms = self.fleet.farms();
        let layouts = farms.values().filter_map(|farm| Some((farm, farm.layout(&seen).ok()?)));
        let away = layouts.flat_map(|(farm, layout)| traffic(farm, &layout, state, &seen).1).collect();
        !guard::last_servers(entries, &away, &seen).is_empty()
    }
}

/// The side that gets a farm's traffic, and the backends that get none of it.
fn traffic(
    farm: &Farm,
    layout: &Layout,
    state: &State,
    seen: &BTreeMap<InstanceName, &Seen>,
) -> (Side, BTreeSet<BackendName>) {
    let live = state.live(&farm.name).or_else(|| live_side(farm, layout, seen).ok().flatten());
    let mut idle = live.iter().flat_map(|live| guard::routed_away(farm, live)).collect::<BTreeSet<_>>();
    // Who is tried on a share of the visitors carries traffic, too.
    let canary = state.routes.get(&farm.name).and_then(|route| route.canary.as_ref());
    if let Some(tried) = canary.filter(|canary| canary.share.is_some()) {
        let side = Side::Group(tried.group.clone());
        idle.retain(|backend| farm.settings.flip.route.iter().all(|key| key.backend(&side) != Some(backend)));
        return (Side::All, idle);
    }
    (live.unwrap_or(Side::All), idle)
}

/// What will be seen once HAProxy has been told what the store says: of two commands at a time, the second must not
/// count on what the first takes out.
fn soon(reports: &Reports, state: &State) -> BTreeMap<InstanceName, Seen> {
    let known = reports.iter().filter_map(|(name, report)| Some((name.clone(), report.seen.as_deref()?.clone())));
    let mut seen: BTreeMap<InstanceName, Seen> = known.collect();
    // Who is on the way back, as after a flip.
    let held = |entry: &Entry| state.holds.values().any(|hold| hold.entries.contains(entry));
    for (entry, _) in state.baselines.iter().filter(|(entry, was)| was.state == AdminState::Ready && !held(entry)) {
        let server = seen.get_mut(&entry.instance).and_then(|seen| seen.servers.get_mut(&entry.server));
        if let Some(server) = server {
            server.admin = AdminBits::default();
        }
    }
    for hold in state.holds.values().filter(|hold| hold.wanted_state() > AdminState::Ready) {
        // What somebody else has set to ready, and is left so, does take traffic.
        let kept = |entry: &&Entry| state.baselines.get(entry).is_none_or(|was| was.overruled.is_none());
        for entry in hold.entries.iter().filter(kept) {
            let Some(server) = seen.get_mut(&entry.instance).map(|seen| &mut seen.servers) else { continue };
            if server.get(&entry.server).is_some_and(|server| server.is_usable())
                && let Some(server) = server.get_mut(&entry.server)
            {
                server.admin = AdminBits(server.admin.0 | AdminBits::FORCED_DRAIN);
            }
        }
    }
    seen
}
