//! Refusals that the next deploy would meet: the doctor makes the plans and throws them away.

use std::collections::BTreeSet;

use super::farms::about;
use super::{Examined, Fitting, warning};
use crate::api::FindingView;
use crate::engine::runs::ended::{standby, with_kept_halves};
use crate::farm::{Farm, InstanceName, RollingSettings, Seen, Side};
use crate::haproxy::BackendName;
use crate::plan::{PlanningInput, Skipped, Veto, blue_green, rolling, see_saw};
use crate::state::State;

/// Deploys that guards would refuse as things are now.
pub(super) fn refused(examined: &Examined<'_>, state: &State) -> Vec<FindingView> {
    let busy = |farm: &Farm| state.runs.values().any(|run| run.is_active() && run.plan.farm == farm.name);
    let farms = examined.farms.iter().filter(|fitting| !busy(fitting.farm) && fitting.layout.members.len() <= MOST);
    farms.flat_map(|fitting| refusals_of_farm(fitting, examined, state)).collect()
}

/// The findings about the usual strategy of one farm and, if it is configured, about rolling.
fn refusals_of_farm(
    Fitting { farm, layout, live }: &Fitting<'_>,
    examined: &Examined<'_>,
    state: &State,
) -> Vec<FindingView> {
    let backends: BTreeSet<&BackendName> =
        layout.members.values().flatten().map(|entry| &entry.server.backend).collect();
    let seen: Vec<(InstanceName, Seen)> =
        examined.seen.iter().map(|(name, seen)| (name.clone(), only_backends(seen, &backends))).collect();
    let seen = seen.iter().map(|(name, seen)| (name.clone(), seen)).collect();
    let live = state.live(&farm.name).or_else(|| live.clone());
    let layout = &with_kept_halves(farm, (*layout).clone(), state);
    let standby = standby(&farm.name, state);
    let others = state.holds.values().filter(|hold| !standby.values().any(|id| *id == hold.id));
    let Ok(skipped) = Skipped::by_holds(layout, &BTreeSet::new(), others) else {
        // A run or a user's hold is in the way: status and holds show that.
        return Vec::new();
    };
    let input = PlanningInput {
        farm,
        layout,
        version: None,
        phases: &BTreeSet::new(),
        live: live.as_ref(),
        seen: &seen,
        skipped: &skipped,
        standby: &standby,
    };
    let one_sided = live.as_ref().is_some_and(|live| *live != Side::All) || !standby.is_empty();
    let rolls = || rolling::plan(&input, false);
    let usual = match layout.groups.len() {
        2 if one_sided => Some(("blue-green", blue_green::plan(&input))),
        2 => Some(("see-saw", see_saw::plan(&input))),
        _ => None,
    };
    let mut findings = Vec::new();
    let finding = |strategy: &str, vetoes: &[Veto], then: &str| {
        // Two halves of one size are refused in the same words.
        let with_hint = |veto: &Veto| veto.hint().map_or_else(|| veto.to_string(), |hint| format!("{veto} ({hint})"));
        let why: BTreeSet<String> = vetoes.iter().map(with_hint).collect();
        let why = why.into_iter().collect::<Vec<_>>().join("; ");
        warning(about(farm), format!("a {strategy} deploy would be refused now: {why}{}{then}", remedy(vetoes)))
    };
    if let Some((strategy, Err(vetoes))) = &usual {
        let then = match !one_sided && rolls().is_ok() {
            true => format!("; `teeter deploy {} --strategy rolling` would go on", farm.name),
            false => String::new(),
        };
        findings.push(finding(strategy, vetoes, &then));
    }
    // A farm of two groups is only rolled if its rolling settings were changed.
    let is_rolled = usual.is_none() || farm.settings.rolling != RollingSettings::default();
    if is_rolled
        && !one_sided
        && let Err(vetoes) = rolls()
    {
        findings.push(finding("rolling", &vetoes, ""));
    }
    findings
}

/// What to change if the minimum refuses the deploy; empty otherwise.
fn remedy(vetoes: &[Veto]) -> String {
    let left = vetoes.iter().filter_map(|veto| match veto {
        Veto::MinAvailable { left, .. } => Some(*left),
        _ => None,
    });
    match left.min() {
        None | Some(0) => String::new(),
        Some(left) => format!(": write min_available = {left} at most, or give the farm more members"),
    }
}

/// The servers of some backends, so that the plan of each of many farms does not look at all servers.
fn only_backends(seen: &Seen, backends: &BTreeSet<&BackendName>) -> Seen {
    let servers = backends.iter().flat_map(|backend| seen.servers.in_backend(backend));
    let servers = servers.map(|(name, server)| (name.clone(), server.clone())).collect();
    Seen { servers, ..seen.clone() }
}

/// The largest farm that is planned: a plan in batches looks at all members for each batch.
const MOST: usize = 1000;
