//! What HAProxy has counted of the sides of a flip.

use crate::engine::fleet::reports::Reports;
use std::collections::BTreeMap;

use crate::farm::{Counts, Entry};

use crate::plan::Plan;

/// What has been counted of every line of a plan, where a flip is to be watched.
pub(crate) fn counted(plan: &Plan, reports: &Reports) -> BTreeMap<Entry, Counts> {
    if plan.bake.is_none() {
        return BTreeMap::new();
    }
    plan.entries().filter_map(|entry| Some((entry.clone(), counts(entry, reports)?))).collect()
}

pub(crate) fn counts(entry: &Entry, reports: &Reports) -> Option<Counts> {
    reports.server(entry).map(|server| Counts::of_server(&server.load))
}
