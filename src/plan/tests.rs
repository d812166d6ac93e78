//! Plans and the machine on invented farms and invented time: no HAProxy, no clock.

mod forecasts;
mod properties;
mod strategies;
mod world;

use std::collections::{BTreeMap, BTreeSet};

use super::machine::{
    Confirmation, Facts, Illegal, Outcome, WorkReport, handle_abort, handle_lost_servers, handle_report, handle_tick,
};
use super::verify::ProbeResult;
use super::{
    CallerState, FailureKind, Figures, Phase, Plan, PlanningInput, Run, RunState, Skipped, Step, StepState, Veto, Wait,
    guard, see_saw,
};
use crate::farm::{
    Counts, Entry, Farm, GroupName, Hold, HoldId, InstanceName, Ladder, Layout, MemberName, OnDeadline, Owner, RunId,
    Seen, SeenServer, Side, Span, Stage, Stays, Verification,
};
use crate::haproxy::{AdminBits, AdminState, OpState};
use jiff::Timestamp;

use self::world::{ROUTE, World};

fn at(secs: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + secs).unwrap()
}

fn farm(settings: &str) -> Farm {
    Farm { name: "web".parse().unwrap(), settings: toml::from_str(settings).unwrap() }
}

const HALVES: &str = "members = [\"app/*\", \"api/*\"]\nhalves = \"auto\"\n";

/// Servers w0, w1, … in two backends; those at `bits` have these admin bits.
fn seen(servers: usize, bits: &[(usize, u32)]) -> Seen {
    let server = |index: usize| SeenServer {
        admin: AdminBits(bits.iter().find(|(at, _)| *at == index).map_or(0, |(_, bits)| *bits)),
        weight: 100,
        address: "10.0.0.1".into(),
        port: 8000 + u16::try_from(index).unwrap(),
        ..SeenServer::sample()
    };
    let names = (0..servers).flat_map(|index| [(index, format!("app/w{index}")), (index, format!("api/w{index}"))]);
    let servers = names.map(|(index, name)| (name.parse().unwrap(), server(index))).collect();
    Seen { pid: 1, version: "2.6".into(), servers, ..Seen::default() }
}

fn planned(settings: &str, seen: &Seen, holds: &[Hold]) -> Result<Plan, Vec<Veto>> {
    let farm = farm(settings);
    let seen = BTreeMap::from([("edge".parse().unwrap(), seen)]);
    let layout = farm.layout(&seen).unwrap();
    let skipped = Skipped::by_holds(&layout, &BTreeSet::new(), holds)?;
    see_saw::plan(&PlanningInput { version: Some("v2"), ..input(&farm, &layout, &seen, &skipped) })
}

static NO_PHASES: BTreeSet<Phase> = BTreeSet::new();
static NO_STANDBY: BTreeMap<GroupName, HoldId> = BTreeMap::new();

/// No version, no hooks, no route and no group on standby.
pub(super) fn input<'a>(
    farm: &'a Farm,
    layout: &'a Layout,
    seen: &'a BTreeMap<InstanceName, &'a Seen>,
    skipped: &'a Skipped,
) -> PlanningInput<'a> {
    PlanningInput { farm, layout, version: None, phases: &NO_PHASES, live: None, seen, skipped, standby: &NO_STANDBY }
}

fn hold(id: u64, owner: Owner, entries: impl IntoIterator<Item = Entry>, stage: Stage) -> Hold {
    Hold {
        id: HoldId(id),
        owner,
        reason: "r".into(),
        selectors: Vec::new(),
        entries: entries.into_iter().collect(),
        since: at(0),
        expires: None,
        ladder: Ladder {
            first: AdminState::Drain,
            last: AdminState::Maint,
            grace: Span::from_secs(5),
            deadline: Span::from_secs(30),
            on_deadline: OnDeadline::Fail,
            stays: Stays::Sticky,
            idle: false,
        },
        stage,
        first_out: false,
        revision: 1,
        note: None,
        reach: Default::default(),
        names: Default::default(),
    }
}

fn entry(name: &str) -> Entry {
    format!("edge:{name}").try_into().unwrap()
}

fn names(text: &[&str]) -> Vec<MemberName> {
    text.iter().map(|name| name.parse().unwrap()).collect()
}

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
fn vetoes_come_before_anything_moves() {
    let one_group = "members = [\"app/*\"]\ngroups = { a = [\"w*\"] }";
    assert!(matches!(planned(one_group, &seen(2, &[]), &[]).unwrap_err()[..], [Veto::Groups { .. }]));
    // One of the four is down: each half can only go if the other carries the load.
    let down = planned(&format!("{HALVES}min_available = \"50%\""), &seen(4, &[(3, 1)]), &[]).unwrap_err();
    assert!(down.iter().any(|veto| matches!(veto, Veto::MinAvailable { left: 1, needed: 2, .. })), "{down:?}");
    let alone = planned(HALVES, &seen(4, &[(2, 8), (3, 8)]), &[]).unwrap_err();
    assert!(alone.iter().any(|veto| matches!(veto, Veto::LastServers { .. })), "{alone:?}");
    let out = || Stage::Out { mode: AdminState::Maint, at: at(0), left: 0 };
    for (owner, stage) in
        [(Owner::Operator("ann".into()), Stage::Verified { at: at(0) }), (Owner::Run(RunId(2)), out())]
    {
        let busy = planned(HALVES, &seen(4, &[]), &[hold(1, owner, [entry("app/w0")], stage)]).unwrap_err();
        assert!(busy.iter().any(Veto::is_busy), "{busy:?}");
    }
}

#[test]
fn a_member_held_by_an_operator_is_skipped_and_counts_as_out() {
    let out = Stage::Out { mode: AdminState::Maint, at: at(0), left: 0 };
    let repair = hold(1, Owner::Operator("ann".into()), [entry("app/w1")], out);
    let in_repair = |settings: &str| planned(settings, &seen(4, &[]), std::slice::from_ref(&repair));
    let plan = in_repair(HALVES).unwrap();
    assert_eq!(plan.skipped[&"w1".parse().unwrap()], "held by ann: r");
    let a = &plan.groups[&"a".parse().unwrap()];
    assert_eq!(a.iter().map(|member| member.name.as_str()).collect::<Vec<_>>(), ["w0"]);
    // HAProxy may not have been told yet, and it counts as out all the same.
    let few = in_repair(&format!("{HALVES}min_available = 2")).unwrap_err();
    assert!(few.iter().any(|veto| matches!(veto, Veto::MinAvailable { left: 1, needed: 2, .. })), "{few:?}");
    // A half with no member left is refused with the reasons.
    let both = hold(1, Owner::Operator("ann".into()), ["app/w0", "api/w1"].map(entry), repair.stage.clone());
    let empty = planned(HALVES, &seen(4, &[]), &[both]).unwrap_err();
    assert!(empty.iter().any(|veto| veto.to_string().contains("w0 is skipped (held by ann: r)")), "{empty:?}");
}

#[test]
fn a_skipped_member_that_serves_is_named_at_the_end() {
    let mut run = World::new().run;
    run.plan.skipped_lines = BTreeMap::from([("w9".parse().unwrap(), vec![entry("app/w9")])]);
    assert!(super::not_deployed_to(&run, |_| false).is_empty());
    assert!(super::not_deployed_to(&run, |_| true)[0].contains("w9 was skipped and takes traffic"));
    run.versions.insert("w9".parse().unwrap(), "v2".into());
    assert!(super::not_deployed_to(&run, |_| true).is_empty(), "it runs what is deployed");
}

#[test]
fn the_last_usable_server_of_any_backend_is_guarded() {
    let seen = seen(2, &[(1, 8)]);
    let all = BTreeMap::from([("edge".parse().unwrap(), &seen)]);
    let taken = BTreeSet::from([entry("app/w0")]);
    assert!(
        matches!(&guard::last_servers(&taken, &BTreeSet::new(), &all)[..], [Veto::LastServers { backend, .. }] if backend == "edge:app")
    );
    // A server without clients may go.
    assert!(guard::last_servers(&BTreeSet::from([entry("app/w1")]), &BTreeSet::new(), &all).is_empty());
}

#[test]
fn members_that_are_out_already_count_against_the_minimum() {
    let farm = |min: &str| farm(&format!("{HALVES}min_available = {min}"));
    let refused = |min: &str, down: &[(usize, u32)], taken: &[&str]| {
        let (seen, farm) = (seen(4, down), farm(min));
        let all = BTreeMap::from([("edge".parse().unwrap(), &seen)]);
        let taken = taken.iter().map(|name| entry(name)).collect();
        match guard::all_but_min(&farm, &farm.layout(&all).unwrap(), &Side::All, &taken, &all) {
            Some(Veto::AllButMin { left, needed, may_go, .. }) => Some((left, needed, may_go)),
            Some(other) => panic!("{other}"),
            None => None,
        }
    };
    assert_eq!(refused("2", &[], &["app/w0", "app/w1"]), None);
    assert_eq!(refused("2", &[], &["app/w0", "app/w1", "app/w2"]), Some((1, 2, 2)));
    assert_eq!(refused("\"50%\"", &[(3, 1)], &["app/w0", "app/w1"]), Some((1, 2, 1)));
    // A member that is out already makes it no worse, and too few are in service all the same.
    assert_eq!(refused("2", &[(1, 1), (2, 8), (3, 1)], &["app/w3"]), Some((1, 2, 0)));
    assert_eq!(refused("2", &[(1, 1), (2, 8), (3, 1)], &["other/x"]), None);
    // At least one member stays in service.
    assert_eq!(refused("0", &[], &["app/w0", "app/w1", "app/w2", "app/w3"]), Some((0, 1, 3)));
}

#[test]
fn a_backup_counts_only_when_no_other_server_is_left() {
    let mut seen = seen(4, &[]);
    let backups = |seen: &mut Seen, which: &[&str]| {
        let names: Vec<_> = seen.servers.keys().cloned().collect();
        for name in names {
            let backup = which.contains(&name.server.as_str());
            seen.servers.get_mut(&name).unwrap().backup = backup;
        }
    };
    let min = |min: u8| format!("{HALVES}min_available = {min}");
    let left = |seen: &Seen, settings: &str| match planned(settings, seen, &[]) {
        Ok(_) => None,
        Err(vetoes) => vetoes.iter().find_map(|veto| match veto {
            Veto::MinAvailable { left, .. } => Some(*left),
            _ => None,
        }),
    };
    // w0 and w1 serve, w2 and w3 are backups: one of these serves when both are out.
    backups(&mut seen, &["w2", "w3"]);
    assert_eq!((left(&seen, &min(1)), left(&seen, &min(2))), (None, Some(1)));
    // Beside w2 the backup w3 gets nothing.
    backups(&mut seen, &["w3"]);
    assert_eq!((left(&seen, &min(1)), left(&seen, &min(2))), (None, Some(1)));
    backups(&mut seen, &[]);
    assert_eq!(left(&seen, &min(2)), None);
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
        let plan = super::flip::plan(&input, &to);
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
