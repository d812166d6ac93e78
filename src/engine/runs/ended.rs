//! What ended runs of a farm have left: groups on standby, and servers that stayed out.

use std::collections::BTreeMap;

use crate::farm::{FarmName, GroupName, Hold, HoldId, MemberName, Owner, RunId};
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
