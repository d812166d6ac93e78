//! Blue-green: work on the side that gets no traffic, turn the traffic to it, and leave the other side standing by.

use std::collections::{BTreeMap, BTreeSet};

use super::aside::Aside;
use super::guard;
use super::phases::complete;
use super::planned::{groups, refuse_empty};
use super::steps::{Phase, Plan, Step, Strategy};
use super::veto::Veto;
use crate::farm::{Entry, Farm, GroupName, HoldId, InstanceName, Layout, Seen, Side};

/// The two sides of a farm: the one that gets the traffic, and the one that does not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sides {
    /// Gets the traffic.
    pub live: GroupName,
    /// Does not.
    pub idle: GroupName,
}

/// Finds the side that gets no traffic: the one that the route leads away from, or the one that stands by.
///
/// # Errors
/// Not two groups, or both get traffic, or neither.
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
        // A side that stands by gets nothing, though all would.
        _ => match (standby.contains_key(first), standby.contains_key(second)) {
            (false, true) => Some(first),
            (true, false) => Some(second),
            _ => None,
        },
    };
    let idle = live.map(|live| if live == first { second } else { first });
    match (live, idle) {
        (Some(live), Some(idle)) => Ok(Sides { live: live.clone(), idle: idle.clone() }),
        _ => Err(Veto::NobodyIdle { farm: farm.name.clone(), groups: vec![first.clone(), second.clone()] }),
    }
}

/// Makes the plan of a blue-green deploy, or says why there must not be one. `standby`: holds by which earlier runs
/// have left groups out.
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
    standby: &BTreeMap<GroupName, HoldId>,
) -> Result<Plan, Vec<Veto>> {
    let Sides { live: old, idle: new } = sides(farm, layout, live.as_ref(), standby).map_err(|veto| vec![veto])?;
    let planned = groups(layout, seen, &standby.keys().collect(), aside);
    let groups = &planned.0;
    let mut vetoes = refuse_empty(&planned, layout, &[&new, &old]);
    // It will carry the traffic by itself.
    let size = groups.get(&new).map_or(0, Vec::len);
    let needed = farm.settings.min_available.of(layout.counted()).max(1);
    if size < needed && vetoes.is_empty() {
        let setting = farm.settings.min_available.to_string();
        vetoes.push(Veto::MinAvailable { farm: farm.name.clone(), left: size, needed, setting });
    }
    // Whoever shares a backend with the idle side must not be left alone without anybody.
    let taken: BTreeSet<Entry> =
        groups.get(&new).into_iter().flatten().flat_map(|member| &member.entries).chain(&aside.out).cloned().collect();
    let away = live.as_ref().map(|live| guard::routed_away(farm, live)).unwrap_or_default();
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
    let steps = complete(steps, farm, phases, vec![new]);
    let live = live.unwrap_or(Side::All);
    let plan = Plan::of(farm, Strategy::BlueGreen, planned, steps, live);
    Ok(Plan { version, needed, bake: farm.settings.bake.clone(), ..plan })
}
