//! Blue-green: work on the side that gets no traffic, switch the traffic to it, and leave the other side on standby.

use std::collections::{BTreeMap, BTreeSet};

use super::guard;
use super::input::PlanningInput;
use super::members::{groups, refuse_empty};
use super::phases::complete;
use super::run_plan::Plan;
use super::step::Step;
use super::strategy::{Phase, Strategy};
use super::veto::Veto;
use crate::farm::{Entry, Farm, GroupName, HoldId, Layout, Side};

/// The two sides of a farm.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sides {
    /// The group that gets the traffic.
    pub live: GroupName,
    /// The group that gets none.
    pub idle: GroupName,
}

/// Finds the side that gets no traffic: the one that the route leads away from, or the one on standby.
///
/// # Errors
/// The farm has not two groups, or both get traffic, or neither.
pub fn sides(
    farm: &Farm,
    layout: &Layout,
    live: Option<&Side>,
    standby: &BTreeMap<GroupName, HoldId>,
) -> Result<Sides, Veto> {
    let names: Vec<&GroupName> = layout.groups.keys().collect();
    let [first, second] = names[..] else {
        return Err(Veto::Groups { found: names.into_iter().cloned().collect() });
    };
    let live = match live {
        Some(Side::Group(live)) => Some(live),
        // A side on standby gets no traffic, though the route may lead to all.
        _ => match (standby.contains_key(first), standby.contains_key(second)) {
            (false, true) => Some(first),
            (true, false) => Some(second),
            _ => None,
        },
    };
    let idle = live.map(|live| if live == first { second } else { first });
    match (live, idle) {
        (Some(live), Some(idle)) => Ok(Sides { live: live.clone(), idle: idle.clone() }),
        _ => Err(Veto::NoneIdle { farm: farm.name.clone(), groups: vec![first.clone(), second.clone()] }),
    }
}

/// Makes the plan of a blue-green deploy.
///
/// # Errors
/// Every veto that applies.
pub fn plan(input: &PlanningInput<'_>) -> Result<Plan, Vec<Veto>> {
    let PlanningInput { farm, layout, seen, skipped, .. } = *input;
    let Sides { live: old, idle: new } = sides(farm, layout, input.live, input.standby).map_err(|veto| vec![veto])?;
    let planned = groups(input, &input.standby.keys().collect());
    let mut vetoes = refuse_empty(&planned, layout, &[&new, &old]);
    // The new side will carry the traffic by itself.
    let size = planned.groups.get(&new).map_or(0, Vec::len);
    let needed = farm.settings.min_available.members_of(layout.counted()).max(1);
    if size < needed && vetoes.is_empty() {
        let setting = farm.settings.min_available.to_string();
        vetoes.push(Veto::MinAvailable { farm: farm.name.clone(), left: size, needed, setting });
    }
    // A backend that the idle side shares with other servers must not be left without one.
    let members = planned.groups.get(&new).into_iter().flatten();
    let taken: BTreeSet<Entry> =
        members.flat_map(|member| &member.entries).chain(&skipped.held_lines).cloned().collect();
    let away = input.live.map(|live| guard::routed_away(farm, live)).unwrap_or_default();
    vetoes.extend(guard::last_servers(&taken, &away, seen));
    if !vetoes.is_empty() {
        return Err(vetoes);
    }
    let switch = (!farm.settings.flip.route.is_empty()).then(|| Side::Group(new.clone()));
    let steps = vec![
        Step::Out { group: new.clone(), switch: None },
        Step::Drain { group: new.clone() },
        Step::Work { group: new.clone(), phase: Phase::Deploy },
        Step::Verify { group: new.clone() },
        Step::Flip { release: vec![new.clone()], hold: vec![old.clone()], switch },
        Step::Drain { group: old },
    ];
    let steps = complete(input, steps, vec![new]);
    let live = input.live.cloned().unwrap_or(Side::All);
    let plan = Plan::new(input, Strategy::BlueGreen, planned, steps, live);
    Ok(Plan { needed, bake: farm.settings.bake.clone(), ..plan })
}
