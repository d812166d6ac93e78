//! What ended runs of a farm have left: groups on standby, and servers that stayed out.

use std::collections::BTreeMap;

use crate::farm::{Farm, FarmName, GroupName, Hold, HoldId, Layout, MemberName, Owner, RunId};
use crate::state::State;

/// The holds by which ended runs keep groups of a farm on standby.
pub(crate) fn standby(farm: &FarmName, state: &State) -> BTreeMap<GroupName, HoldId> {
    let flips = state
        .runs
        .values()
        .filter(|run| !run.is_active() && run.plan.strategy.leaves_standby() && run.plan.farm == *farm);
    let holds = flips.flat_map(|run| run.holds.iter().map(|(group, id)| (run.id, group, *id)));
    let ours = holds.filter(|(run, _, id)| state.holds.get(id).is_some_and(|hold| hold.owner == Owner::Run(*run)));
    ours.map(|(_, group, id)| (group.clone(), id)).collect()
}

/// The layout of a farm with the halves of its runs that have left a group on standby. Halves that are made anew, from
/// other members or in another order, could mix members on standby with members in service.
pub(crate) fn with_kept_halves(farm: &Farm, mut layout: Layout, state: &State) -> Layout {
    if farm.settings.halves.is_none() || !farm.settings.flip.route.is_empty() {
        return layout;
    }
    for id in standby(&farm.name, state).values() {
        let run = state.holds.get(id).and_then(|hold| state.runs.get(&hold.owner.run()?));
        let groups = run.into_iter().flat_map(|run| &run.plan.groups);
        layout.keep_halves(groups.flat_map(|(group, members)| members.iter().map(move |one| (group, &one.name))));
    }
    layout
}

/// The holds by which ended runs of a farm have left servers out, without groups on standby.
pub(super) fn left_out(farm: &FarmName, state: &State, standby: &BTreeMap<GroupName, HoldId>) -> Vec<Hold> {
    let ended = |id: RunId| state.runs.get(&id).is_some_and(|run| !run.is_active() && run.plan.farm == *farm);
    let on_standby = |hold: &Hold| standby.values().any(|id| *id == hold.id);
    let left = state.holds.values().filter(|hold| hold.owner.run().is_some_and(ended) && !on_standby(hold));
    left.cloned().collect()
}

/// The notes of a run about servers that ended runs have left out and that it takes over; none if it works on no
/// servers.
pub(super) fn takeover_notes(left: &[Hold], works: bool) -> Vec<String> {
    let note = |hold: &Hold| {
        let members = hold.members().into_iter().map(MemberName::as_str).collect::<Vec<_>>().join(", ");
        let why = hold.note.iter().map(|note| format!(" ({note})")).collect::<String>();
        format!("takes over what {} has left out, and begins with it: {members}{why}", hold.owner)
    };
    left.iter().filter(|_| works).map(note).collect()
}
