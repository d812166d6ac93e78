//! Flip: turn the traffic to a group, or to all, without any work. The side that goes out stays ready to come back.

use std::collections::{BTreeMap, BTreeSet};

use super::aside::Aside;
use super::guard;
use super::planned::{groups, refuse_empty};
use super::steps::{Plan, Step, Strategy};
use super::veto::Veto;
use crate::farm::{Entry, Farm, GroupName, HoldId, InstanceName, Layout, Seen, Side};

/// Makes the plan of a flip, or says why there must not be one. `standby`: holds by which earlier flips have left
/// groups out.
///
/// # Errors
/// Every veto that applies.
pub fn plan(
    farm: &Farm,
    layout: &Layout,
    (live, to): (Option<Side>, &Side),
    seen: &BTreeMap<InstanceName, &Seen>,
    aside: &Aside,
    standby: &BTreeMap<GroupName, HoldId>,
) -> Result<Plan, Vec<Veto>> {
    let mut vetoes = Vec::new();
    let comes = |group: &GroupName| match to {
        Side::All => true,
        Side::Group(name) => name == group,
    };
    let (incoming, outgoing): (Vec<&GroupName>, Vec<&GroupName>) = layout.groups.keys().partition(|group| comes(group));
    if incoming.is_empty() {
        vetoes.push(Veto::NoSuchGroup { asked: to.clone(), found: layout.groups.keys().cloned().collect() });
    }
    if *to == Side::All && farm.settings.flip.route.iter().any(|route| route.all.is_none()) {
        vetoes.push(Veto::NoBackendForAll);
    }
    if !vetoes.is_empty() {
        return Err(vetoes);
    }
    let planned = groups(layout, seen, &standby.keys().collect(), aside);
    let groups = &planned.0;
    vetoes.extend(refuse_empty(&planned, layout, &incoming));
    let back: Vec<GroupName> =
        incoming.iter().filter(|group| standby.contains_key(**group)).map(|g| (*g).clone()).collect();
    let out: Vec<GroupName> = outgoing
        .iter()
        .filter(|group| !standby.contains_key(**group) && groups.get(**group).is_some_and(|of| !of.is_empty()))
        .map(|group| (*group).clone())
        .collect();
    // Who was out has to prove itself first; who is in has to carry the traffic as it stands.
    if back.is_empty() {
        let taken: BTreeSet<Entry> = out
            .iter()
            .filter_map(|group| groups.get(group))
            .flatten()
            .flat_map(|member| &member.entries)
            .chain(&aside.out)
            .cloned()
            .collect();
        vetoes.extend(guard::last_servers(&taken, &guard::routed_away(farm, &Side::All), seen));
        vetoes.extend(guard::others_carry(&farm.name, farm.settings.min_available, layout, &taken, seen));
    }
    if !vetoes.is_empty() {
        return Err(vetoes);
    }
    let switch = (!farm.settings.flip.route.is_empty()).then(|| to.clone());
    let mut steps: Vec<Step> = back.iter().map(|group| Step::Verify { group: group.clone() }).collect();
    // Nothing to do where the traffic is there already: a plan without steps.
    if !back.is_empty() || !out.is_empty() || (switch.is_some() && live.as_ref() != Some(to)) {
        steps.push(Step::Flip { release: back, hold: out.clone(), switch });
    }
    steps.extend(out.into_iter().map(|group| Step::Drain { group }));
    Ok(Plan::of(farm, Strategy::Flip, planned, steps, live.unwrap_or(Side::All)))
}
