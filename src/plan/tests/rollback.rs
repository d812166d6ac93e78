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
fn baking() -> World {
    let mut world = World::of(&format!("{ROUTE}\n[bake]\nfor = \"60s\"\nmax_5xx = \"1%\"\nmin_requests = 10\n"));
    world.settle();
    world.report(WorkReport::Done).unwrap();
    while !matches!(world.run.current(), Some(Step::Bake { .. })) || world.run.step.acted.is_none() {
        world.set_stages(&Stage::Verified { at: at(world.now) });
        world.tick();
    }
    world
}

fn figures(requests: u64, hrsp_5xx: u64) -> Option<Figures> {
    let counts = |requests, hrsp_5xx| Counts { requests, hrsp_5xx, errors: 0, time: 0 };
    Some(Figures { before: counts(1000, 10), now: counts(requests, hrsp_5xx) })
}

#[test]
fn a_watch_rolls_back_what_is_worse_and_goes_on_otherwise() {
    let mut world = baking();
    world.figures = figures(9, 9);
    assert!(matches!(world.tick(), Some(Wait::Baking { requests: 9, .. })), "too few to judge by");
    world.figures = figures(100, 3);
    world.tick();
    let why = world.run.rollback.clone().unwrap();
    assert!(why.contains("3% of 100 requests answered with 5xx, 1% before"), "{why}");
    world.settle();
    assert_eq!(world.run.state, RunState::RolledBack);
    let mut world = baking();
    world.figures = figures(100, 2);
    assert!(matches!(world.tick(), Some(Wait::Baking { .. })));
    world.now += 61;
    world.settle();
    assert_eq!(world.run.current().unwrap().to_string(), "work b");
    assert_eq!(world.run.rollback, None);
}
