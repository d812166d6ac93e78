//! Canaries.

use super::*;

fn canary_world(settings: &str) -> World {
    World::carrying_out(planned_canary(settings))
}

/// Brings a canary to its pause at this share.
fn canary_at(settings: &str, share: &str) -> World {
    let mut world = canary_world(settings);
    world.settle();
    world.report(WorkReport::Done).unwrap();
    let at = |world: &World| {
        let before = world.run.cursor.checked_sub(1).and_then(|before| world.run.plan.steps.get(before));
        before.is_some_and(|step| step.to_string() == format!("share {share} a")) && world.run.step.acted.is_some()
    };
    for _ in 0..40 {
        if at(&world) {
            return world;
        }
        match world.run.current() {
            Some(Step::Verify { .. }) => world.set_stages(&Stage::Verified { at: at_now(&world) }),
            Some(Step::Bake { .. }) => world.now += 301,
            _ => {}
        }
        world.tick();
    }
    panic!("it does not come to {share}: {:?}", world.run);
}

fn at_now(world: &World) -> Timestamp {
    super::at(world.now)
}

#[test]
fn a_canary_is_a_see_saw_that_flips_share_by_share() {
    let steps: Vec<String> = canary_world(HALVES).run.plan.steps.iter().map(ToString::to_string).collect();
    let expected = "out a, drain a, work a, verify a, share 5% a, bake a 5m, share 25% a, bake a 5m, flip b to a, \
        drain b, work b, verify b, in b";
    assert_eq!(steps.join(", "), expected);
    let other = canary_world(&HALVES.replace("members", "canary = { group = \"b\" }\nmembers"));
    assert_eq!(other.run.plan.steps[0].to_string(), "out b");
    for (settings, share) in [(HALVES, "25%"), (ROUTE, "5%")] {
        let mut world = canary_at(settings, share);
        assert!(world.out().is_empty(), "all members serve");
        world.settle();
        assert_eq!(world.run.current().unwrap().to_string(), "work b", "{settings}");
        assert_eq!(world.out().into_iter().collect::<Vec<_>>(), names(&["w2", "w3"]));
    }
}

#[test]
fn an_aborted_or_bad_canary_loses_its_share() {
    for settings in [HALVES, ROUTE] {
        for abort in [true, false] {
            let mut world = canary_at(settings, "25%");
            if abort {
                world.abort();
            } else {
                world.rollback().unwrap();
            }
            world.settle();
            assert_eq!(world.run.state, RunState::RolledBack);
            assert_eq!(world.out().into_iter().collect::<Vec<_>>(), names(&["w0", "w1"]), "the new version is out");
            assert_eq!(world.state.holds.len(), 1, "and nothing else is held");
        }
    }
}

#[test]
fn losing_a_server_with_a_share_does_not_send_the_run_forward() {
    let mut world = canary_at(HALVES, "5%");
    let (at, with) = (world.run.cursor, world.run.holds[&"b".parse::<GroupName>().unwrap()]);
    world.state.holds.remove(&with);
    world.take(handle_lost_servers(&world.run, with, "taken".into(), at_now(&world)));
    assert_eq!(world.run.cursor, at);
    assert!(matches!(world.run.state, RunState::Failed { kind: FailureKind::Taken, .. }));
    world.rollback().unwrap();
    world.settle();
    assert_eq!(world.out().into_iter().collect::<Vec<_>>(), names(&["w0", "w1"]));
}

#[test]
fn a_pause_can_be_cut_short() {
    let mut world = canary_at(HALVES, "5%");
    world.report(WorkReport::Done).unwrap();
    assert_eq!(world.run.current().unwrap().to_string(), "share 25% a");
}
