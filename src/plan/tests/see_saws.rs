//! See-saws and flips.

use super::*;

#[test]
fn a_see_saw_has_the_steps_of_the_table() {
    let plan = planned(HALVES, &seen(4, &[]), &[]).unwrap();
    let steps: Vec<String> = plan.steps.iter().map(ToString::to_string).collect();
    let expected = ["out a", "drain a", "work a", "verify a", "flip b to a", "drain b", "work b", "verify b", "in b"];
    assert_eq!(steps, expected);
    let a: Vec<String> =
        plan.groups[&"a".parse().unwrap()].iter().map(|m| format!("{} {}", m.name, m.address)).collect();
    assert_eq!(a, ["w0 10.0.0.1:8000", "w1 10.0.0.1:8001"]);
}

#[test]
fn a_skipped_member_that_serves_is_named_at_the_end() {
    let mut run = World::new().run;
    run.plan.skipped_lines = BTreeMap::from([("w9".parse().unwrap(), vec![entry("app/w9")])]);
    assert!(crate::plan::not_deployed_to(&run, |_| false).is_empty());
    assert!(crate::plan::not_deployed_to(&run, |_| true)[0].contains("w9 was skipped and takes traffic"));
    run.versions.insert("w9".parse().unwrap(), "v2".into());
    assert!(crate::plan::not_deployed_to(&run, |_| true).is_empty(), "it runs what is deployed");
}

#[test]
fn a_run_goes_half_by_half() {
    let mut world = World::new();
    world.settle();
    assert_eq!(world.out().into_iter().collect::<Vec<_>>(), names(&["w0", "w1"]));
    world.report(WorkReport::Done).unwrap();
    world.settle();
    assert_eq!(world.out().into_iter().collect::<Vec<_>>(), names(&["w2", "w3"]));
    world.report(WorkReport::Done).unwrap();
    world.settle();
    assert!(world.out().is_empty());
    assert_eq!(world.run.state, RunState::Done);
    assert_eq!(world.report(WorkReport::Done), Err(Illegal::Ended(RunId(7))));
}

#[test]
fn a_refused_flip_restores_both_halves() {
    let mut world = World::new();
    world.settle();
    world.report(WorkReport::Done).unwrap();
    while !matches!(world.run.current(), Some(Step::Flip { .. })) {
        world.tick();
        world.set_stages(&Stage::Verified { at: at(0) });
    }
    let stages = |world: &World| -> Vec<(HoldId, Stage)> {
        world.state.holds.values().map(|hold| (hold.id, hold.stage.clone())).collect()
    };
    let before = stages(&world);
    assert!(world.tick().is_none());
    assert_ne!(stages(&world), before);
    world.confirmation = Confirmation::Refused("No such server.".into());
    world.tick();
    assert!(
        matches!(&world.run.state, RunState::Failed { kind: FailureKind::Refused, why } if why == "No such server.")
    );
    assert_eq!(stages(&world), before);
    // Once HAProxy agrees again the same step goes on.
    world.confirmation = Confirmation::Agreed;
    world.report(WorkReport::Done).unwrap();
    world.settle();
    assert_eq!(world.out().into_iter().collect::<Vec<_>>(), names(&["w2", "w3"]));
}

#[test]
fn a_haproxy_that_does_not_answer_fails_the_step_at_the_deadline() {
    let mut world = World::new();
    world.confirmation = Confirmation::Pending { instances: vec!["edge".parse().unwrap()], trouble: None };
    world.tick();
    assert!(matches!(world.tick(), Some(Wait::Confirmation { .. })));
    world.now = 31;
    world.tick();
    assert!(matches!(&world.run.state, RunState::Failed { kind: FailureKind::Unreachable, .. }));
    assert!(world.out().is_empty());
}

#[test]
fn members_that_do_not_come_up_fail_the_last_step() {
    let mut world = World::new();
    for _ in 0..2 {
        world.settle();
        world.report(WorkReport::Done).unwrap();
    }
    world.not_up = BTreeMap::from([(entry("app/w3"), "DOWN".into())]);
    while !matches!(world.run.current(), Some(Step::In { .. })) {
        world.tick();
        world.set_stages(&Stage::Verified { at: at(0) });
    }
    world.tick();
    assert!(matches!(world.tick(), Some(Wait::Up { .. })));
    world.now = 61;
    world.tick();
    assert!(
        matches!(&world.run.state, RunState::Failed { kind: FailureKind::Verify, why } if why.contains("app/w3 is DOWN"))
    );
}

#[test]
fn an_abort_asks_for_the_version_in_service() {
    let mut world = World::new();
    world.run.versions = BTreeMap::from([("w0".parse().unwrap(), "v2".into()), ("w2".parse().unwrap(), "v1".into())]);
    world.settle();
    world.abort();
    assert_eq!(world.run.state, RunState::Aborting);
    let Stage::Verifying(Verification { versions, .. }) = &world.state.holds[&HoldId(1)].stage else {
        panic!("it is not verified")
    };
    assert_eq!(versions, &BTreeSet::from(["v1".to_owned()]));
    assert!(world.tick().is_some());
    world.state.holds.clear();
    world.tick();
    assert_eq!(world.run.state, RunState::Aborted);
    let ended = world.run.clone();
    world.abort();
    assert_eq!(world.run, ended);
}

#[test]
fn a_report_about_another_step_is_refused() {
    let mut world = World::new();
    world.settle();
    let error = handle_report(&world.run, Some(6), WorkReport::Done, at(0)).unwrap_err();
    assert_eq!(error, Illegal::OtherStep { run: RunId(7), at: 2, reported: 6 });
    assert!(matches!(world.report(WorkReport::Failed("hook".into())), Ok(())));
    assert!(matches!(&world.run.state, RunState::Failed { kind: FailureKind::Work, .. }));
}

#[test]
fn a_route_leads_to_the_group_that_is_not_worked_on() {
    let mut world = World::of(ROUTE);
    let sides = |world: &World| world.switched.iter().map(ToString::to_string).collect::<Vec<_>>();
    world.settle();
    assert_eq!(sides(&world), ["b"]);
    world.report(WorkReport::Done).unwrap();
    world.settle();
    assert_eq!(sides(&world), ["b", "a"]);
    world.report(WorkReport::Done).unwrap();
    world.settle();
    assert_eq!(sides(&world), ["b", "a", "all"]);
}

#[test]
fn a_flip_verifies_the_group_that_was_out_and_leaves_the_other_on_standby() {
    let (farm, seen) = (farm(ROUTE), seen(4, &[(2, 8), (3, 8)]));
    let seen = BTreeMap::from([("edge".parse().unwrap(), &seen)]);
    let layout = farm.layout(&seen).unwrap();
    let b = "b".parse().unwrap();
    let standby = BTreeMap::from([(b, HoldId(3))]);
    let plan = |to: &str| {
        let (live, to) = ("a".parse().unwrap(), to.parse().unwrap());
        let skipped = Skipped::default();
        let input = PlanningInput { live: Some(&live), standby: &standby, ..input(&farm, &layout, &seen, &skipped) };
        let plan = crate::plan::flip::plan(&input, &to);
        plan.map(|plan| plan.steps.iter().map(ToString::to_string).collect::<Vec<_>>())
    };
    assert_eq!(plan("b").unwrap(), ["verify b", "flip a to b", "drain a"]);
    assert_eq!(plan("all").unwrap(), ["verify b", "flip to all"]);
    assert!(plan("a").unwrap().is_empty());
    assert!(matches!(plan("c").unwrap_err()[..], [Veto::NoSuchGroup { .. }]));
}

#[test]
fn a_run_that_loses_servers_goes_back_to_taking_them_out() {
    let mut world = World::new();
    world.settle();
    let hold = world.run.holds[&"a".parse().unwrap()];
    assert!(matches!(handle_lost_servers(&world.run, HoldId(99), "x".into(), at(9)), Outcome::Rest));
    world.take(handle_lost_servers(&world.run, hold, "ann set it".into(), at(9)));
    assert!(matches!(&world.run.state, RunState::Failed { kind: FailureKind::Taken, why } if why == "ann set it"));
    assert_eq!(world.run.current().map(ToString::to_string).as_deref(), Some("drain a"));
    // A stopped run stays stopped.
    assert!(matches!(handle_lost_servers(&world.run, hold, "again".into(), at(9)), Outcome::Rest));
}

#[test]
fn phases_are_work_of_their_own() {
    let (farm, seen) = (farm(HALVES), seen(4, &[]));
    let all = BTreeMap::from([("edge".parse().unwrap(), &seen)]);
    let phases = BTreeSet::from([Phase::AfterOut]);
    let (layout, skipped) = (layout_of(&farm, &seen), Skipped::default());
    let plan = see_saw::plan(&PlanningInput { phases: &phases, ..input(&farm, &layout, &all, &skipped) }).unwrap();
    let mut world = World::carrying_out(plan);
    world.settle();
    assert_eq!(world.run.current().unwrap().to_string(), "after-out a");
    world.report(WorkReport::Done).unwrap();
    assert_eq!(world.run.current().unwrap().to_string(), "work a");
    assert_eq!(world.run.worked_on().count(), 0);
}
