//! When a run began and ended its steps.

use super::*;
use crate::plan::StepTimes;

/// What a run records as it goes through these cursors, one a second.
fn recorded(run: &mut Run, cursors: &[usize]) -> Vec<(usize, i64, Option<i64>)> {
    let seconds = |time: Timestamp| time.as_second() - at(0).as_second();
    for (second, cursor) in (1..).zip(cursors) {
        let before = run.clone();
        run.cursor = *cursor;
        run.record_step_times(&before, at(second));
    }
    run.times.iter().map(|(step, times)| (*step, seconds(times.began), times.ended.map(seconds))).collect()
}

#[test]
fn each_step_that_was_done_has_its_times() {
    let mut run = World::new().run;
    assert!(run.plan.steps.len() > 6);
    assert_eq!(recorded(&mut run, &[0, 0, 1, 3]), [(0, 1, Some(3)), (1, 3, Some(4)), (3, 4, None)]);
}

#[test]
fn a_run_that_goes_back_counts_anew() {
    let mut run = World::new().run;
    assert_eq!(recorded(&mut run, &[0, 1, 2, 1]), [(0, 1, Some(2)), (1, 4, None)]);
}

#[test]
fn a_rollback_keeps_the_times_of_the_steps_before_it() {
    let mut run = World::new().run;
    let _ = recorded(&mut run, &[0, 1, 2]);
    let before = run.clone();
    run.plan.steps.truncate(2);
    run.plan.steps.push(Step::Drain { group: "a".parse().unwrap() });
    run.record_step_times(&before, at(9));
    assert_eq!(run.times.keys().copied().collect::<Vec<_>>(), [0, 1, 2]);
    assert_eq!(run.times[&2], StepTimes { began: at(9), ended: None });
    let before = run.clone();
    run.state = RunState::Aborted;
    run.record_step_times(&before, at(10));
    assert_eq!(run.times[&2].ended, Some(at(10)));
}
