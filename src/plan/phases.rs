//! Steps that are added to any plan: hooks around the deploy itself, and a watch after a flip.

use std::collections::BTreeSet;

use super::input::PlanningInput;
use super::step::Step;
use super::strategy::Phase;
use crate::farm::{BakeSettings, GroupName};

/// A strategy's steps with what every plan adds: a watch after each flip, hooks, and a last question to all members of
/// these groups.
pub(super) fn complete(input: &PlanningInput<'_>, steps: Vec<Step>, groups: Vec<GroupName>) -> Vec<Step> {
    let mut steps = with_phases(with_bake(steps, &input.farm.settings.bake), input.phases);
    if input.farm.settings.verify.http.is_some() {
        steps.push(Step::AskAll { groups });
    }
    steps
}

/// The steps with the caller's work in these phases, for each group that is worked on.
fn with_phases(steps: Vec<Step>, phases: &BTreeSet<Phase>) -> Vec<Step> {
    let deploys = |step: &Step| match step {
        Step::Work { group, phase: Phase::Deploy } => Some(group.clone()),
        _ => None,
    };
    let worked: BTreeSet<GroupName> = steps.iter().filter_map(deploys).collect();
    let hooks = |groups: &[GroupName], phase: Phase| -> Vec<Step> {
        let groups = groups.iter().filter(|group| phases.contains(&phase) && worked.contains(*group));
        groups.map(|group| Step::Work { group: group.clone(), phase }).collect()
    };
    let around = |step: Step| {
        let (before, after) = match &step {
            Step::Out { group, .. } => (hooks(std::slice::from_ref(group), Phase::BeforeOut), Vec::new()),
            Step::Work { group, phase: Phase::Deploy } => {
                (hooks(std::slice::from_ref(group), Phase::AfterOut), Vec::new())
            }
            Step::Flip { release, hold, .. } => (hooks(hold, Phase::BeforeOut), hooks(release, Phase::AfterIn)),
            Step::In { group, .. } => (Vec::new(), hooks(std::slice::from_ref(group), Phase::AfterIn)),
            _ => (Vec::new(), Vec::new()),
        };
        before.into_iter().chain([step]).chain(after)
    };
    steps.into_iter().flat_map(around).collect()
}

/// The steps with a watch after every flip, where the farm is configured to have one.
fn with_bake(steps: Vec<Step>, bake: &Option<BakeSettings>) -> Vec<Step> {
    let watch = |step: &Step| match step {
        Step::Flip { release, hold, .. } if bake.is_some() => {
            Some(Step::Bake { new: release.clone(), old: hold.clone(), takes: None })
        }
        _ => None,
    };
    steps.into_iter().flat_map(|step| [watch(&step), Some(step)].into_iter().rev().flatten()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flip_has_the_hooks_of_the_side_that_comes_in_and_of_the_side_that_goes_out() {
        let (a, b): (GroupName, GroupName) = ("a".parse().unwrap(), "b".parse().unwrap());
        let work = |group: &GroupName| Step::Work { group: group.clone(), phase: Phase::Deploy };
        let steps = vec![
            Step::Out { group: a.clone(), switch: None },
            work(&a),
            Step::Flip { release: vec![a.clone()], hold: vec![b.clone()], switch: None },
            work(&b),
            Step::In { group: b.clone(), switch: None },
        ];
        let text = |phases: &[Phase]| {
            let steps = with_phases(steps.clone(), &phases.iter().copied().collect());
            steps.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
        };
        assert_eq!(text(&[]), "out a, work a, flip b to a, work b, in b");
        assert_eq!(
            text(&[Phase::BeforeOut, Phase::AfterOut, Phase::AfterIn]),
            "before-out a, out a, after-out a, work a, before-out b, flip b to a, after-in a, after-out b, work b, \
             in b, after-in b"
        );
    }
}
