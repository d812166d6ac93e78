//! Canary: work on one group, give it a share of the traffic, more of it, then all; then work on the other.

use super::input::PlanningInput;
use super::run_plan::Plan;
use super::see_saw::{self, Order};
use super::step::Step;
use super::strategy::Strategy;
use super::veto::Veto;
use crate::farm::{BakeSettings, CanarySettings, GroupName, Percent, Side};

/// Makes the plan of a canary deploy: a see-saw whose flip comes share by share.
///
/// # Errors
/// Every veto that applies.
pub fn plan(input: &PlanningInput<'_>) -> Result<Plan, Vec<Veto>> {
    let settings = &input.farm.settings.canary;
    let names: Vec<&GroupName> = input.layout.groups.keys().collect();
    let configured = match (names.as_slice(), settings.group.as_ref()) {
        ([first, second], None) => Order { first, second },
        ([first, second], Some(group)) if group == *first => Order { first, second },
        ([first, second], Some(group)) if group == *second => Order { first: second, second: first },
        (_, Some(group)) if !names.contains(&group) => {
            let found = names.into_iter().cloned().collect();
            return Err(vec![Veto::NoSuchGroup { asked: Side::Group(group.clone()), found }]);
        }
        _ => return Err(vec![Veto::Groups { found: names.into_iter().cloned().collect() }]),
    };
    let order = see_saw::in_order(input, configured);
    let plan = see_saw::plan_in_order(input, order)?;
    let mut steps = plan.steps;
    let flip = steps.iter().position(|step| matches!(step, Step::Flip { .. })).unwrap_or(steps.len());
    steps.splice(flip..flip, share_steps(settings, order));
    // Where nothing is compared, each share still gets its time.
    let bake = plan.bake.or_else(|| Some(BakeSettings::without_comparison(settings.pause)));
    Ok(Plan { strategy: Strategy::Canary, steps, bake, ..plan })
}

/// For each configured share of the traffic: the step that gives it to the canary group, and a watch.
fn share_steps(settings: &CanarySettings, Order { first: canary, second: other }: Order<'_>) -> Vec<Step> {
    let share_and_watch = |share: &Percent| {
        let (new, old) = (vec![canary.clone()], vec![other.clone()]);
        [
            Step::Share { group: canary.clone(), with: other.clone(), share: *share },
            Step::Bake { new, old, takes: Some(settings.pause) },
        ]
    };
    settings.steps.shares().iter().flat_map(share_and_watch).collect()
}
