//! What HAProxy has counted of the sides of a flip.

use std::collections::BTreeMap;

use crate::engine::fleet::orders::seen_server;

use crate::farm::{Counts, Entry, GroupName, InstanceName};
use crate::haproxy::BackendName;
use crate::plan::{Plan, Run, RunState, Step};
use crate::reconcile::InstanceReport;

/// What has been counted of every line of a plan, where a flip is to be watched.
pub(crate) fn counted(plan: &Plan, reports: &BTreeMap<InstanceName, InstanceReport>) -> BTreeMap<Entry, Counts> {
    if plan.bake.is_none() {
        return BTreeMap::new();
    }
    plan.entries().filter_map(|entry| Some((entry.clone(), counts(entry, reports)?))).collect()
}

/// The backends that have to be looked at because a run watches servers in them.
pub(crate) fn watched<'a>(runs: impl Iterator<Item = &'a Run>, instance: &InstanceName) -> Vec<BackendName> {
    let lines = runs.filter(|run| run.state == RunState::Running).map(|run| match run.current() {
        Some(Step::Bake { new, .. }) => lines(run, new).collect(),
        // Who is to be up, or to stay, may be in a backend that nothing is held in any more.
        Some(Step::In { .. } | Step::Out { .. } | Step::Flip { .. } | Step::Ask { .. } | Step::AskAll { .. }) => {
            run.plan.entries().collect()
        }
        _ => Vec::new(),
    });
    let lines = lines.flatten().filter(|entry| entry.instance == *instance);
    lines.map(|entry| entry.server.backend.clone()).collect()
}

fn lines<'a>(run: &'a Run, groups: &'a [GroupName]) -> impl Iterator<Item = &'a Entry> {
    groups.iter().flat_map(|group| run.members(group)).flat_map(|member| &member.entries)
}

pub(crate) fn counts(entry: &Entry, reports: &BTreeMap<InstanceName, InstanceReport>) -> Option<Counts> {
    seen_server(entry, reports).map(|server| Counts::of(&server.load))
}
