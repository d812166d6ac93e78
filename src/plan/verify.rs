//! When a server may come back: teeter's own probes first, at a deploy its warm-up, then HAProxy's checks.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::roles;
use super::wait::Wait;
use super::warm_up::Warmth;
use crate::farm::{AfterVerify, Entry, Hold, MemberName, OnCold, Span, Verification, VerifyPhase, WarmUp};
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
    /// It is not in use beside those of its member that are: it has nothing to show, and keeps nobody from coming back.
    Unused(String),
    /// It cannot take traffic, and no waiting here changes that, and why.
    Cannot(String),
    /// Not yet; HAProxy's word for it.
    NotYet(String),
    /// They run, and it is DOWN.
    Down {
        /// HAProxy's word for it.
        why: String,
        /// Whether checks pass, and only some more are needed.
        passing: bool,
    },
}

/// What is known about the servers of one hold that are to come back.
#[derive(Debug, Clone, Default)]
pub struct VerifyFacts {
    /// The latest probe of each member; absent while none has been answered. `None` where no probe is configured.
    pub probes: Option<BTreeMap<MemberName, ProbeResult>>,
    /// The warm-up, where there is to be one.
    pub warm_up: Option<WarmUpFacts>,
    /// HAProxy's checks, by server line.
    pub checks: BTreeMap<Entry, CheckResult>,
    /// Lines that were DOWN before they were taken out.
    pub was_down: BTreeSet<Entry>,
    /// Whether these may all be DOWN, as those of a server that follows.
    pub leader: bool,
    /// Until when servers all of whose lines were DOWN have time to come up.
    pub may_come_up: Timestamp,
    /// Until when a proof goes on past its deadline, as long as the checks of all that it waits for pass.
    pub at_most: Timestamp,
    /// Whether these servers are about to carry the traffic by themselves.
    pub alone: bool,
}

/// What is known about a warm-up.
#[derive(Debug, Clone)]
pub struct WarmUpFacts {
    /// What is asked.
    pub settings: WarmUp,
    /// How warm each member is; absent while it has not been asked.
    pub members: BTreeMap<MemberName, Warmth>,
}

/// What a hold whose servers are to come back does next.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub enum VerifyVerdict {
    /// Nothing yet.
    Wait(Wait),
    /// The probes have passed; warm them up, in the state that they are in.
    WarmUp {
        /// That state.
        mode: AdminState,
        /// How long that may take.
        takes: Span,
    },
    /// All that teeter asks for itself has passed; let HAProxy check.
    Check {
        /// From "down".
        afresh: bool,
        /// Members that go on although they are not warm, and why they are not.
        cold: BTreeMap<MemberName, String>,
    },
    /// There is nothing more to wait for. All is well, but for what is said of these.
    Verified(BTreeMap<Entry, String>),
    /// These members have not shown in time that they are well, and why; the others have not failed.
    Failed(BTreeMap<MemberName, String>),
}

/// Decides what follows for a hold in `Stage::Proving`.
pub fn next(hold: &Hold, verification: &Verification, facts: &VerifyFacts, now: Timestamp) -> VerifyVerdict {
    let Verification { until, phase, then, .. } = *verification;
    match phase {
        VerifyPhase::Probes { mode } => {
            let bad = facts.probes.as_ref().map(|probes| not_passed(&hold.members(), probes)).unwrap_or_default();
            if bad.is_empty() {
                return match &facts.warm_up {
                    Some(WarmUpFacts { settings, .. }) => VerifyVerdict::WarmUp { mode, takes: settings.deadline },
                    None => check(mode, BTreeMap::new()),
                };
            }
            let is_final = |member: &MemberName| {
                let result = facts.probes.as_ref().and_then(|probes| probes.get(member));
                // A deploy's new process may take a moment to replace the old one; at a release nothing is coming.
                then == AfterVerify::Release && matches!(result, Some(ProbeResult::Failed { wrong_version: true, .. }))
            };
            if now >= until || bad.keys().all(is_final) {
                return VerifyVerdict::Failed(bad);
            }
            VerifyVerdict::Wait(Wait::Probes { members: bad, until })
        }
        VerifyPhase::WarmUp { mode } => {
            let Some(WarmUpFacts { settings, members }) = &facts.warm_up else { return check(mode, BTreeMap::new()) };
            let warmth = |member: &MemberName| members.get(member).cloned().unwrap_or_default();
            let all = hold.members().into_iter().map(|member| (member.clone(), warmth(member)));
            let cold: BTreeMap<_, _> = all.filter(|(_, warmth)| !warmth.is_warm(settings)).collect();
            let why = || cold.iter().map(|(member, warmth)| (member.clone(), warmth.why_cold(settings))).collect();
            match settings.on_deadline {
                _ if cold.is_empty() => check(mode, BTreeMap::new()),
                _ if now < until => {
                    let members = cold.iter().map(|(member, warmth)| (member.clone(), warmth.to_string())).collect();
                    VerifyVerdict::Wait(Wait::WarmUp { members, until })
                }
                OnCold::Fail => VerifyVerdict::Failed(why()),
                OnCold::Proceed => check(mode, why()),
            }
        }
        VerifyPhase::Checks { .. } => {
            let (not_yet, but) = sort(hold, then, facts, now);
            if not_yet.is_empty() {
                VerifyVerdict::Verified(but)
            } else if now >= until && !(now < facts.at_most && not_yet.keys().all(|entry| passes(entry, facts))) {
                let why = |(entry, status): (&Entry, &String)| {
                    (hold.names.member(entry).clone(), format!("({entry}: {status})"))
                };
                VerifyVerdict::Failed(not_yet.iter().map(why).collect())
            } else {
                VerifyVerdict::Wait(Wait::Checks { entries: not_yet, until })
            }
        }
    }
}

/// Whether a line only needs more of the checks that pass.
fn passes(entry: &Entry, facts: &VerifyFacts) -> bool {
    matches!(facts.checks.get(entry), Some(CheckResult::Down { passing: true, .. }))
}

/// From maintenance HAProxy would take servers for well without a check.
fn check(mode: AdminState, cold: BTreeMap<MemberName, String>) -> VerifyVerdict {
    VerifyVerdict::Check { afresh: mode == AdminState::Maint, cold }
}

/// The lines that are waited for, and those that are not well and not waited for. A release gives back what was: it
/// waits for nothing that it cannot bring about. A deploy goes on to turn traffic to these servers.
fn sort(
    hold: &Hold,
    then: AfterVerify,
    facts: &VerifyFacts,
    now: Timestamp,
) -> (BTreeMap<Entry, String>, BTreeMap<Entry, String>) {
    let is_up = |entry: &Entry| matches!(facts.checks.get(entry), Some(CheckResult::Passed | CheckResult::Unasked(_)));
    // Whoever is about to carry the traffic alone must be all there.
    let lines = hold.entries.iter().filter(|_| !facts.alone);
    let excused = roles::excused(lines, (&facts.was_down, facts.leader), |line| hold.names.member(line), is_up);
    let was_down = |entry: &Entry| facts.was_down.contains(entry) && then == AfterVerify::Release;
    let (mut not_yet, mut but, mut aside) = (BTreeMap::new(), BTreeMap::new(), BTreeSet::new());
    for entry in &hold.entries {
        let (list, why) = match facts.checks.get(entry) {
            Some(CheckResult::Passed) => continue,
            Some(CheckResult::Unasked(why)) => (&mut but, format!("not verified: {why}")),
            Some(CheckResult::Unused(why)) => (&mut but, why.clone()),
            Some(CheckResult::Aside(why)) => {
                aside.insert(hold.names.member(entry));
                (&mut but, why.clone())
            }
            Some(CheckResult::Cannot(why)) if then == AfterVerify::Release => (&mut but, why.clone()),
            Some(CheckResult::Cannot(why) | CheckResult::NotYet(why)) => (&mut not_yet, why.clone()),
            Some(CheckResult::Down { why, passing }) => match excused.get(entry) {
                Some(as_before) => (&mut but, format!("{why}, {as_before}")),
                None if was_down(entry) && !passing && now >= facts.may_come_up => {
                    (&mut but, format!("{why}, as it was before it was taken out"))
                }
                None => (&mut not_yet, why.clone()),
            },
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
