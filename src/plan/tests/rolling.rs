//! Rolling deploys.

use proptest::prelude::*;

use super::*;
use crate::plan::{Strategy, canary, rolling};

const SIX: &str =
    "members = [\"app/*\"]\nrolling = { batch = 2, settle = \"5s\" }\nverify = { http = { path = \"/s\" } }\n";

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
    let shows = |version: &str| ProbeResult::Passed { version: Some(version.into()) };
    let world = end(&[("w0", shows("1")), ("w1", shows("2")), ("w2", shows("2")), ("w3", shows("2"))]);
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
        let settings = format!("min_available = {min}\nmembers = [\"app/*\"]\nverify = {{ http = {{ path = \"/s\" }} \
            }}\n\
            rolling = {{ batch = {batch}, max_failed = {max_failed}, settle = \"1s\" }}\n");
        let Ok(plan) = roll(&settings, &seen, &[], false) else { return Ok(()) };
        prop_assert_eq!(plan.strategy, Strategy::Rolling);
        let serving: BTreeSet<MemberName> = plan.groups.values().flatten().map(|member| member.name.clone()).collect();
        let mut world = World::carrying_out(plan);
        for event in events {
            world.stays = match world.run.current() {
                Some(Step::Out { group, .. }) => {
                    let goes: BTreeSet<MemberName> = world.run.members(group).map(|member| member.name.clone()).collect();
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
}
