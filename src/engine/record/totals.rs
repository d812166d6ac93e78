//! What has been completed since teeterd was started: durations of drains, flips and runs, and changes outside teeter.
//! Nothing of it is stored.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use jiff::Timestamp;

use crate::farm::{Farm, FarmName, Hold, Owner, Stage};
use crate::plan::{Run, RunState, Strategy};
use crate::platform::lock;
use crate::state::{Change, DrainOutcome, NewEvent, State};

/// The totals. Clones share them.
#[derive(Debug, Clone, Default)]
pub(crate) struct SharedTotals(Arc<Mutex<Totals>>);

/// What has been completed since teeterd was started.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Totals {
    /// Drains by farm and outcome. Servers of no farm have no farm.
    pub drains: BTreeMap<(Option<FarmName>, DrainOutcome), Durations>,
    /// Flips by farm, and whether a route switched the traffic.
    pub flips: BTreeMap<(FarmName, bool), Durations>,
    /// Runs by farm, strategy and outcome.
    pub runs: BTreeMap<(FarmName, Strategy, RunEnd), Durations>,
    /// Servers and routes that were changed outside teeter.
    pub drifts: u64,
}

/// How a run has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum RunEnd {
    /// After its last step.
    Done,
    /// Before its last step.
    Aborted,
    /// Rolled back.
    RolledBack,
}

/// Durations, counted in buckets.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Durations {
    /// For each of [`BOUNDS`] the number of durations up to it and above the bound before; then those above all bounds.
    pub buckets: [u64; BOUNDS.len() + 1],
    /// The sum, in seconds.
    pub sum: f64,
}

/// The upper bounds of the buckets, in seconds: a flip takes milliseconds, and a run hours.
pub const BOUNDS: [f64; 14] =
    [0.001, 0.005, 0.025, 0.1, 0.5, 2.0, 5.0, 15.0, 60.0, 300.0, 900.0, 3600.0, 14_400.0, 86_400.0];

/// Something that a transaction completes.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Completed {
    Drain(Option<FarmName>, DrainOutcome, f64),
    Flip(FarmName, bool, f64),
    Run(FarmName, Strategy, RunEnd, f64),
    Drift,
}

/// What a transaction completes. `state` is the state before it.
pub(crate) fn completed(
    state: &State,
    changes: &[Change],
    events: &[NewEvent],
    farms: &BTreeMap<FarmName, Farm>,
    now: Timestamp,
) -> Vec<Completed> {
    let mut found = Vec::new();
    for change in changes {
        match change {
            Change::PutHold(new) => found
                .extend(state.holds.get(&new.id).and_then(|before| drain(before, Some(&new.stage), state, farms, now))),
            Change::DropHold(id) => {
                found.extend(state.holds.get(id).and_then(|before| drain(before, None, state, farms, now)));
            }
            Change::PutRun(new) => {
                if let Some(before) = state.runs.get(&new.id) {
                    found.extend(flips(before, new));
                    found.extend(ended(before, new, now));
                }
            }
            _ => {}
        }
    }
    found.extend(events.iter().filter(|event| event.kind == "drift").map(|_| Completed::Drift));
    found
}

fn drain(
    before: &Hold,
    after: Option<&Stage>,
    state: &State,
    farms: &BTreeMap<FarmName, Farm>,
    now: Timestamp,
) -> Option<Completed> {
    let Stage::Draining(emptying) = &before.stage else { return None };
    let end = DrainOutcome::of_stage(after)?;
    let farm = match &before.owner {
        Owner::Run(id) => state.runs.get(id).map(|run| run.plan.farm.clone()),
        Owner::Operator(_) => None,
    };
    let of_lines = || {
        let has = |farm: &&Farm| before.entries.iter().any(|entry| farm.has(&entry.server));
        farms.values().find(has).map(|farm| farm.name.clone())
    };
    Some(Completed::Drain(farm.or_else(of_lines), end, seconds(emptying.since, now)))
}

fn flips<'a>(before: &'a Run, after: &'a Run) -> impl Iterator<Item = Completed> + 'a {
    let new = after.flips.iter().skip(before.flips.len());
    new.map(|flip| Completed::Flip(after.plan.farm.clone(), flip.route, flip.took as f64 / 1e6))
}

fn ended(before: &Run, after: &Run, now: Timestamp) -> Option<Completed> {
    let end = match after.state {
        RunState::Done => RunEnd::Done,
        RunState::Aborted => RunEnd::Aborted,
        RunState::RolledBack => RunEnd::RolledBack,
        RunState::Running | RunState::Failed { .. } | RunState::Aborting => return None,
    };
    let took = seconds(after.started, after.finished.unwrap_or(now));
    before.is_active().then(|| Completed::Run(after.plan.farm.clone(), after.plan.strategy, end, took))
}

/// The time between two moments; zero where the clock was set back between them.
fn seconds(from: Timestamp, to: Timestamp) -> f64 {
    to.duration_since(from).as_secs_f64().max(0.0)
}

impl Durations {
    /// Counts a duration, in seconds.
    pub(crate) fn add(&mut self, seconds: f64) {
        let bucket = BOUNDS.iter().position(|bound| seconds <= *bound).unwrap_or(BOUNDS.len());
        self.buckets[bucket] += 1;
        self.sum += seconds;
    }
}

impl SharedTotals {
    /// Adds what a committed transaction completes.
    pub(crate) fn add(&self, completed: Vec<Completed>) {
        let mut totals = lock(&self.0);
        for one in completed {
            match one {
                Completed::Drain(farm, end, took) => totals.drains.entry((farm, end)).or_default().add(took),
                Completed::Flip(farm, route, took) => totals.flips.entry((farm, route)).or_default().add(took),
                Completed::Run(farm, strategy, end, took) => {
                    totals.runs.entry((farm, strategy, end)).or_default().add(took);
                }
                Completed::Drift => totals.drifts += 1,
            }
        }
    }

    /// The totals until now.
    pub(crate) fn get(&self) -> Totals {
        lock(&self.0).clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::farm::{Emptying, HoldId, Ladder, OnDeadline, Reach, Span, Stays};
    use crate::haproxy::AdminState;

    fn hold(stage: Stage) -> Hold {
        Hold {
            id: HoldId(1),
            owner: Owner::Operator("alice".to_owned()),
            reason: "x".to_owned(),
            selectors: Vec::new(),
            entries: ["edge:app/web01".to_owned().try_into().unwrap()].into(),
            since: Timestamp::UNIX_EPOCH,
            expires: None,
            ladder: Ladder {
                first: AdminState::Drain,
                last: AdminState::Drain,
                grace: Span::default(),
                deadline: Span::from_secs(60),
                on_deadline: OnDeadline::Fail,
                stays: Stays::None,
                idle: false,
            },
            stage,
            first_out: false,
            revision: 1,
            note: None,
            reach: Reach::default(),
            names: Default::default(),
        }
    }

    #[test]
    fn drain_is_counted_once_with_its_outcome() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let mode = AdminState::Drain;
        let draining = Stage::Draining(Emptying { mode, since: at(10), killed: None, hardened: true });
        let state = State { holds: [(HoldId(1), hold(draining.clone()))].into(), ..State::default() };
        let then = |stage| {
            let changes = [Change::PutHold(Box::new(hold(stage)))];
            completed(&state, &changes, &[], &BTreeMap::new(), at(12))
        };
        let ends = |end| vec![Completed::Drain(None, end, 2.0)];
        assert_eq!(then(draining), []);
        assert_eq!(then(Stage::Out { mode, at: at(12), left: 0 }), ends(DrainOutcome::Empty));
        assert_eq!(then(Stage::Out { mode, at: at(12), left: 3 }), ends(DrainOutcome::WentOn));
        assert_eq!(then(Stage::Stuck { mode, at: at(12) }), ends(DrainOutcome::Stuck));
        let dropped = completed(&state, &[Change::DropHold(HoldId(1))], &[], &BTreeMap::new(), at(12));
        assert_eq!(dropped, ends(DrainOutcome::Restored));
        let out = State { holds: [(HoldId(1), hold(Stage::Out { mode, at: at(12), left: 0 }))].into(), ..state };
        assert_eq!(completed(&out, &[Change::DropHold(HoldId(1))], &[], &BTreeMap::new(), at(99)), []);
    }

    #[test]
    fn durations_are_counted_in_their_bucket() {
        let mut durations = Durations::default();
        for seconds in [0.0, 0.001, 0.002, 100_000.0] {
            durations.add(seconds);
        }
        assert_eq!((durations.buckets[0], durations.buckets[1], durations.buckets[BOUNDS.len()]), (2, 1, 1));
        assert!((durations.sum - 100_000.003).abs() < 1e-6);
    }
}
