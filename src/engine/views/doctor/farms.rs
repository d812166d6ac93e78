//! Farms: whether members, groups, routes and map files fit what HAProxy has.

use std::collections::{BTreeMap, BTreeSet};

use super::{Fitting, error, ok, warning};
use crate::api::FindingView;
use crate::farm::{Farm, FarmError, InstanceName, Seen, live_side};
use crate::reconcile::MapWriters;

/// Compares a farm with what HAProxy has.
///
/// # Errors
/// One finding for everything that does not fit.
pub(super) fn fit<'a>(farm: &'a Farm, seen: &BTreeMap<InstanceName, &Seen>) -> Result<Fitting<'a>, Vec<FindingView>> {
    let problem = |error: &FarmError| super::error(about(farm), format!("{}: {}", error.key, error.problem));
    let layout = farm.layout(seen).map_err(|error| vec![problem(&error)])?;
    match live_side(farm, &layout, seen) {
        Ok(live) => Ok(Fitting { farm, layout, live }),
        Err(problems) => Err(problems.iter().map(problem).collect()),
    }
}

/// The finding that a farm fits HAProxy.
pub(super) fn fits(Fitting { farm, layout, live }: &Fitting<'_>) -> FindingView {
    let traffic = live.as_ref().map(|live| format!(", the traffic goes to {live}")).unwrap_or_default();
    let (members, groups) = (layout.members.len(), layout.groups.len());
    let in_use = match layout.spare.len() {
        0 => format!("{members} members"),
        _ => format!("{} of {members} members in use,", layout.in_use()),
    };
    ok(about(farm), format!("{in_use} in {groups} groups{traffic}"))
}

/// Map files that teeter should update and cannot, and map files that have lost entries.
pub(super) async fn map_files(farm: &Farm, files: &MapWriters) -> Vec<FindingView> {
    let flip = &farm.settings.flip;
    let maps: BTreeSet<_> = flip.route.iter().filter(|_| flip.write_map).map(|route| &route.map).collect();
    let problems = files.check(maps.iter().copied()).await.into_iter();
    let problems = problems.map(|problem| error(about(farm), format!("flip.route: {problem}")));
    let troubles = files.troubles(maps.iter().copied()).await.into_iter();
    let troubles = troubles.map(|trouble| warning(about(farm), format!("flip.route: {trouble}")));
    problems.chain(troubles).collect()
}

/// The subject of findings about a farm.
pub(super) fn about(farm: &Farm) -> String {
    format!("farm {}", farm.name)
}
