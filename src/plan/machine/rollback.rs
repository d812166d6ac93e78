//! The way back from a flip, or from a share of the traffic: other steps in place of what is left of a plan.

use jiff::Timestamp;

use super::baking::has_share;
use super::{Action, Facts, Illegal, Outcome};
use crate::farm::{GroupName, Side};
use crate::haproxy::AdminState;
use crate::plan::run::{Run, RunState, StepState};
use crate::plan::steps::{Phase, Step, Strategy};

/// How a run's traffic is turned back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RollbackPath<'a> {
    /// A group that has a share of it goes out.
    Share {
        /// Who has it.
        group: &'a GroupName,
        /// Who has the rest.
        with: &'a GroupName,
    },
    /// A flip is turned round.
    Flip {
        /// Who came in.
        new: &'a [GroupName],
        /// Who went out, and still runs what ran before.
        old: &'a [GroupName],
        /// Whether a route was turned.
        routed: bool,
    },
}

/// How a run's traffic could be turned back as it stands.
///
/// # Errors
/// Nothing has been turned, or the side that it was turned away from has been worked on.
pub fn rollback_path(run: &Run) -> Result<RollbackPath<'_>, Illegal> {
    let no_way = |why: String| Err(Illegal::NoRollback { run: run.id, why });
    let (id, farm) = (run.id, &run.plan.farm);
    match run.state {
        RunState::Done if run.plan.strategy.leaves_standby() => {
            let mut outs = run.plan.steps.iter().filter_map(|step| match step {
                Step::Flip { hold, .. } => hold.first(),
                _ => None,
            });
            let side = outs.next_back().map_or("GROUP", GroupName::as_str);
            return no_way(format!(
                "it is done: `teeter flip {farm} {side}` turns the traffic to the side that stands by"
            ));
        }
        RunState::Done | RunState::Aborted | RunState::RolledBack => return Err(Illegal::Ended(id)),
        RunState::Aborting => return no_way("it is being aborted".to_owned()),
        RunState::Running | RunState::Failed { .. } => {}
    }
    if run.rollback.is_some() {
        return no_way("it is being rolled back already".to_owned());
    }
    let done = run.plan.steps.iter().take(run.cursor).rev();
    let flips = done.filter_map(|step| match step {
        Step::Flip { release, hold, switch } if !release.is_empty() && !hold.is_empty() => {
            Some((release, hold, switch))
        }
        _ => None,
    });
    if tries(run) {
        let mut shares = run.plan.steps.iter().filter_map(|step| match step {
            Step::Share { group, with, .. } => Some(RollbackPath::Share { group, with }),
            _ => None,
        });
        return shares.next().map_or_else(|| no_way("it has given no share".to_owned()), Ok);
    }
    if run.plan.strategy == Strategy::Rolling {
        return no_way(format!(
            "a rolling deploy turns no traffic, so there is no side to turn it back to: deploy the version before, after \
             `teeter abort {id}`"
        ));
    }
    let Some((new, old, switch)) = flips.take(1).next() else {
        return no_way(format!("no traffic has been turned yet: `teeter abort {id}` brings back what is well"));
    };
    let works = |step: &&Step| matches!(step, Step::Work { group, phase: Phase::Deploy } if old.contains(group));
    let begun = run.plan.steps.iter().take(run.cursor + 1).find(works);
    if let Some(Step::Work { group, .. }) = begun {
        return no_way(format!(
            "the work on {group} has begun, so nobody runs the version before any more: deploy that version, after \
             `teeter abort {id}`"
        ));
    }
    Ok(RollbackPath::Flip { new, old, routed: switch.is_some() })
}

/// Turns a run's traffic back, to the side that still runs what ran before: what is left of the plan is that instead.
///
/// # Errors
/// As [`rollback_path`].
pub fn handle_rollback(run: &Run, why: &str, facts: &Facts<'_>, now: Timestamp) -> Result<Outcome, Illegal> {
    let hold = |group: &GroupName| run.holds.get(group).and_then(|id| facts.holds.get(id));
    let whole = run.plan.flip.route.iter().all(|route| route.all.is_some());
    let (mut tail, routed) = match rollback_path(run)? {
        RollbackPath::Share { group, with } => {
            let routed = !run.plan.flip.route.is_empty();
            // Where weights make the share, the other group's are held, too.
            let release = hold(with).map(|_| with.clone()).into_iter().collect();
            let switch = routed.then(|| Side::Group(with.clone()));
            let tail =
                vec![Step::Flip { release, hold: vec![group.clone()], switch }, Step::Drain { group: group.clone() }];
            (tail, routed)
        }
        RollbackPath::Flip { new, old, routed } => {
            // Whoever has only been drained has been checked all along; whoever was in maintenance shows first that it
            // is well.
            let checked = |group: &&GroupName| hold(group).is_some_and(|hold| hold.wants() < AdminState::Maint);
            let verify = old.iter().filter(|group| !checked(group)).map(|group| Step::Verify { group: group.clone() });
            let switch = old.first().filter(|_| routed).map(|group| Side::Group(group.clone()));
            let flip = Step::Flip { release: old.to_vec(), hold: new.to_vec(), switch };
            let drain = new.iter().map(|group| Step::Drain { group: group.clone() });
            (verify.chain([flip]).chain(drain).collect(), routed)
        }
    };
    if routed && whole && !run.plan.strategy.leaves_standby() {
        tail.push(Step::Flip { release: Vec::new(), hold: Vec::new(), switch: Some(Side::All) });
    }
    let mut run = run.clone();
    run.plan.steps.truncate(run.cursor);
    run.plan.steps.extend(tail);
    run.state = RunState::Running;
    run.rollback = Some(why.to_owned());
    run.step = StepState { since: now, acted: None, undo: Vec::new() };
    Ok(Outcome::Go(Box::new(run), vec![Action::Note(format!("rolling back: {why}"))]))
}

/// Whether a group has, or is just being given, a share of the traffic.
pub(super) fn tries(run: &Run) -> bool {
    has_share(run) || (matches!(run.current(), Some(Step::Share { .. })) && run.step.acted.is_some())
}
