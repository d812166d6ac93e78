//! What the steps before the current one have done.

use crate::farm::GroupName;
use crate::plan::run::Run;
use crate::plan::step::Step;

/// The steps before the current one, the latest first.
fn done(run: &Run) -> impl Iterator<Item = &Step> {
    run.plan.steps.iter().take(run.cursor).rev()
}

/// Whether a group was kept ready to come back until a watch was over.
pub(super) fn kept_ready(run: &Run, group: &GroupName) -> bool {
    let mut since_flip = done(run).take_while(|step| !matches!(step, Step::Flip { .. }));
    since_flip.any(|step| matches!(step, Step::Bake { old, .. } if old.contains(group)))
}

/// Whether an earlier step has given a group a share of the traffic, and no flip to it has been confirmed since.
pub(super) fn was_given_share(run: &Run) -> bool {
    let mut since_flip = done(run).take_while(|step| !matches!(step, Step::Flip { .. }));
    since_flip.any(|step| matches!(step, Step::Share { .. }))
}

/// Whether a group has a share of the traffic, or the current step is just giving it one.
pub(super) fn has_share(run: &Run) -> bool {
    was_given_share(run) || (matches!(run.current(), Some(Step::Share { .. })) && run.step.acted.is_some())
}

/// Whether the side that got traffic last got a share of it, while the other side kept the rest.
pub(super) fn both_have_traffic(run: &Run) -> bool {
    let switch = done(run).find(|step| matches!(step, Step::Flip { .. } | Step::Share { .. }));
    matches!(switch, Some(Step::Share { .. }))
}

/// The step that gave the watched side its traffic, as text.
pub(super) fn last_switch(run: &Run) -> String {
    match done(run).find(|step| matches!(step, Step::Flip { .. } | Step::Share { .. })) {
        Some(Step::Share { group, share, .. }) => format!("group {group} was given {share} of the traffic"),
        _ => "the flip".to_owned(),
    }
}
