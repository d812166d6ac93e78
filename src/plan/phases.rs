//! Steps that are added to any plan: hooks around the deploy itself, and a watch after a flip.

use std::collections::BTreeSet;

use super::steps::{Phase, Step};
use crate::farm::{BakeSettings, Farm, GroupName};

/// A plan's steps with all that may stand between and after them: a watch after a flip, hooks, and a question to all
/// of these groups at the end.
pub(super) fn complete(steps: Vec<Step>, farm: &Farm, phases: &BTreeSet<Phase>, groups: Vec<GroupName>) -> Vec<Step> {
    let mut steps = with_phases(with_bake(steps, &farm.settings.bake), phases);
    if farm.settings.verify.http.is_some() {
        steps.push(Step::AskAll { groups });
    }
    steps
}

/// A plan's steps with the caller's work of these phases among them, for each group that is worked on.
fn with_phases(steps: Vec<Step>, phases: &BTreeSet<Phase>) -> Vec<Step> {
    let deploys = |step: &Step| match step {
        Step::Work { group, phase: Phase::Deploy } => Some(group.clone()),
        _ => None,
    };
    let worked: BTreeSet<GroupName> = steps.iter().filter_map(deploys).collect();
    let of = |groups: &[GroupName], phase: Phase| -> Vec<Step> {
        let groups = groups.iter().filter(|group| phases.contains(&phase) && worked.contains(*group));
        groups.map(|group| Step::Work { group: group.clone(), phase }).collect()
    };
    let around = |step: Step| {
        let (before, after) = match &step {
            Step::Out { group, .. } => (of(std::slice::from_ref(group), Phase::BeforeOut), Vec::new()),
            Step::Work { group, phase: Phase::Deploy } => {
                (of(std::slice::from_ref(group), Phase::AfterOut), Vec::new())
            }
            Step::Flip { release, hold, .. } => (of(hold, Phase::BeforeOut), of(release, Phase::AfterIn)),
            Step::In { group, .. } => (Vec::new(), of(std::slice::from_ref(group), Phase::AfterIn)),
            _ => (Vec::new(), Vec::new()),
        };
        before.into_iter().chain([step]).chain(after)
    };
    steps.into_iter().flat_map(around).collect()
}

/// A plan's steps with a watch after every flip, where the farm wants one.
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
    fn a_flip_is_the_way_in_of_one_side_and_out_of_the_other() {
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
