//! Tests of when a server may come back.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::Timestamp;

use super::Wait;
use super::verify::{CheckResult, ProbeResult, VerifyFacts, VerifyVerdict, WarmUpFacts, next};
use super::warm_up::{Timed, Warmth};
use crate::farm::{
    AfterVerify, Entry, Hold, HoldId, Ladder, MemberName, OnDeadline, Owner, Span, Stage, Stays, Verification,
    VerifyPhase, WarmUp,
};
use crate::haproxy::AdminState;

fn at(secs: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + secs).unwrap()
}

fn entry(name: &str) -> Entry {
    format!("edge:app/{name}").try_into().unwrap()
}

fn verification(phase: VerifyPhase, then: AfterVerify) -> Verification {
    Verification { since: at(0), until: at(60), phase, then, versions: BTreeSet::new() }
}

fn hold(names: &[&str], phase: VerifyPhase, then: AfterVerify) -> Hold {
    Hold {
        id: HoldId(1),
        owner: Owner::Operator("ann".into()),
        reason: String::new(),
        selectors: Vec::new(),
        entries: names.iter().map(|name| entry(name)).collect(),
        since: at(0),
        expires: None,
        ladder: Ladder {
            first: AdminState::Drain,
            last: AdminState::Maint,
            grace: Span::default(),
            deadline: Span::from_secs(30),
            on_deadline: OnDeadline::Fail,
            stays: Stays::Sticky,
            idle: false,
        },
        stage: Stage::Verifying(verification(phase, then)),
        first_out: false,
        revision: 1,
        note: None,
        reach: Default::default(),
        names: Default::default(),
    }
}

fn verdict(results: &[(&str, CheckResult)], then: AfterVerify, alone: bool, now: i64) -> VerifyVerdict {
    let phase = VerifyPhase::Checks { afresh: false };
    let names: Vec<&str> = results.iter().map(|(name, _)| *name).collect();
    let checks = results.iter().map(|(name, result)| (entry(name), result.clone())).collect();
    let facts = VerifyFacts { checks, alone, at_most: at(600), ..VerifyFacts::default() };
    next(&hold(&names, phase, then), &verification(phase, then), &facts, at(now))
}

#[test]
fn a_release_waits_only_for_lines_that_may_come_up() {
    let no = |what: &str| what.to_owned();
    let results =
        [("w1", CheckResult::Passed), ("w2", CheckResult::Cannot(no("x"))), ("w3", CheckResult::Unasked(no("y")))];
    let VerifyVerdict::Verified(but) = verdict(&results, AfterVerify::Release, false, 1) else { panic!("it waits") };
    assert_eq!(but, BTreeMap::from([(entry("w2"), no("x")), (entry("w3"), no("not verified: y"))]));
    let waits = verdict(&[("w1", CheckResult::NotYet(no("DOWN")))], AfterVerify::Release, false, 1);
    assert!(matches!(waits, VerifyVerdict::Wait(Wait::Checks { .. })));
}

#[test]
fn a_deploy_does_not_switch_traffic_to_servers_that_cannot_take_it() {
    let (cannot, kept_out) = (CheckResult::Cannot("x".into()), CheckResult::KeptOut("held by ann".into()));
    let results = [("w1", CheckResult::Passed), ("w2", cannot)];
    assert!(matches!(verdict(&results, AfterVerify::Wait, false, 1), VerifyVerdict::Wait(_)));
    let VerifyVerdict::Failed(bad) = verdict(&results, AfterVerify::Wait, false, 60) else { panic!("it is healthy") };
    assert_eq!(bad.keys().map(MemberName::as_str).collect::<Vec<_>>(), ["w2"]);
    // A line that another hold keeps out is not waited for, as long as other servers can carry the traffic.
    let one = [("w1", CheckResult::Passed), ("w2", kept_out.clone())];
    assert!(matches!(verdict(&one, AfterVerify::Wait, true, 1), VerifyVerdict::Verified(but) if but.len() == 1));
    let all = [("w1", kept_out.clone()), ("w2", kept_out)];
    assert!(matches!(verdict(&all, AfterVerify::Wait, true, 1), VerifyVerdict::Wait(_)));
    assert!(matches!(verdict(&all, AfterVerify::Wait, false, 1), VerifyVerdict::Verified(_)));
}

const MODE: AdminState = AdminState::Maint;

fn warm_up(more: &str) -> WarmUp {
    toml::from_str(&format!("paths = [\"/\"]\nbelow = \"200ms\"\nin_a_row = 1\n{more}")).unwrap()
}

#[test]
fn a_configured_warm_up_follows_the_probes() {
    let phase = VerifyPhase::Probes { mode: MODE };
    let hold = hold(&["w1"], phase, AfterVerify::Wait);
    let decide = |passed: bool, settings: Option<WarmUp>| {
        let result = match passed {
            true => ProbeResult::Passed { version: None },
            false => ProbeResult::Failed { why: "x".into(), wrong_version: false },
        };
        let probes = Some(BTreeMap::from([("w1".parse().unwrap(), result)]));
        let warm_up = settings.map(|settings| WarmUpFacts { settings, members: BTreeMap::new() });
        let facts = VerifyFacts { probes, warm_up, ..VerifyFacts::default() };
        next(&hold, &verification(phase, AfterVerify::Wait), &facts, at(1))
    };
    let takes = Span::from_secs(9);
    assert_eq!(decide(true, Some(warm_up("deadline = \"9s\""))), VerifyVerdict::WarmUp { mode: MODE, takes });
    assert_eq!(decide(true, None), VerifyVerdict::Check { afresh: true, cold: BTreeMap::new() });
    assert!(matches!(decide(false, Some(warm_up(""))), VerifyVerdict::Wait(Wait::Probes { .. })));
}

#[test]
fn cold_members_fail_or_go_on_at_the_deadline_as_configured() {
    let phase = VerifyPhase::WarmUp { mode: MODE };
    let hold = hold(&["w1", "w2"], phase, AfterVerify::Wait);
    let decide = |answers: &[(&str, u64)], policy: &str, now: i64| {
        let settings = warm_up(&format!("on_deadline = \"{policy}\""));
        let warmth = |(name, millis): &(&str, u64)| {
            let mut warmth = Warmth::default();
            warmth.handle_answer(&settings, Ok(Timed { status: 200, took: Duration::from_millis(*millis) }));
            (name.parse::<MemberName>().unwrap(), warmth)
        };
        let members = answers.iter().map(warmth).collect();
        let warm_up = Some(WarmUpFacts { settings: settings.clone(), members });
        let facts = VerifyFacts { warm_up, ..VerifyFacts::default() };
        next(&hold, &verification(phase, AfterVerify::Wait), &facts, at(now))
    };
    let warm = VerifyVerdict::Check { afresh: true, cold: BTreeMap::new() };
    assert_eq!(decide(&[("w1", 9), ("w2", 9)], "fail", 1), warm);
    let VerifyVerdict::Wait(wait) = decide(&[("w1", 9), ("w2", 340)], "fail", 1) else { panic!("it does not wait") };
    assert_eq!((wait.to_string().as_str(), wait.until()), ("warming up: w2 1 request, last 340 ms", Some(at(60))));
    assert!(matches!(decide(&[("w1", 9)], "proceed", 59), VerifyVerdict::Wait(_)));
    let VerifyVerdict::Failed(bad) = decide(&[("w1", 9), ("w2", 340)], "fail", 60) else { panic!("it goes on") };
    let why = "GET / took 340 ms at the 1st request, not below 200 ms";
    assert_eq!(bad, BTreeMap::from([("w2".parse().unwrap(), why.to_owned())]));
    let VerifyVerdict::Check { cold, .. } = decide(&[("w1", 9), ("w2", 340)], "proceed", 60) else {
        panic!("it fails")
    };
    assert_eq!(cold, bad);
}

#[test]
fn lines_that_were_down_are_not_waited_for_and_slow_checks_are() {
    let down = |passing| CheckResult::Down { why: "DOWN".into(), passing };
    let decide = |lines: &[(&str, CheckResult)], was_down: &[&str], then, alone, now| {
        let phase = VerifyPhase::Checks { afresh: true };
        let names: Vec<&str> = lines.iter().map(|(name, _)| *name).collect();
        let facts = VerifyFacts {
            checks: lines.iter().map(|(name, result)| (entry(name), result.clone())).collect(),
            was_down: was_down.iter().map(|name| entry(name)).collect(),
            may_come_up: at(10),
            at_most: at(600),
            alone,
            ..VerifyFacts::default()
        };
        next(&hold(&names, phase, then), &verification(phase, then), &facts, at(now))
    };
    use AfterVerify::{Release, Wait as Deploy};
    // A server that was DOWN with all of its lines has a little time, and a deploy needs it up.
    let alone = [("w1", down(false))];
    assert!(matches!(decide(&alone, &["w1"], Release, false, 9), VerifyVerdict::Wait(_)));
    let VerifyVerdict::Verified(but) = decide(&alone, &["w1"], Release, false, 10) else { panic!("it waits") };
    assert_eq!(but[&entry("w1")], "DOWN, as it was before it was taken out");
    assert!(matches!(decide(&alone, &["w1"], Deploy, false, 59), VerifyVerdict::Wait(_)));
    assert!(matches!(decide(&alone, &[], Release, false, 60), VerifyVerdict::Failed(_)), "it was up before");
    // Checks that pass and only need time are waited for, but not without limit.
    let slow = [("w1", down(true))];
    assert!(matches!(decide(&slow, &[], Deploy, false, 599), VerifyVerdict::Wait(_)));
    assert!(matches!(decide(&slow, &[], Deploy, false, 600), VerifyVerdict::Failed(_)));
    assert!(matches!(decide(&slow, &["w1"], Release, false, 60), VerifyVerdict::Wait(_)), "it is coming up");
    let one_fails = [("w1", down(true)), ("w2", down(false))];
    assert!(matches!(decide(&one_fails, &[], Deploy, false, 60), VerifyVerdict::Failed(_)));
}
