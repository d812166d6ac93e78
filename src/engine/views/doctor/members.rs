//! Members: which of their lines are in use, and whether other lines lead to the same process.

use super::{Examined, Fitting, farms, ok, warning};
use crate::api::FindingView;
use crate::farm;

/// Backends whose lines every command skips.
pub(super) fn skipped_backends(examined: &Examined<'_>) -> Vec<FindingView> {
    let findings = |(name, seen): (&farm::InstanceName, &&farm::Seen)| {
        let texts = farm::skipped_lines(&[(name.clone(), *seen)].into(), |_, _| true);
        texts.into_iter().map(|text| ok(format!("HAProxy {name}"), text)).collect::<Vec<_>>()
    };
    examined.seen.iter().flat_map(findings).collect()
}

/// Processes of a farm that get requests through lines of another name than their member's.
pub(super) fn same_process(examined: &Examined<'_>) -> Vec<FindingView> {
    let findings = |fitting: &Fitting<'_>| {
        let same =
            farm::SameProcess::find(&fitting.layout, &examined.seen).without_groups(fitting.layout.groups.values());
        let alike = same.alike().map(|text| ok(farms::about(fitting.farm), text));
        let refused = same.advice(&fitting.layout).map(|text| warning(farms::about(fitting.farm), text));
        refused.into_iter().chain(alike)
    };
    examined.farms.iter().flat_map(findings).collect()
}
