//! When a server may come back: teeter's own probes first, then HAProxy's checks.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::wait::Wait;
use crate::farm::{AfterProof, Entry, Hold, MemberName, ProofPhase};
use crate::haproxy::AdminState;

/// What a probe of one member last said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProbeResult {
    /// It answered as it should, and what it called its version.
    Passed {
        /// The version it told, where a version is asked for.
        version: Option<String>,
    },
    /// It did not.
    Failed {
        /// What it did instead.
        why: String,
        /// Whether it is well apart from its version.
        wrong_version: bool,
    },
}

/// What HAProxy's checks say about one server line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CheckResult {
    /// They passed; afresh, where that was asked.
    Passed,
    /// Nothing has asked the server how it is, neither a check nor a probe, and why.
    Unasked(String),
    /// Somebody else keeps it out by their own wish, and how: it is theirs to prove and to bring back.
    Aside(String),
    /// It cannot take traffic, and no waiting here changes that, and why.
    Cannot(String),
    /// Not yet; HAProxy's word for it.
    NotYet(String),
}

/// What is known about the servers of one hold that are to come back.
#[derive(Debug, Clone, Default)]
pub struct ProofFacts {
    /// The latest probe of each member; absent while none has been answered. `None` where no probe is configured.
    pub probes: Option<BTreeMap<MemberName, ProbeResult>>,
    /// HAProxy's checks, by server line.
    pub checks: BTreeMap<Entry, CheckResult>,
    /// Whether these servers are about to carry the traffic by themselves.
    pub alone: bool,
}

/// What a hold whose servers are to come back does next.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub enum ProofVerdict {
    /// Nothing yet.
    Wait(Wait),
    /// The probes have passed; let HAProxy check.
    Check {
        /// From "down".
        afresh: bool,
    },
    /// There is nothing more to wait for. All is well, but for what is said of these.
    Proven(BTreeMap<Entry, String>),
    /// These members have not shown in time that they are well, and why; the others have not failed.
    Failed(BTreeMap<MemberName, String>),
}

/// Decides what follows for a hold in `Stage::Proving`.
pub fn next(
    hold: &Hold,
    (until, phase, then): (Timestamp, ProofPhase, AfterProof),
    facts: &ProofFacts,
    now: Timestamp,
) -> ProofVerdict {
    match phase {
        ProofPhase::Probes { mode } => {
            let bad = facts.probes.as_ref().map(|probes| not_passed(&hold.members(), probes)).unwrap_or_default();
            if bad.is_empty() {
                return ProofVerdict::Check { afresh: mode == AdminState::Maint };
            }
            let is_final = |member: &MemberName| {
                let result = facts.probes.as_ref().and_then(|probes| probes.get(member));
                // A deploy's new process may take a moment to replace the old one; at a release nothing is coming.
                then == AfterProof::Release && matches!(result, Some(ProbeResult::Failed { wrong_version: true, .. }))
            };
            if now >= until || bad.keys().all(is_final) {
                return ProofVerdict::Failed(bad);
            }
            ProofVerdict::Wait(Wait::Probes { members: bad, until })
        }
        ProofPhase::Checks { .. } => {
            let (not_yet, but) = sort(hold, then, facts);
            if not_yet.is_empty() {
                ProofVerdict::Proven(but)
            } else if now >= until {
                let why = |(entry, status): (&Entry, &String)| (entry.member().clone(), format!("({entry}: {status})"));
                ProofVerdict::Failed(not_yet.iter().map(why).collect())
            } else {
                ProofVerdict::Wait(Wait::Checks { entries: not_yet, until })
            }
        }
    }
}

/// The lines that are waited for, and those that are not well and not waited for. A release gives back what was: it
/// waits for nothing that it cannot bring about. A deploy goes on to turn traffic to these servers.
fn sort(hold: &Hold, then: AfterProof, facts: &ProofFacts) -> (BTreeMap<Entry, String>, BTreeMap<Entry, String>) {
    let (mut not_yet, mut but, mut aside) = (BTreeMap::new(), BTreeMap::new(), BTreeSet::new());
    for entry in &hold.entries {
        let (list, why) = match facts.checks.get(entry) {
            Some(CheckResult::Passed) => continue,
            Some(CheckResult::Unasked(why)) => (&mut but, format!("not proven: {why}")),
            Some(CheckResult::Aside(why)) => {
                aside.insert(entry.member());
                (&mut but, why.clone())
            }
            Some(CheckResult::Cannot(why)) if then == AfterProof::Release => (&mut but, why.clone()),
            Some(CheckResult::Cannot(why) | CheckResult::NotYet(why)) => (&mut not_yet, why.clone()),
            None => (&mut not_yet, "unknown".to_owned()),
        };
        list.insert(entry.clone(), why);
    }
    if facts.alone && aside.len() == hold.members().len() {
        not_yet.append(&mut but);
    }
    (not_yet, but)
}

fn not_passed(
    members: &BTreeSet<&MemberName>,
    probes: &BTreeMap<MemberName, ProbeResult>,
) -> BTreeMap<MemberName, String> {
    let verdict = |member: &MemberName| match probes.get(member) {
        Some(ProbeResult::Passed { .. }) => None,
        Some(ProbeResult::Failed { why, .. }) => Some(why.clone()),
        None => Some("has not answered yet".to_owned()),
    };
    members.iter().filter_map(|member| Some(((*member).clone(), verdict(member)?))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::farm::{HoldId, Ladder, OnDeadline, Owner, Span, Stage, Stays};

    fn at(secs: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + secs).unwrap()
    }

    fn entry(name: &str) -> Entry {
        format!("edge:app/{name}").try_into().unwrap()
    }

    fn verdict(results: &[(&str, CheckResult)], then: AfterProof, alone: bool, now: i64) -> ProofVerdict {
        let (since, until) = (at(0), at(60));
        let phase = ProofPhase::Checks { afresh: false };
        let hold = Hold {
            id: HoldId(1),
            owner: Owner::Operator("ann".into()),
            reason: String::new(),
            selectors: Vec::new(),
            entries: results.iter().map(|(name, _)| entry(name)).collect(),
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
        };
        let checks = results.iter().map(|(name, result)| (entry(name), result.clone())).collect();
        next(&hold, (until, phase, then), &ProofFacts { probes: None, checks, alone }, at(now))
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
}
