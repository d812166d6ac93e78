//! Rollbacks, and the watch after a flip.

use super::*;
use crate::plan::machine::handle_rollback;

impl World {
    pub(super) fn rollback(&mut self) -> Result<(), Illegal> {
        let outcome = handle_rollback(&self.run, "bad", &self.facts(), at(self.now))?;
        self.take(outcome);
        Ok(())
    }
}

#[test]
fn a_flip_can_be_rolled_back_until_the_other_side_is_worked_on() {
    let mut world = World::of(ROUTE);
    world.settle();
    assert!(
        matches!(world.rollback(), Err(Illegal::NoRollback { instead: Some(hint), .. }) if hint.contains("teeter abort 7"))
    );
    world.report(WorkReport::Done).unwrap();
    while !matches!(world.run.current(), Some(Step::Drain { group }) if group.as_str() == "b") {
        if let Some(Step::Verify { .. }) = world.run.current() {
            world.set_stages(&Stage::Verified { at: at(world.now) });
        }
        world.tick();
    }
    world.rollback().unwrap();
    assert!(matches!(world.rollback(), Err(Illegal::NoRollback { .. })), "twice");
    world.settle();
    assert_eq!(world.run.state, RunState::RolledBack);
    assert_eq!(world.switched.iter().map(ToString::to_string).collect::<Vec<_>>(), ["b", "a", "b", "all"]);
    let out: BTreeSet<_> = world.state.holds.values().flat_map(|hold| hold.members()).cloned().collect();
    assert_eq!(out.into_iter().collect::<Vec<_>>(), names(&["w0", "w1"]));
    // Once the other side may have been changed, no group runs the previous version.
    let mut world = World::of(ROUTE);
    world.settle();
    world.report(WorkReport::Done).unwrap();
    world.settle();
    assert!(
        matches!(world.rollback(), Err(Illegal::NoRollback { why, .. }) if why.contains("the work on b has begun"))
    );
}

/// A see-saw that watches, at its watch.
fn baking(more: &str) -> World {
    let bake = format!("[bake]\nfor = \"60s\"\nmax_5xx = \"1%\"\nmin_requests = 10\n{more}");
    let mut world = World::of(&format!("{ROUTE}\n{bake}\n"));
    world.settle();
    world.report(WorkReport::Done).unwrap();
    while !matches!(world.run.current(), Some(Step::Bake { .. })) || world.run.step.acted.is_none() {
        world.set_stages(&Stage::Verified { at: at(world.now) });
        world.tick();
    }
    world
}

/// A side whose failures come one by one.
fn counted(requests: u64, hrsp_5xx: u64) -> Counted {
    let mut counted = Counted::default();
    (1..=requests).for_each(|request| {
        let hrsp_5xx = request * hrsp_5xx / requests;
        counted.count_until(Counts { requests: request, hrsp_5xx, ..Counts::default() });
    });
    counted
}

/// A watch that compares with one failure in a thousand.
fn figures(requests: u64, hrsp_5xx: u64) -> Option<Figures> {
    Some(Figures { old: counted(3000, 3), new: counted(requests, hrsp_5xx), ..Figures::default() })
}

#[test]
fn a_watch_rolls_back_what_is_worse_and_goes_on_otherwise() {
    let mut world = baking("");
    world.figures = figures(100, 2);
    assert!(matches!(world.tick(), Some(Wait::Baking { requests: 100, .. })), "two failures prove nothing");
    world.figures = figures(100, 20);
    world.tick();
    let why = world.run.rollback.clone().unwrap();
    assert!(why.contains("since the flip 20% of 100 requests were answered with 5xx, 0.1% of 3000 before"), "{why}");
    world.settle();
    assert_eq!(world.run.state, RunState::RolledBack);
    let mut world = baking("");
    world.figures = figures(5000, 5);
    assert!(matches!(world.tick(), Some(Wait::Baking { .. })), "it watches for its whole time");
    world.now += 61;
    world.settle();
    assert_eq!(world.run.current().unwrap().to_string(), "work b");
    assert_eq!((world.run.rollback, world.run.remarks), (None, Vec::new()));
}

#[test]
fn what_follows_without_a_verdict_is_configured() {
    let after = |setting: &str, seconds: i64| {
        let mut world = baking(setting);
        world.figures = figures(100, 0);
        world.tick();
        world.now += seconds;
        let wait = world.tick();
        (world, wait)
    };
    for setting in ["", "on_inconclusive = \"proceed\""] {
        let (world, _) = after(setting, 61);
        assert!(world.run.remarks[0].contains("bake a passed without a verdict: 0% of 100 requests"), "{setting}");
    }
    let (world, wait) = after("on_inconclusive = \"rollback\"", 61);
    assert!(wait.is_none() && world.run.rollback.unwrap().starts_with("there is no verdict on it after 1m"));
    let (mut world, wait) = after("on_inconclusive = \"pause\"", 61);
    assert!(matches!(wait, Some(Wait::Verdict { until: None, .. })));
    // An operator lets it go on.
    world.report(WorkReport::Done).unwrap();
    assert!(world.run.remarks[0].contains("without a verdict"));
    // Until then it is watched on: a version that fails is rolled back, and one that is healthy goes on.
    for (figures, back) in [(figures(200, 60), true), (figures(5000, 0), false)] {
        let (mut world, _) = after("on_inconclusive = \"pause\"", 61);
        world.figures = figures;
        world.tick();
        assert_eq!(world.run.rollback.is_some(), back);
        assert!(back || world.run.current().unwrap().to_string() != "bake a");
    }
    let (_, wait) = after("on_inconclusive = \"wait\"", 61);
    assert!(matches!(wait, Some(Wait::Verdict { until: Some(_), .. })));
    let (_, wait) = after("on_inconclusive = \"wait\"", 601);
    assert!(matches!(wait, Some(Wait::Verdict { until: None, .. })));
}
