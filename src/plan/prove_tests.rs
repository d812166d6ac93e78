//! When a server may come back, in its cases.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::Timestamp;

use super::Wait;
use super::prove::{CheckResult, ProbeResult, ProofFacts, ProofVerdict, WarmUpFacts, next};
use super::warm::{Timed, Warmth};
use crate::farm::{
    AfterProof, Entry, Hold, HoldId, Ladder, MemberName, OnDeadline, Owner, ProofPhase, Span, Stage, Stays, WarmUp,
};
use crate::haproxy::AdminState;

fn at(secs: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + secs).unwrap()
}

fn entry(name: &str) -> Entry {
    format!("edge:app/{name}").try_into().unwrap()
}

fn hold(names: &[&str], phase: ProofPhase, then: AfterProof) -> Hold {
    let (since, until) = (at(0), at(60));
    Hold {
        id: HoldId(1),
        owner: Owner::Operator("ann".into()),
        reason: String::new(),
        selectors: Vec::new(),
        entries: names.iter().map(|name| entry(name)).collect(),
        since,
        expires: None,
        ladder: Ladder {
            first: AdminState::Drain,
            last: AdminState::Maint,
            grace: Span::default(),
            deadline: Span::from_secs(30),
            on_deadline: OnDeadline::Fail,
            stays: Stays::WhoSticks,
            idle: false,
        },
        stage: Stage::Proving { since, until, phase, then, versions: BTreeSet::new() },
        first_out: false,
        revision: 1,
        note: None,
        reach: Default::default(),
        names: Default::default(),
    }
}

fn verdict(results: &[(&str, CheckResult)], then: AfterProof, alone: bool, now: i64) -> ProofVerdict {
    let phase = ProofPhase::Checks { afresh: false };
    let names: Vec<&str> = results.iter().map(|(name, _)| *name).collect();
    let checks = results.iter().map(|(name, result)| (entry(name), result.clone())).collect();
    let facts = ProofFacts { checks, alone, at_most: at(600), ..ProofFacts::default() };
    next(&hold(&names, phase, then), (at(60), phase, then), &facts, at(now))
}

#[test]
fn a_release_waits_only_for_what_may_still_come() {
    let no = |what: &str| what.to_owned();
    let results =
        [("w1", CheckResult::Passed), ("w2", CheckResult::Cannot(no("x"))), ("w3", CheckResult::Unasked(no("y")))];
    let ProofVerdict::Proven(but) = verdict(&results, AfterProof::Release, false, 1) else { panic!("it waits") };
    assert_eq!(but, BTreeMap::from([(entry("w2"), no("x")), (entry("w3"), no("not proven: y"))]));
    let waits = verdict(&[("w1", CheckResult::NotYet(no("DOWN")))], AfterProof::Release, false, 1);
    assert!(matches!(waits, ProofVerdict::Wait(Wait::Checks { .. })));
}

#[test]
fn a_deploy_does_not_turn_traffic_to_who_cannot_take_it() {
    let (cannot, aside) = (CheckResult::Cannot("x".into()), CheckResult::Aside("held by ann".into()));
    let results = [("w1", CheckResult::Passed), ("w2", cannot)];
    assert!(matches!(verdict(&results, AfterProof::Wait, false, 1), ProofVerdict::Wait(_)));
    let ProofVerdict::Failed(bad) = verdict(&results, AfterProof::Wait, false, 60) else { panic!("it is well") };
    assert_eq!(bad.keys().map(MemberName::as_str).collect::<Vec<_>>(), ["w2"]);
    // What somebody else keeps out is theirs, as long as somebody is left to carry the traffic.
    let one = [("w1", CheckResult::Passed), ("w2", aside.clone())];
    assert!(matches!(verdict(&one, AfterProof::Wait, true, 1), ProofVerdict::Proven(but) if but.len() == 1));
    let all = [("w1", aside.clone()), ("w2", aside)];
    assert!(matches!(verdict(&all, AfterProof::Wait, true, 1), ProofVerdict::Wait(_)));
    assert!(matches!(verdict(&all, AfterProof::Wait, false, 1), ProofVerdict::Proven(_)));
}

const MODE: AdminState = AdminState::Maint;

fn warm_up(more: &str) -> WarmUp {
    toml::from_str(&format!("paths = [\"/\"]\nbelow = \"200ms\"\nin_a_row = 1\n{more}")).unwrap()
}

#[test]
fn a_warm_up_follows_the_probes_where_there_is_one() {
    let phase = ProofPhase::Probes { mode: MODE };
    let hold = hold(&["w1"], phase, AfterProof::Wait);
    let decide = |passed: bool, settings: Option<WarmUp>| {
        let result = match passed {
            true => ProbeResult::Passed { version: None },
            false => ProbeResult::Failed { why: "x".into(), wrong_version: false },
        };
        let probes = Some(BTreeMap::from([("w1".parse().unwrap(), result)]));
        let warm_up = settings.map(|settings| WarmUpFacts { settings, members: BTreeMap::new() });
        let facts = ProofFacts { probes, warm_up, ..ProofFacts::default() };
        next(&hold, (at(60), phase, AfterProof::Wait), &facts, at(1))
    };
    let takes = Span::from_secs(9);
    assert_eq!(decide(true, Some(warm_up("deadline = \"9s\""))), ProofVerdict::WarmUp { mode: MODE, takes });
    assert_eq!(decide(true, None), ProofVerdict::Check { afresh: true, cold: BTreeMap::new() });
    assert!(matches!(decide(false, Some(warm_up(""))), ProofVerdict::Wait(Wait::Probes { .. })));
}

#[test]
fn all_are_warm_or_the_policy_decides_at_the_deadline() {
    let phase = ProofPhase::WarmUp { mode: MODE };
    let hold = hold(&["w1", "w2"], phase, AfterProof::Wait);
    let decide = |answers: &[(&str, u64)], policy: &str, now: i64| {
        let settings = warm_up(&format!("on_deadline = \"{policy}\""));
        let warmth = |(name, millis): &(&str, u64)| {
            let mut warmth = Warmth::default();
            warmth.handle_answer(&settings, Ok(Timed { status: 200, took: Duration::from_millis(*millis) }));
            (name.parse::<MemberName>().unwrap(), warmth)
        };
        let members = answers.iter().map(warmth).collect();
        let warm_up = Some(WarmUpFacts { settings: settings.clone(), members });
        let facts = ProofFacts { warm_up, ..ProofFacts::default() };
        next(&hold, (at(60), phase, AfterProof::Wait), &facts, at(now))
    };
    let warm = ProofVerdict::Check { afresh: true, cold: BTreeMap::new() };
    assert_eq!(decide(&[("w1", 9), ("w2", 9)], "fail", 1), warm);
    let ProofVerdict::Wait(wait) = decide(&[("w1", 9), ("w2", 340)], "fail", 1) else { panic!("it does not wait") };
    assert_eq!((wait.to_string().as_str(), wait.until()), ("warming up: w2 1 request, last 340 ms", Some(at(60))));
    assert!(matches!(decide(&[("w1", 9)], "proceed", 59), ProofVerdict::Wait(_)));
    let ProofVerdict::Failed(bad) = decide(&[("w1", 9), ("w2", 340)], "fail", 60) else { panic!("it goes on") };
    let why = "GET / took 340 ms at the 1st request, not below 200 ms";
    assert_eq!(bad, BTreeMap::from([("w2".parse().unwrap(), why.to_owned())]));
    let ProofVerdict::Check { cold, .. } = decide(&[("w1", 9), ("w2", 340)], "proceed", 60) else { panic!("it fails") };
    assert_eq!(cold, bad);
}

#[test]
fn what_was_down_is_not_waited_for_and_slow_checks_are() {
    let down = |passing| CheckResult::Down { why: "DOWN".into(), passing };
    let decide = |lines: &[(&str, CheckResult)], was_down: &[&str], then, alone, now| {
        let phase = ProofPhase::Checks { afresh: true };
        let names: Vec<&str> = lines.iter().map(|(name, _)| *name).collect();
        let facts = ProofFacts {
            checks: lines.iter().map(|(name, result)| (entry(name), result.clone())).collect(),
            was_down: was_down.iter().map(|name| entry(name)).collect(),
            may_come_up: at(10),
            at_most: at(600),
            alone,
            ..ProofFacts::default()
        };
        next(&hold(&names, phase, then), (at(60), phase, then), &facts, at(now))
    };
    use AfterProof::{Release, Wait as Deploy};
    // A server that was DOWN with all of its lines has a little time, and a deploy needs it up.
    let alone = [("w1", down(false))];
    assert!(matches!(decide(&alone, &["w1"], Release, false, 9), ProofVerdict::Wait(_)));
    let ProofVerdict::Proven(but) = decide(&alone, &["w1"], Release, false, 10) else { panic!("it waits") };
    assert_eq!(but[&entry("w1")], "DOWN, as it was before it was taken out");
    assert!(matches!(decide(&alone, &["w1"], Deploy, false, 59), ProofVerdict::Wait(_)));
    assert!(matches!(decide(&alone, &[], Release, false, 60), ProofVerdict::Failed(_)), "it was up before");
    // Checks that pass and only need time are waited for, though not for ever.
    let slow = [("w1", down(true))];
    assert!(matches!(decide(&slow, &[], Deploy, false, 599), ProofVerdict::Wait(_)));
    assert!(matches!(decide(&slow, &[], Deploy, false, 600), ProofVerdict::Failed(_)));
    assert!(matches!(decide(&slow, &["w1"], Release, false, 60), ProofVerdict::Wait(_)), "it is coming up");
    let one_fails = [("w1", down(true)), ("w2", down(false))];
    assert!(matches!(decide(&one_fails, &[], Deploy, false, 60), ProofVerdict::Failed(_)));
}
