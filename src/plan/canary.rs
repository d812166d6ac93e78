//! Canary: work on one group, give it a share of the traffic, more of it, then all; then work on the other.

use std::collections::{BTreeMap, BTreeSet};

use super::aside::Aside;
use super::see_saw;
use super::steps::{Phase, Plan, Step, Strategy};
use super::veto::Veto;
use crate::farm::{BakeSettings, Farm, GroupName, InstanceName, Layout, Seen, Side};

/// Makes the plan of a canary deploy, or says why there must not be one: a see-saw whose flip comes step by step.
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
    let settings = &farm.settings.canary;
    let names: Vec<&GroupName> = layout.groups.keys().collect();
    let (canary, other) = match (names.as_slice(), settings.group.as_ref()) {
        ([first, second], None) => ((*first).clone(), (*second).clone()),
        ([first, second], Some(group)) if group == *first => ((*first).clone(), (*second).clone()),
        ([first, second], Some(group)) if group == *second => ((*second).clone(), (*first).clone()),
        (_, Some(group)) if !names.contains(&group) => {
            let found = names.into_iter().cloned().collect();
            return Err(vec![Veto::NoSuchGroup { asked: Side::Group(group.clone()), found }]);
        }
        _ => return Err(vec![Veto::Groups { found: names.into_iter().cloned().collect() }]),
    };
    let (canary, other) = see_saw::in_order(layout, aside, (&canary, &other));
    let (canary, other) = (canary.clone(), other.clone());
    let plan = see_saw::plan_in_order(farm, layout, (version, phases), live, seen, aside, (&canary, &other))?;
    let tries = settings.shares(&canary, &other);
    let mut steps = plan.steps;
    let flip = steps.iter().position(|step| matches!(step, Step::Flip { .. })).unwrap_or(steps.len());
    steps.splice(flip..flip, tries);
    // Where nothing is compared, each share still gets its time.
    let bake = plan.bake.or_else(|| Some(BakeSettings::without_comparison(settings.pause)));
    Ok(Plan { strategy: Strategy::Canary, steps, bake, ..plan })
}

impl crate::farm::CanarySettings {
    fn shares(&self, canary: &GroupName, other: &GroupName) -> Vec<Step> {
        let share = |share: &crate::farm::Percent| {
            let (new, old) = (vec![canary.clone()], vec![other.clone()]);
            [
                Step::Share { group: canary.clone(), with: other.clone(), share: *share },
                Step::Bake { new, old, takes: Some(self.pause) },
            ]
        };
        self.steps.shares().iter().flat_map(share).collect()
    }
}
