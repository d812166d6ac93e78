//! HAProxy's counters of the servers of a plan, for the bake after a flip.

use std::collections::BTreeMap;

use crate::engine::fleet::reports::Reports;
use crate::farm::{Counts, Entry};
use crate::plan::Plan;

/// The counters of every line of a plan; none if the plan has no bake.
pub(crate) fn counted(plan: &Plan, reports: &Reports) -> BTreeMap<Entry, Counts> {
    if plan.bake.is_none() {
        return BTreeMap::new();
    }
    plan.entries().filter_map(|entry| Some((entry.clone(), counts(entry, reports)?))).collect()
}

/// The counters of one line; `None` if it was not seen.
pub(crate) fn counts(entry: &Entry, reports: &Reports) -> Option<Counts> {
    reports.server(entry).map(|server| Counts::of_server(&server.load))
}
