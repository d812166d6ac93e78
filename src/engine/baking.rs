//! What HAProxy has counted of the sides of a flip.

use std::collections::BTreeMap;

use super::carry::entries;
use super::facts::seen_server;
use crate::farm::{Counts, Entry, GroupName, InstanceName};
use crate::haproxy::BackendName;
use crate::plan::{Bake, Figures, Plan, Run, RunState, Step};
use crate::reconcile::InstanceReport;

/// What has been counted of every line of a plan, where a flip is to be watched.
pub(super) fn counted(plan: &Plan, reports: &BTreeMap<InstanceName, InstanceReport>) -> BTreeMap<Entry, Counts> {
    if plan.bake.is_none() {
        return BTreeMap::new();
    }
    super::carry::entries(plan).filter_map(|entry| Some((entry.clone(), counts(entry, reports)?))).collect()
}

/// What a watch that begins now is measured against.
pub(super) fn begin_bake(run: &Run, reports: &BTreeMap<InstanceName, InstanceReport>) -> Bake {
    let Some(Step::Bake { new, old, .. }) = run.current() else {
        return Bake { before: Counts::default(), from: BTreeMap::new() };
    };
    let of_late = |entry: &Entry| {
        let now = counts(entry, reports)?;
        Some((now, now.since(run.counted.get(entry).copied().unwrap_or_default())))
    };
    let (all, late) = lines(run, old)
        .filter_map(of_late)
        .fold((Counts::default(), Counts::default()), |(all, late), (one, lately)| (all.and(one), late.and(lately)));
    let enough = run.plan.bake.as_ref().is_some_and(|bake| late.requests >= bake.min_requests);
    Bake {
        // Where the run was too short for it, all that the process has counted.
        before: if enough { late } else { all },
        from: lines(run, new).filter_map(|entry| Some((entry.clone(), counts(entry, reports)?))).collect(),
    }
}

/// What is known of those whom the run's step watches.
pub(super) fn figures(run: &Run, reports: &BTreeMap<InstanceName, InstanceReport>) -> Option<Figures> {
    let (Some(Step::Bake { .. }), Some(bake)) = (run.current(), &run.bake) else { return None };
    run.step.acted?;
    let since = |(entry, from): (&Entry, &Counts)| counts(entry, reports).map(|now| now.since(*from));
    let now = bake.from.iter().filter_map(since).fold(Counts::default(), Counts::and);
    Some(Figures { before: bake.before, now })
}

/// The backends that have to be looked at because a run watches servers in them.
pub(super) fn watched<'a>(runs: impl Iterator<Item = &'a Run>, instance: &InstanceName) -> Vec<BackendName> {
    let lines = runs.filter(|run| run.state == RunState::Running).map(|run| match run.current() {
        Some(Step::Bake { new, .. }) => lines(run, new).collect(),
        // Who is to be up, or to stay, may be in a backend that nothing is held in any more.
        Some(Step::In { .. } | Step::Out { .. } | Step::Flip { .. } | Step::Ask { .. } | Step::AskAll { .. }) => {
            entries(&run.plan).collect()
        }
        _ => Vec::new(),
    });
    let lines = lines.flatten().filter(|entry| entry.instance == *instance);
    lines.map(|entry| entry.server.backend.clone()).collect()
}

fn lines<'a>(run: &'a Run, groups: &'a [GroupName]) -> impl Iterator<Item = &'a Entry> {
    groups.iter().flat_map(|group| run.members(group)).flat_map(|member| &member.entries)
}

fn counts(entry: &Entry, reports: &BTreeMap<InstanceName, InstanceReport>) -> Option<Counts> {
    seen_server(entry, reports).map(|server| Counts::of(&server.load))
}
