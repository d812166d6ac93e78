//! A farm's route, before and after a switch.

use std::collections::BTreeSet;

use super::{Observed, State};
use crate::farm::{Canary, GroupName, Route, RouteKey, Side, Sticky, cookie_version};
use crate::plan::{Run, Step};

impl State {
    /// The route of a run's farm: as stored or, before the first switch, as the run found it.
    pub(super) fn route_of(&self, run: &Run, observed: &Observed<'_>) -> Route {
        let plan = &run.plan;
        let stored = self.routes.get(&plan.farm);
        let from_maps = || {
            let pinned =
                plan.flip.route.iter().flat_map(RouteKey::versions).filter(|_| plan.flip.sticky() == Sticky::Pin);
            pinned
                .filter_map(|(side, (map, key))| Some((side, observed.map_value(&map, &key)?.parse().ok()?)))
                .collect()
        };
        Route {
            farm: plan.farm.clone(),
            keys: plan.flip.route.clone(),
            sticky: plan.flip.sticky(),
            write_map: plan.flip.write_map,
            instances: stored
                .map(|route| &route.instances)
                .into_iter()
                .flatten()
                .chain(plan.entries().map(|entry| &entry.instance))
                .cloned()
                .collect(),
            live: stored.map_or_else(|| plan.live.clone(), |route| route.live.clone()),
            versions: stored.map(|route| route.versions.clone()).unwrap_or_else(from_maps),
            canary: stored.and_then(|route| route.canary.clone()),
        }
    }

    /// The route `before`, switched to a side by the run's current step, with the versions in the cookies of clients.
    pub(super) fn switched(&self, run: &Run, before: &Route, side: Side) -> Route {
        // The group that had a share gets all of the traffic or none after the switch.
        let canary = before.canary.as_ref().map(|canary| Canary { share: None, ..canary.clone() });
        let mut route = Route { live: side, canary, ..before.clone() };
        if route.sticky != Sticky::Pin {
            return route;
        }
        let worked: BTreeSet<&GroupName> = run.worked_on().collect();
        for (group, members) in &run.plan.groups {
            let seen: BTreeSet<&String> = members.iter().filter_map(|member| run.versions.get(&member.name)).collect();
            // A build time would be a second name for the version of `--to`.
            let is_known = seen.len() == 1 && run.plan.verify.names_version();
            let seen = seen.first().filter(|_| is_known).map(|version| version.as_str());
            let side = Side::Group(group.clone());
            // The version that the members report comes first: an operator may have deployed to them without a run.
            let reported = seen.and_then(|seen| cookie_version(Some(seen), ""));
            let version = if worked.contains(group) {
                cookie_version(run.plan.version.as_deref().or(seen), &format!("run-{}", run.id))
            } else {
                let known = reported.or_else(|| route.versions.get(&side).cloned());
                known.or_else(|| cookie_version(None, &format!("before-run-{}", run.id)))
            };
            route.versions.extend(version.map(|version| (side, version)));
        }
        // The version of "all" is the version in service: a group that stays out does not count.
        let is_held = |group: &&GroupName| run.holds.get(*group).is_some_and(|id| self.holds.contains_key(id));
        let serving = match run.current() {
            Some(Step::In { group, .. }) => Some(group),
            _ => run.plan.groups.keys().find(|group| !is_held(group)),
        };
        let all = match (&route.live, serving) {
            (Side::All, Some(group)) => route.versions.get(&Side::Group(group.clone())).cloned(),
            _ if route.versions.contains_key(&Side::All) => None,
            _ => route.versions.values().next().cloned(),
        };
        route.versions.extend(all.map(|version| (Side::All, version)));
        route
    }
}
