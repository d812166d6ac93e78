//! Rolling back a flip, or a share of the traffic: other steps replace the rest of the plan.

use jiff::Timestamp;

use super::history::has_share;
use super::outcome::{Action, Facts, Illegal, Outcome};
use crate::farm::{GroupName, Side};
use crate::haproxy::AdminState;
use crate::plan::run::{Run, RunState, StepState};
use crate::plan::step::Step;
use crate::plan::strategy::{Phase, Strategy};

/// How a run's traffic can be rolled back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RollbackPath<'a> {
    /// The group that has a share of the traffic goes out.
    Share {
        /// The group that has the share.
        group: &'a GroupName,
        /// The group that has the rest.
        with: &'a GroupName,
    },
    /// A flip in the other direction.
    Flip {
        /// The groups that came in.
        new: &'a [GroupName],
        /// The groups that went out, and still run the previous version.
        old: &'a [GroupName],
        /// Whether a route was switched.
        routed: bool,
    },
}

/// How a run's traffic can be rolled back now.
///
/// # Errors
/// No traffic has been switched, or the side that it was switched away from has been worked on.
pub fn rollback_path(run: &Run) -> Result<RollbackPath<'_>, Illegal> {
    let refuse =
        |why: &str, instead: Option<String>| Err(Illegal::NoRollback { run: run.id, why: why.to_owned(), instead });
    let (id, farm) = (run.id, &run.plan.farm);
    match run.state {
        RunState::Done if run.plan.strategy.leaves_standby() => {
            let mut outs = run.plan.steps.iter().filter_map(|step| match step {
                Step::Flip { hold, .. } => hold.first(),
                _ => None,
            });
            let side = outs.next_back().map_or("GROUP", GroupName::as_str);
            let instead = format!("`teeter flip {farm} {side}` switches the traffic to the side on standby");
            return refuse("it is done", Some(instead));
        }
        RunState::Done | RunState::Aborted | RunState::RolledBack => return Err(Illegal::Ended(id)),
        RunState::Aborting => return refuse("it is being aborted", None),
        RunState::Running | RunState::Failed { .. } => {}
    }
    if run.rollback.is_some() {
        return refuse("it is being rolled back already", None);
    }
    let done = run.plan.steps.iter().take(run.cursor).rev();
    let flips = done.filter_map(|step| match step {
        Step::Flip { release, hold, switch } if !release.is_empty() && !hold.is_empty() => {
            Some((release, hold, switch))
        }
        _ => None,
    });
    if has_share(run) {
        let mut shares = run.plan.steps.iter().filter_map(|step| match step {
            Step::Share { group, with, .. } => Some(RollbackPath::Share { group, with }),
            _ => None,
        });
        return shares.next().map_or_else(|| refuse("it has given no share", None), Ok);
    }
    if run.plan.strategy == Strategy::Rolling {
        return refuse(
            "a rolling deploy switches no traffic, so there is no side to switch it back to",
            Some(format!("deploy the previous version, after `teeter abort {id}`")),
        );
    }
    let Some((new, old, switch)) = flips.take(1).next() else {
        return refuse(
            "no traffic has been switched yet",
            Some(format!("`teeter abort {id}` brings back the healthy servers")),
        );
    };
    let works = |step: &&Step| matches!(step, Step::Work { group, phase: Phase::Deploy } if old.contains(group));
    let begun = run.plan.steps.iter().take(run.cursor + 1).find(works);
    if let Some(Step::Work { group, .. }) = begun {
        return refuse(
            &format!("the work on {group} has begun, so no server runs the previous version any more"),
            Some(format!("deploy that version, after `teeter abort {id}`")),
        );
    }
    Ok(RollbackPath::Flip { new, old, routed: switch.is_some() })
}

/// Rolls a run back: replaces the rest of the plan by a switch to the side that still runs the previous version.
///
/// # Errors
/// As [`rollback_path`].
pub fn handle_rollback(run: &Run, why: &str, facts: &Facts<'_>, now: Timestamp) -> Result<Outcome, Illegal> {
    let hold = |group: &GroupName| run.holds.get(group).and_then(|id| facts.holds.get(id));
    let whole = run.plan.flip.route.iter().all(|route| route.all.is_some());
    let (mut tail, routed) = match rollback_path(run)? {
        RollbackPath::Share { group, with } => {
            let routed = !run.plan.flip.route.is_empty();
            // Where weights make the share, the run holds the other group, too.
            let release = hold(with).map(|_| with.clone()).into_iter().collect();
            let switch = routed.then(|| Side::Group(with.clone()));
            let tail =
                vec![Step::Flip { release, hold: vec![group.clone()], switch }, Step::Drain { group: group.clone() }];
            (tail, routed)
        }
        RollbackPath::Flip { new, old, routed } => {
            // HAProxy has checked a group in drain all along; a group that was in maintenance is verified first.
            let is_checked =
                |group: &&GroupName| hold(group).is_some_and(|hold| hold.wanted_state() < AdminState::Maint);
            let verify =
                old.iter().filter(|group| !is_checked(group)).map(|group| Step::Verify { group: group.clone() });
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
