//! Rolling, canary, blue-green and rollbacks.

use proptest::prelude::*;

use super::*;
use crate::plan::machine::handle_rollback;
use crate::plan::{Strategy, blue_green, canary, rolling};

const SIX: &str =
    "members = [\"app/*\"]\nrolling = { batch = 2, settle = \"5s\" }\nverify = { http = { path = \"/s\" } }\n";

fn layout_of(farm: &Farm, seen: &Seen) -> Layout {
    farm.layout(&BTreeMap::from([("edge".parse().unwrap(), seen)])).unwrap()
}

fn roll(settings: &str, seen: &Seen, holds: &[Hold], outage: bool) -> Result<Plan, Vec<Veto>> {
    let farm = farm(settings);
    let all = BTreeMap::from([("edge".parse().unwrap(), seen)]);
    let layout = layout_of(&farm, seen);
    let skipped = Skipped::by_holds(&layout, &BTreeSet::new(), holds)?;
    rolling::plan(&input(&farm, &layout, &all, &skipped), outage)
}

fn passed() -> ProbeResult {
    ProbeResult::Passed { version: None }
}

fn failed(why: &str) -> ProbeResult {
    ProbeResult::Failed { why: why.into(), wrong_version: false }
}

/// A world in which every member of the plan answers.
fn rolling_world(settings: &str, seen: &Seen) -> World {
    let mut world = World::carrying_out(roll(settings, seen, &[], false).unwrap());
    let members = world.run.plan.groups.values().flatten();
    world.answers = members.map(|member| (member.name.clone(), passed())).collect();
    world
}

#[test]
fn rolling_asks_empties_works_verifies_and_brings_back_batch_by_batch() {
    let plan = roll(SIX, &seen(3, &[]), &[], false).unwrap();
    let steps: Vec<String> = plan.steps.iter().map(ToString::to_string).collect();
    let batch = |name: &str| {
        [("ask", ""), ("out", ""), ("drain", ""), ("work", ""), ("settle", " 5s"), ("verify", ""), ("in", "")]
            .map(|(step, after)| format!("{step} {name}{after}"))
    };
    let expected: Vec<String> =
        batch("batch-1").into_iter().chain(batch("batch-2")).chain(["ask all".to_owned()]).collect();
    assert_eq!(steps, expected);
    assert_eq!(plan.groups[&"batch-2".parse::<GroupName>().unwrap()].len(), 1);
}

#[test]
fn rolling_deploys_to_members_in_service_and_leaves_enough_of_them() {
    let mut with_one_down = seen(4, &[(3, 1)]);
    let down = with_one_down.servers.keys().find(|name| name.to_string() == "app/w2").cloned().unwrap();
    with_one_down.servers.get_mut(&down).unwrap().op = OpState::Stopped;
    let plan = roll(&SIX.replace("batch = 2", "batch = 1"), &with_one_down, &[], false).unwrap();
    assert_eq!(plan.skipped.keys().cloned().collect::<Vec<_>>(), names(&["w2", "w3"]));
    let veto = |settings: &str, seen: &Seen| roll(settings, seen, &[], false).unwrap_err().remove(0);
    assert!(matches!(veto(SIX, &with_one_down), Veto::LastServers { .. }), "both members in service at once");
    assert!(matches!(veto(&SIX.replace("batch = 2", "batch = 9"), &seen(4, &[])), Veto::Batch { size: 9, members: 4 }));
    let half = format!("min_available = \"75%\"\n{SIX}");
    assert!(matches!(veto(&half, &seen(4, &[])), Veto::MinAvailable { left: 2, needed: 3, .. }));
    let alone = seen(1, &[]);
    let one = SIX.replace("batch = 2", "batch = 1");
    assert!(matches!(veto(&one, &alone), Veto::LastServers { .. }));
    assert_eq!(roll(&one, &alone, &[], true).unwrap().needed, 0);
}

#[test]
fn a_member_that_does_not_answer_is_skipped() {
    let mut world = rolling_world(SIX, &seen(4, &[]));
    world.answers.insert("w1".parse().unwrap(), failed("answers /s with 503 and not 200"));
    assert!(matches!(world.tick(), Some(Wait::Probes { .. })));
    world.now += 11;
    world.settle();
    assert_eq!(world.run.left_out.keys().cloned().collect::<Vec<_>>(), names(&["w1"]));
    let held: BTreeSet<&MemberName> = world.state.holds.values().flat_map(|hold| hold.members()).collect();
    assert_eq!(held.into_iter().cloned().collect::<Vec<_>>(), names(&["w0"]));
    // A batch in which no member answers is skipped.
    let mut world = rolling_world(SIX, &seen(4, &[]));
    world.answers.retain(|member, _| !names(&["w0", "w1"]).contains(member));
    world.now += 11;
    world.settle();
    assert_eq!(world.run.current().and_then(Step::group).unwrap().as_str(), "batch-2");
}

#[test]
fn as_many_may_fail_as_the_policy_allows() {
    for (max_failed, goes_on) in [(0, false), (1, false), (2, true)] {
        let settings = SIX.replace("batch = 2", &format!("max_failed = {max_failed}, batch = 2"));
        let mut world = rolling_world(&settings, &seen(4, &[]));
        world.settle();
        world.report(WorkReport::Failed("disk full".into())).unwrap();
        assert_eq!(world.run.state == RunState::Running, goes_on, "{max_failed}");
        if goes_on {
            world.settle();
            world.report(WorkReport::Done).unwrap();
            world.settle();
            assert_eq!(world.run.state, RunState::Done);
            assert_eq!(world.run.left_out.keys().cloned().collect::<Vec<_>>(), names(&["w0", "w1"]));
            let out: Vec<_> = world.state.holds.values().flat_map(|hold| hold.members()).cloned().collect();
            assert_eq!(out, names(&["w0", "w1"]));
        }
    }
}

#[test]
fn no_group_goes_out_while_too_few_others_serve() {
    let mut world = rolling_world(SIX, &seen(4, &[]));
    world.tick();
    world.stays = Some(0);
    assert!(matches!(world.tick(), Some(Wait::Others { left: 0, needed: 1, .. })));
    assert!(world.state.holds.is_empty());
    world.now += 61;
    world.tick();
    assert!(matches!(&world.run.state, RunState::Failed { kind: FailureKind::Guard, .. }), "{:?}", world.run.state);
    assert!(world.state.holds.is_empty());
}

#[test]
fn at_the_end_all_members_are_asked_again() {
    let end = |answers: &[(&str, ProbeResult)]| {
        let mut world = rolling_world(&SIX.replace("batch = 2", "batch = 3").replace("min", ""), &seen(4, &[]));
        for (member, answer) in answers {
            world.answers.insert(member.parse().unwrap(), answer.clone());
        }
        for _ in 0..2 {
            world.settle();
            world.report(WorkReport::Done).unwrap();
        }
        world.settle();
        world
    };
    assert_eq!(end(&[]).run.state, RunState::Done);
    let told = |version: &str| ProbeResult::Passed { version: Some(version.into()) };
    let world = end(&[("w0", told("1")), ("w1", told("2")), ("w2", told("2")), ("w3", told("2"))]);
    let RunState::Failed { why, kind: FailureKind::Verify } = &world.run.state else { panic!("{:?}", world.run.state) };
    assert!(why.contains("different versions: w0 runs 1, w1 runs 2"), "{why}");
    assert!(world.state.holds.is_empty(), "members in service go on serving");
}

#[test]
fn members_left_out_by_an_earlier_run_go_first() {
    let out = Stage::Out { mode: AdminState::Maint, at: at(0), left: 0 };
    let left = hold(1, Owner::Run(RunId(3)), ["app/w3", "api/w3"].map(entry), out);
    let mut maint = seen(4, &[(3, 1)]);
    // A line that teeter holds counts as in use.
    maint.before = left.entries.iter().map(|entry| (entry.server.clone(), AdminState::Ready)).collect();
    let all = BTreeMap::from([("edge".parse().unwrap(), &maint)]);
    let taken_over = |farm: &Farm| {
        let layout = layout_of(farm, &maint);
        let skipped = Skipped::default().with_left_out(&layout, [&left], true);
        (layout, skipped)
    };
    let halves = farm(HALVES);
    let (layout, skipped) = taken_over(&halves);
    let plan = super::see_saw::plan(&input(&halves, &layout, &all, &skipped)).unwrap();
    let texts = |plan: &Plan| plan.steps.iter().take(3).map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(texts(&plan), ["out b", "drain b", "work b"]);
    let plan = canary::plan(&input(&halves, &layout, &all, &skipped)).unwrap();
    assert_eq!(texts(&plan), ["out b", "drain b", "work b"]);
    // With it back, three of four are in service while another one is out, though only two are now.
    let settings = SIX.replace("batch = 2", "batch = 1") + "min_available = 3\n";
    let rolled = farm(&settings);
    let (layout, skipped) = taken_over(&rolled);
    let plan = rolling::plan(&input(&rolled, &layout, &all, &skipped), false).unwrap();
    assert_eq!(texts(&plan), ["out batch-1", "drain batch-1", "work batch-1"]);
    let first = &plan.groups[&"batch-1".parse::<GroupName>().unwrap()];
    assert_eq!(first.iter().map(|member| member.name.as_str()).collect::<Vec<_>>(), ["w3"]);
    assert_eq!(plan.groups.len(), 4);
    // A flip works on no server: it skips them.
    let skipped = Skipped::default().with_left_out(&layout, [&left], false);
    assert_eq!(skipped.members[&"w3".parse().unwrap()], "left out by run 3");
}

fn canary_world(settings: &str) -> World {
    let (farm, seen) = (farm(settings), seen(4, &[]));
    let all = BTreeMap::from([("edge".parse().unwrap(), &seen)]);
    let (layout, skipped) = (layout_of(&farm, &seen), Skipped::default());
    let plan = canary::plan(&input(&farm, &layout, &all, &skipped)).unwrap();
    World::carrying_out(plan)
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
    let expected = "out a, drain a, work a, verify a, share 5% a, bake a 5m, share 25% a, bake a 5m, flip b to a, drain b, \
        work b, verify b, in b";
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

const COLOURS: &str = "members = [\"app/*\"]\ngroups = { blue = [\"w[01]\"], green = [\"w[23]\"] }\n";

fn blue_green_world() -> World {
    let (farm, seen) = (farm(COLOURS), seen(4, &[(2, 1), (3, 1)]));
    let standby = hold(1, Owner::Run(RunId(3)), [entry("app/w2"), entry("app/w3")], Stage::Verified { at: at(0) });
    let held = BTreeMap::from([("green".parse().unwrap(), standby.id)]);
    let all = BTreeMap::from([("edge".parse().unwrap(), &seen)]);
    let (layout, skipped) = (layout_of(&farm, &seen), Skipped::default());
    let plan = blue_green::plan(&PlanningInput { standby: &held, ..input(&farm, &layout, &all, &skipped) }).unwrap();
    let mut world = World::carrying_out(plan);
    world.state.next_hold = 2;
    world.run.holds = held;
    world.state.holds.insert(standby.id, Hold { owner: Owner::Run(RunId(7)), ..standby });
    world
}

#[test]
fn blue_green_works_on_the_standby_side_and_leaves_the_other_on_standby() {
    let mut world = blue_green_world();
    let steps: Vec<String> = world.run.plan.steps.iter().map(ToString::to_string).collect();
    assert_eq!(steps, ["out green", "drain green", "work green", "verify green", "flip blue to green", "drain blue"]);
    world.settle();
    assert_eq!(world.state.holds.len(), 1, "the one that it had before is gone");
    world.report(WorkReport::Done).unwrap();
    world.settle();
    assert_eq!(world.run.state, RunState::Done);
    let out: Vec<_> = world.state.holds.values().flat_map(|hold| hold.members()).cloned().collect();
    assert_eq!(out, names(&["w0", "w1"]));
    // Aborted during the work, the side stays on standby.
    let mut world = blue_green_world();
    world.settle();
    world.abort();
    assert_eq!((world.run.state.clone(), world.state.holds.len()), (RunState::Aborted, 1));
}

#[test]
fn one_side_must_be_without_traffic() {
    let (farm, seen) = (farm(COLOURS), seen(4, &[]));
    let layout = layout_of(&farm, &seen);
    let sides = |live: Option<&Side>| blue_green::sides(&farm, &layout, live, &NO_STANDBY);
    assert!(matches!(sides(None), Err(Veto::NoneIdle { .. })));
    assert!(matches!(sides(Some(&Side::All)), Err(Veto::NoneIdle { .. })));
    assert_eq!(sides(Some(&"green".parse().unwrap())).unwrap().idle.as_str(), "blue");
}

impl World {
    fn rollback(&mut self) -> Result<(), Illegal> {
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

proptest! {
    /// For any farm, any servers that are down and any events: a rolling deploy never has fewer members in service than
    /// it must, changes no member that it skips, and names the members that stay out at the end.
    #[test]
    fn rolling_never_takes_too_many(
        servers in 1usize..9,
        down in proptest::collection::vec(0usize..9, 0..3),
        min in 0usize..5,
        batch in 1usize..5,
        max_failed in 0usize..4,
        events in proptest::collection::vec(0u8..9, 1..120),
    ) {
        let bits: Vec<(usize, u32)> = down.iter().map(|index| (*index, 1)).collect();
        let seen = seen(servers, &bits);
        let settings = format!("min_available = {min}\nmembers = [\"app/*\"]\nverify = {{ http = {{ path = \"/s\" }} }}\n\
            rolling = {{ batch = {batch}, max_failed = {max_failed}, settle = \"1s\" }}\n");
        let Ok(plan) = roll(&settings, &seen, &[], false) else { return Ok(()) };
        prop_assert_eq!(plan.strategy, Strategy::Rolling);
        let serving: BTreeSet<MemberName> = plan.groups.values().flatten().map(|of| of.name.clone()).collect();
        let mut world = World::carrying_out(plan);
        for event in events {
            world.stays = match world.run.current() {
                Some(Step::Out { group, .. }) => {
                    let goes: BTreeSet<MemberName> = world.run.members(group).map(|of| of.name.clone()).collect();
                    Some(serving.difference(&world.out()).filter(|member| !goes.contains(*member)).count())
                }
                _ => None,
            };
            match event {
                0..=2 => drop(world.tick()),
                3 => drop(world.report(WorkReport::Done)),
                4 => drop(world.report(WorkReport::Failed("x".into()))),
                5 => world.set_stages(&Stage::Out { mode: AdminState::Maint, at: at(world.now), left: 0 }),
                6 => world.set_stages(&Stage::Verified { at: at(world.now) }),
                7 => {
                    for member in &serving {
                        world.answers.insert(member.clone(), passed());
                    }
                }
                _ => world.now += 7,
            }
            let out = world.out();
            prop_assert!(out.is_subset(&serving), "{out:?}");
            prop_assert!(serving.len() - out.len() >= min.max(1), "{out:?} of {serving:?} are out");
            if world.run.state == RunState::Done {
                let named: BTreeSet<MemberName> =
                    world.run.left_out.iter().filter(|(_, left)| left.out).map(|(member, _)| member.clone()).collect();
                prop_assert_eq!(&out, &named);
            }
        }
    }

    /// For any events: a blue-green deploy leaves one side in service, and holds the other.
    #[test]
    fn blue_green_never_has_both_sides_out(events in proptest::collection::vec(0u8..9, 1..80)) {
        let mut world = blue_green_world();
        for event in events {
            match event {
                0 | 1 => drop(world.tick()),
                2 => drop(world.report(WorkReport::Done)),
                3 => drop(world.report(WorkReport::Failed("x".into()))),
                4 => world.abort(),
                5 => world.set_stages(&Stage::Out { mode: AdminState::Maint, at: at(world.now), left: 0 }),
                6 => world.set_stages(&Stage::Verified { at: at(world.now) }),
                7 => drop(world.rollback()),
                _ => world.now += 7,
            }
            prop_assert_eq!(world.out().len(), 2, "{:?}", world.run);
        }
    }
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
