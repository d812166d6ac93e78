//! What turning a farm's route means for the store, and for the servers that the traffic leaves.

use std::collections::{BTreeMap, BTreeSet};

use super::carry::entries;
use super::ledger::Ledger;
use crate::farm::{
    Canary, DrainSettings, GroupName, InstanceName, Ladder, Route, RouteKey, Side, Stays, Sticky, cookie_version,
};
use crate::haproxy::{AdminState, MapKey, MapName};
use crate::plan::{Run, Step, Strategy};
use crate::reconcile::InstanceReport;

/// How a group is emptied. Behind a route nobody new comes, so its servers stay ready until nothing is in flight. A side
/// that stands by then goes to drain and no further: its checks go on, and it can be back at once.
pub(super) fn ladder(run: &Run, group: &GroupName, route: Option<&Route>) -> Ladder {
    let DrainSettings { grace, deadline, on_deadline, idle } = run.plan.drain;
    let (sticky, side) = (run.plan.flip.sticky(), Side::Group(group.clone()));
    let worked = matches!(run.current(), Some(Step::Out { .. })) && run.plan.strategy == Strategy::BlueGreen;
    let (first, last, stays) = match route {
        // Nobody is on the side that stood by, and while it is worked on it is nobody's to check.
        _ if worked => (AdminState::Maint, AdminState::Maint, Stays::Nobody),
        None if sticky == Sticky::Break => (AdminState::Maint, AdminState::Maint, Stays::Nobody),
        None if is_watched(run, group) => (AdminState::Drain, AdminState::Drain, Stays::WhoSticks),
        None => (AdminState::Drain, AdminState::Maint, Stays::WhoSticks),
        Some(route) => {
            let stays = match sticky {
                _ if !route.can_keep(&side) => Stays::Nobody,
                Sticky::Break => Stays::Nobody,
                Sticky::Honour => Stays::WhoSticks,
                Sticky::Pin => Stays::Everybody,
            };
            (
                AdminState::Ready,
                if stands_by(run) || is_watched(run, group) { AdminState::Drain } else { AdminState::Maint },
                stays,
            )
        }
    };
    Ladder { first, last, grace, deadline, on_deadline, stays, idle }
}

/// Whether the servers that the run's present step takes out are to be ready to come back, and not to be worked on.
pub(super) fn stands_by(run: &Run) -> bool {
    run.plan.strategy.leaves_standby() && !matches!(run.current(), Some(Step::Out { .. }))
}

/// Whether the group is to be ready to come back until a watch is over: then it goes to drain and no further.
fn is_watched(run: &Run, group: &GroupName) -> bool {
    let later = run.plan.steps.iter().skip(run.cursor + 1);
    let mut later = later.take_while(|step| !matches!(step, Step::Drain { group: of } if of == group));
    later.any(|step| matches!(step, Step::Bake { old, .. } if old.contains(group)))
}

/// The farm's route as it is: as stored, or as the run found it.
pub(super) fn stored_route(run: &Run, ledger: &Ledger, reports: &BTreeMap<InstanceName, InstanceReport>) -> Route {
    let plan = &run.plan;
    let told = |(map, key): &(MapName, MapKey)| {
        let mut seen =
            reports.values().filter_map(|report| report.seen.as_ref()?.maps.get(map)?.entries.get(key)?.clone());
        seen.next()?.parse().ok()
    };
    let entries_of = plan.flip.route.iter().flat_map(RouteKey::versions);
    let stored = ledger.state.routes.get(&plan.farm);
    Route {
        farm: plan.farm.clone(),
        keys: plan.flip.route.clone(),
        sticky: plan.flip.sticky(),
        write_map: plan.flip.write_map,
        instances: stored
            .map(|route| &route.instances)
            .into_iter()
            .flatten()
            .chain(entries(plan).map(|entry| &entry.instance))
            .cloned()
            .collect(),
        live: stored.map_or_else(|| plan.live.clone(), |route| route.live.clone()),
        versions: stored.map(|route| route.versions.clone()).unwrap_or_else(|| {
            let pinned = entries_of.filter(|_| plan.flip.sticky() == Sticky::Pin);
            pinned.filter_map(|(side, entry)| Some((side, told(&entry)?))).collect()
        }),
        canary: stored.and_then(|route| route.canary.clone()),
    }
}

/// The farm's route turned to a side, with the versions that clients are told.
pub(super) fn turned(run: &Run, before: &Route, side: Side, ledger: &Ledger) -> Route {
    // Whoever had a share has all of it or nothing now.
    let canary = before.canary.as_ref().map(|canary| Canary { share: None, ..canary.clone() });
    let mut route = Route { live: side, canary, ..before.clone() };
    if route.sticky != Sticky::Pin {
        return route;
    }
    let worked: BTreeSet<&GroupName> = run.worked_on().collect();
    for (group, members) in &run.plan.groups {
        let seen: BTreeSet<&String> = members.iter().filter_map(|member| run.versions.get(&member.name)).collect();
        // The time of a build would be another name for what `--to` has named.
        let is_known = seen.len() == 1 && run.plan.verify.names_version();
        let seen = seen.first().filter(|_| is_known).map(|version| version.as_str());
        let side = Side::Group(group.clone());
        // What its members say themselves comes first: somebody may have worked on them without a run.
        let told = seen.and_then(|seen| cookie_version(Some(seen), ""));
        let version = if worked.contains(group) {
            cookie_version(run.plan.version.as_deref().or(seen), &format!("run-{}", run.id))
        } else {
            let known = told.or_else(|| route.versions.get(&side).cloned());
            known.or_else(|| cookie_version(None, &format!("before-run-{}", run.id)))
        };
        route.versions.extend(version.map(|version| (side, version)));
    }
    // All is what is in service: a group that stays out has no say in it.
    let held = |group: &&GroupName| run.holds.get(*group).is_some_and(|id| ledger.state.holds.contains_key(id));
    let speaks = match run.current() {
        Some(Step::In { group, .. }) => Some(group),
        _ => run.plan.groups.keys().find(|group| !held(group)),
    };
    let all = match (&route.live, speaks) {
        (Side::All, Some(group)) => route.versions.get(&Side::Group(group.clone())).cloned(),
        _ if route.versions.contains_key(&Side::All) => None,
        _ => route.versions.values().next().cloned(),
    };
    route.versions.extend(all.map(|version| (Side::All, version)));
    route
}
