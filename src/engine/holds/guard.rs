//! What must be left in service when an operator takes servers out.

use std::collections::{BTreeMap, BTreeSet};

use crate::engine::Engine;
use crate::engine::error::EngineError;
use crate::engine::fleet::reports::Reports;
use crate::engine::holds::refusal;
use crate::engine::record::ledger::Ledger;
use crate::farm::{Entry, Farm, InstanceName, Layout, Seen, Side, live_side};
use crate::haproxy::{AdminBits, AdminState, BackendName};
use crate::plan::{Veto, guard};
use crate::state::State;

/// The servers that must be left in service when others are taken out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OutagePolicy {
    /// An outage is allowed: nothing must be left.
    Nothing,
    /// One server of each backend, and of each farm its minimum of members. A farm that is below its minimum now may
    /// stay there, if it loses none.
    NotWorse,
    /// As [`OutagePolicy::NotWorse`], but a farm that loses members must have its minimum in any case.
    AllButMin,
}

impl Engine {
    /// Refuses to take `entries` out if too few servers would be left.
    pub(crate) fn guard_outage(
        &self,
        entries: &BTreeSet<Entry>,
        policy: OutagePolicy,
        ledger: &Ledger,
        reports: &Reports,
    ) -> Result<(), EngineError> {
        if policy == OutagePolicy::Nothing {
            return Ok(());
        }
        let seen = seen_once_applied(reports, &ledger.state);
        let seen: BTreeMap<InstanceName, &Seen> = seen.iter().map(|(name, seen)| (name.clone(), seen)).collect();
        let (mut vetoes, mut idle_backends) = (Vec::new(), BTreeSet::new());
        for farm in self.fleet.farms().values() {
            let strict = policy == OutagePolicy::AllButMin && entries.iter().any(|entry| farm.has(&entry.server));
            let layout = match farm.layout(&seen) {
                Ok(layout) => layout,
                Err(error) if strict => {
                    vetoes.push(Veto::Uncounted { problem: error.to_string() });
                    continue;
                }
                // The members of a farm that does not fit HAProxy cannot be counted; `teeterd --check` and deploys say
                // so.
                Err(_) => continue,
            };
            let (live, idle) = traffic(farm, &layout, &ledger.state, &seen);
            idle_backends.extend(idle);
            if strict {
                // The last report of a silent HAProxy does not say how many are in service now.
                reports.require_answer(&layout.entries())?;
                vetoes.extend(guard::all_but_min(farm, &layout, &live, entries, &seen));
            } else {
                vetoes.extend(guard::min_available(farm, &layout, &live, entries, &seen));
            }
        }
        vetoes.extend(guard::last_servers(entries, &idle_backends, &seen));
        if vetoes.is_empty() {
            return Ok(());
        }
        let instead = if policy == OutagePolicy::AllButMin { refusal::ALL_BUT_MIN } else { refusal::BY_HAND };
        Err(self.refusal(vetoes, entries, &seen, ledger, instead))
    }

    /// Whether a backend that gets traffic would have no usable server left when `entries` go out.
    pub(crate) fn is_last(&self, entries: &BTreeSet<Entry>, state: &State, reports: &Reports) -> bool {
        let seen = seen_once_applied(reports, state);
        let seen: BTreeMap<InstanceName, &Seen> = seen.iter().map(|(name, seen)| (name.clone(), seen)).collect();
        let farms = self.fleet.farms();
        let layouts = farms.values().filter_map(|farm| Some((farm, farm.layout(&seen).ok()?)));
        let idle_backends = layouts.flat_map(|(farm, layout)| traffic(farm, &layout, state, &seen).1).collect();
        !guard::last_servers(entries, &idle_backends, &seen).is_empty()
    }
}

/// The side that gets a farm's traffic, and the backends of the farm that get none.
fn traffic(
    farm: &Farm,
    layout: &Layout,
    state: &State,
    seen: &BTreeMap<InstanceName, &Seen>,
) -> (Side, BTreeSet<BackendName>) {
    let live = state.live(&farm.name).or_else(|| live_side(farm, layout, seen).ok().flatten());
    let mut idle = live.iter().flat_map(|live| guard::routed_away(farm, live)).collect::<BTreeSet<_>>();
    // A canary group that has a share of the clients carries traffic, too.
    let canary = state.routes.get(&farm.name).and_then(|route| route.canary.as_ref());
    if let Some(canary) = canary.filter(|canary| canary.share.is_some()) {
        let side = Side::Group(canary.group.clone());
        idle.retain(|backend| farm.settings.flip.route.iter().all(|key| key.backend(&side) != Some(backend)));
        return (Side::All, idle);
    }
    (live.unwrap_or(Side::All), idle)
}

/// What HAProxy will show once it has applied all that is stored. Of two commands at a time, the second must not count
/// on servers that the first takes out.
fn seen_once_applied(reports: &Reports, state: &State) -> BTreeMap<InstanceName, Seen> {
    let known = reports.iter().filter_map(|(name, report)| Some((name.clone(), report.seen.as_deref()?.clone())));
    let mut seen: BTreeMap<InstanceName, Seen> = known.collect();
    // Servers on their way back, as after a flip.
    let held = |entry: &Entry| state.holds.values().any(|hold| hold.entries.contains(entry));
    for (entry, _) in state.baselines.iter().filter(|(entry, was)| was.state == AdminState::Ready && !held(entry)) {
        let server = seen.get_mut(&entry.instance).and_then(|seen| seen.servers.get_mut(&entry.server));
        if let Some(server) = server {
            server.admin = AdminBits::default();
        }
    }
    for hold in state.holds.values().filter(|hold| hold.wanted_state() > AdminState::Ready) {
        // A held server that was set to ready outside teeter, and is left so, does take traffic.
        let as_held = |entry: &&Entry| state.baselines.get(entry).is_none_or(|was| was.overruled.is_none());
        for entry in hold.entries.iter().filter(as_held) {
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
