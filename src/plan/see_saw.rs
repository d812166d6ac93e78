//! See-saw: take the first half out, work on it, switch the traffic to it, work on the second half, bring all back.

use std::collections::{BTreeMap, BTreeSet};

use super::guard;
use super::input::PlanningInput;
use super::members::{groups, refuse_empty, with_taken_over_back};
use super::phases::complete;
use super::run_plan::Plan;
use super::step::Step;
use super::strategy::{Phase, Strategy};
use super::veto::Veto;
use crate::farm::{Entry, GroupName, InstanceName, Seen, Side};

/// Makes the plan of a see-saw.
///
/// Members that are in maintenance or drain without teeter, and those in `skipped`, are skipped: the run does not work
/// on them and leaves them as they are.
///
/// # Errors
/// Every veto that applies.
pub fn plan(input: &PlanningInput<'_>) -> Result<Plan, Vec<Veto>> {
    let names: Vec<&GroupName> = input.layout.groups.keys().collect();
    let [first, second] = names[..] else {
        return Err(vec![Veto::Groups { found: names.into_iter().cloned().collect() }]);
    };
    plan_in_order(input, in_order(input, Order { first, second }))
}

/// The order in which two groups are worked on.
#[derive(Debug, Clone, Copy)]
pub(super) struct Order<'a> {
    pub(super) first: &'a GroupName,
    pub(super) second: &'a GroupName,
}

/// The group with more members that an earlier run has left out goes first: these are out already.
pub(super) fn in_order<'a>(input: &PlanningInput<'_>, Order { first, second }: Order<'a>) -> Order<'a> {
    let left_out = |group: &GroupName| {
        let members = input.layout.groups.get(group).into_iter().flatten();
        members.filter(|member| input.skipped.taken_over.contains(*member)).count()
    };
    if left_out(second) > left_out(first) { Order { first: second, second: first } } else { Order { first, second } }
}

/// Makes the plan with the groups in this order.
pub(super) fn plan_in_order(input: &PlanningInput<'_>, Order { first, second }: Order<'_>) -> Result<Plan, Vec<Veto>> {
    let PlanningInput { farm, layout, seen, skipped, .. } = *input;
    if farm.settings.flip.route.iter().any(|route| route.all.is_none()) {
        return Err(vec![Veto::NoBackendForAll]);
    }
    let planned = groups(input, &BTreeSet::new());
    let is_out = |group: &GroupName| {
        let members = planned.groups.get(group).map(Vec::as_slice).unwrap_or_default();
        !members.is_empty() && members.iter().all(|member| skipped.taken_over.contains(&member.name))
    };
    // The second group may have all of the traffic already, because the first has been left out.
    let may_begin = |live: &Side| *live == Side::All || (*live == Side::Group(second.clone()) && is_out(first));
    let live = input.live.cloned().unwrap_or(Side::All);
    if !may_begin(&live) {
        return Err(vec![Veto::OneSideLive { farm: farm.name.clone(), live }]);
    }
    let back = with_taken_over_back(input);
    let back: BTreeMap<InstanceName, &Seen> = back.iter().map(|(name, seen)| (name.clone(), seen)).collect();
    let mut vetoes = refuse_empty(&planned, layout, &[first, second]);
    for (group, members) in planned.groups.iter().filter(|(group, members)| !members.is_empty() && !is_out(group)) {
        let seen = if group == first { seen } else { &back };
        let taken: BTreeSet<Entry> =
            members.iter().flat_map(|member| &member.entries).chain(&skipped.held_lines).cloned().collect();
        vetoes.extend(guard::last_servers(&taken, &guard::routed_away(farm, &Side::All), seen));
        vetoes.extend(guard::others_carry(farm, layout, &taken, seen));
    }
    if !vetoes.is_empty() {
        return Err(vetoes);
    }
    let (a, b) = (first.clone(), second.clone());
    let switch = |side: Side| (!farm.settings.flip.route.is_empty()).then_some(side);
    let (to_a, to_b) = (switch(Side::Group(a.clone())), switch(Side::Group(b.clone())));
    let both = vec![a.clone(), b.clone()];
    let steps = vec![
        Step::Out { group: a.clone(), switch: to_b },
        Step::Drain { group: a.clone() },
        Step::Work { group: a.clone(), phase: Phase::Deploy },
        Step::Verify { group: a.clone() },
        Step::Flip { release: vec![a], hold: vec![b.clone()], switch: to_a },
        Step::Drain { group: b.clone() },
        Step::Work { group: b.clone(), phase: Phase::Deploy },
        Step::Verify { group: b.clone() },
        Step::In { group: b, switch: switch(Side::All) },
    ];
    let steps = complete(input, steps, both);
    Ok(Plan {
        needed: farm.settings.min_available.members_of(layout.counted()).max(1),
        bake: farm.settings.bake.clone(),
        ..Plan::new(input, Strategy::SeeSaw, planned, steps, live)
    })
}
