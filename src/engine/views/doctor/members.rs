//! What a member is, and which of its lines are in use.

use super::{Examined, Fitting, farms, ok, warning};
use crate::api::FindingView;
use crate::farm;

/// Backends whose lines every command leaves aside.
pub(super) fn left_aside(examined: &Examined<'_>) -> Vec<FindingView> {
    let of = |(name, seen): (&farm::InstanceName, &&farm::Seen)| {
        let texts = farm::skipped_lines(&[(name.clone(), *seen)].into(), |_, _| true);
        texts.into_iter().map(|text| ok(format!("HAProxy {name}"), text)).collect::<Vec<_>>()
    };
    examined.seen.iter().flat_map(of).collect()
}

/// Processes of a farm that get requests through lines which are not those of their member.
pub(super) fn same_process(examined: &Examined<'_>) -> Vec<FindingView> {
    let of = |fitting: &Fitting<'_>| {
        let same =
            farm::SameProcess::find(&fitting.layout, &examined.seen).without_groups(fitting.layout.groups.values());
        let alike = same.alike().map(|text| ok(farms::about(fitting.farm), text));
        let refused = same.advice(&fitting.layout).map(|text| warning(farms::about(fitting.farm), text));
        refused.into_iter().chain(alike)
    };
    examined.farms.iter().flat_map(of).collect()
}
