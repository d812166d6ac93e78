//! See-saw: take the first half out, work on it, turn the traffic to it, work on the second half, bring all back.

use std::collections::{BTreeMap, BTreeSet};

use super::aside::Aside;
use super::guard;
use super::phases::complete;
use super::planned::{groups, refuse_empty, with_taken_back};
use super::steps::{Phase, Plan, Step, Strategy};
use super::veto::Veto;
use crate::farm::{Entry, Farm, GroupName, InstanceName, Layout, Seen, Side};

/// Makes the plan of a see-saw, or says why there must not be one.
///
/// Members that somebody else has put in maintenance or drain, and those that are left `aside`, are left alone: not worked
/// on, and as they were at the end. `live`: the side that gets the traffic now, where the farm has a route.
///
/// # Errors
/// Every veto that applies.
pub fn plan(
    farm: &Farm,
    layout: &Layout,
    (version, phases): (Option<String>, &BTreeSet<Phase>),
    live: Option<Side>,
    seen: &BTreeMap<InstanceName, &Seen>,
    aside: &Aside,
) -> Result<Plan, Vec<Veto>> {
    let names: Vec<&GroupName> = layout.groups.keys().collect();
    let [first, second] = names[..] else {
        return Err(vec![Veto::Groups { found: names.into_iter().cloned().collect() }]);
    };
    let (first, second) = in_order(layout, aside, (first, second));
    plan_in_order(farm, layout, (version, phases), live, seen, aside, (first, second))
}

/// Whoever a run before this one has left out goes first: it is out already.
pub(super) fn in_order<'a>(
    layout: &Layout,
    aside: &Aside,
    (first, second): (&'a GroupName, &'a GroupName),
) -> (&'a GroupName, &'a GroupName) {
    let left = |group: &GroupName| {
        layout
            .groups
            .get(group)
            .map_or(0, |members| members.iter().filter(|member| aside.taken.contains(*member)).count())
    };
    if left(second) > left(first) { (second, first) } else { (first, second) }
}

/// The same with these two groups in this order.
pub(super) fn plan_in_order(
    farm: &Farm,
    layout: &Layout,
    (version, phases): (Option<String>, &BTreeSet<Phase>),
    live: Option<Side>,
    seen: &BTreeMap<InstanceName, &Seen>,
    aside: &Aside,
    (first, second): (&GroupName, &GroupName),
) -> Result<Plan, Vec<Veto>> {
    if farm.settings.flip.route.iter().any(|route| route.all.is_none()) {
        return Err(vec![Veto::NoBackendForAll]);
    }
    let planned = groups(layout, seen, &BTreeSet::new(), aside);
    let is_out = |group: &GroupName| {
        let members = planned.0.get(group).map(Vec::as_slice).unwrap_or_default();
        !members.is_empty() && members.iter().all(|member| aside.taken.contains(&member.name))
    };
    // The traffic may be with the second already, because the first has been left out.
    let stays = |live: &Side| *live == Side::All || (*live == Side::Group(second.clone()) && is_out(first));
    let live = live.unwrap_or(Side::All);
    if !stays(&live) {
        return Err(vec![Veto::OneSideLive { farm: farm.name.clone(), live }]);
    }
    let back = with_taken_back(layout, seen, aside);
    let back: BTreeMap<InstanceName, &Seen> = back.iter().map(|(name, seen)| (name.clone(), seen)).collect();
    let mut vetoes = refuse_empty(&planned, layout, &[first, second]);
    for (group, members) in planned.0.iter().filter(|(group, members)| !members.is_empty() && !is_out(group)) {
        let seen = if group == first { seen } else { &back };
        let taken: BTreeSet<Entry> =
            members.iter().flat_map(|member| &member.entries).chain(&aside.out).cloned().collect();
        vetoes.extend(guard::last_servers(&taken, &guard::routed_away(farm, &Side::All), seen));
        vetoes.extend(guard::others_carry(&farm.name, farm.settings.min_available, layout, &taken, seen));
    }
    if !vetoes.is_empty() {
        return Err(vetoes);
    }
    let (a, b) = (first.clone(), second.clone());
    let switch = |side: Side| (!farm.settings.flip.route.is_empty()).then_some(side);
    let (to_a, to_b) = (switch(Side::Group(a.clone())), switch(Side::Group(b.clone())));
    let everybody = vec![a.clone(), b.clone()];
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
    let steps = complete(steps, farm, phases, everybody);
    Ok(Plan {
        version,
        needed: farm.settings.min_available.of(layout.counted()).max(1),
        bake: farm.settings.bake.clone(),
        ..Plan::of(farm, Strategy::SeeSaw, planned, steps, live)
    })
}
