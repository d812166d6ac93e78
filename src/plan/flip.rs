//! Flip: switch the traffic to a group, or to all, without any work. The side that goes out stays on standby.

use std::collections::BTreeSet;

use super::guard;
use super::input::PlanningInput;
use super::members::{groups, refuse_empty};
use super::run_plan::Plan;
use super::step::Step;
use super::strategy::Strategy;
use super::veto::Veto;
use crate::farm::{Entry, GroupName, Side};

/// Makes the plan of a flip to a side.
///
/// # Errors
/// Every veto that applies.
pub fn plan(input: &PlanningInput<'_>, to: &Side) -> Result<Plan, Vec<Veto>> {
    let PlanningInput { farm, layout, live, seen, skipped, standby, .. } = *input;
    let mut vetoes = Vec::new();
    let comes_in = |group: &GroupName| match to {
        Side::All => true,
        Side::Group(name) => name == group,
    };
    let (incoming, outgoing): (Vec<&GroupName>, Vec<&GroupName>) =
        layout.groups.keys().partition(|group| comes_in(group));
    if incoming.is_empty() {
        vetoes.push(Veto::NoSuchGroup { asked: to.clone(), found: layout.groups.keys().cloned().collect() });
    }
    if *to == Side::All && farm.settings.flip.route.iter().any(|route| route.all.is_none()) {
        vetoes.push(Veto::NoBackendForAll);
    }
    if !vetoes.is_empty() {
        return Err(vetoes);
    }
    let planned = groups(input, &standby.keys().collect());
    vetoes.extend(refuse_empty(&planned, layout, &incoming));
    let back: Vec<GroupName> =
        incoming.iter().filter(|group| standby.contains_key(**group)).map(|group| (*group).clone()).collect();
    let has_members = |group: &GroupName| planned.groups.get(group).is_some_and(|members| !members.is_empty());
    let out: Vec<GroupName> = outgoing
        .iter()
        .filter(|group| !standby.contains_key(**group) && has_members(group))
        .map(|group| (*group).clone())
        .collect();
    // A group that was out is verified first; a group that is in service must carry the traffic as it is.
    if back.is_empty() {
        let members = out.iter().filter_map(|group| planned.groups.get(group)).flatten();
        let taken: BTreeSet<Entry> =
            members.flat_map(|member| &member.entries).chain(&skipped.held_lines).cloned().collect();
        vetoes.extend(guard::last_servers(&taken, &guard::routed_away(farm, &Side::All), seen));
        vetoes.extend(guard::others_carry(farm, layout, &taken, seen));
    }
    if !vetoes.is_empty() {
        return Err(vetoes);
    }
    let switch = (!farm.settings.flip.route.is_empty()).then(|| to.clone());
    let mut steps: Vec<Step> = back.iter().map(|group| Step::Verify { group: group.clone() }).collect();
    // Where the traffic is on that side already, the plan has no steps.
    if !back.is_empty() || !out.is_empty() || (switch.is_some() && live != Some(to)) {
        steps.push(Step::Flip { release: back, hold: out.clone(), switch });
    }
    steps.extend(out.into_iter().map(|group| Step::Drain { group }));
    let live = live.cloned().unwrap_or(Side::All);
    Ok(Plan { version: None, ..Plan::new(input, Strategy::Flip, planned, steps, live) })
}
