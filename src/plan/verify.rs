//! When a server may come back: teeter's own probes first, in a deploy the warm-up, then HAProxy's checks.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::roles;
use super::wait::Wait;
use super::warm_up::Warmth;
use crate::farm::{AfterVerify, Entry, Hold, MemberName, OnCold, Span, Verification, VerifyPhase, WarmUp};
use crate::haproxy::AdminState;

/// The latest result of probing one member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProbeResult {
    /// It answered as configured.
    Passed {
        /// The version in its answer; `None` where none is configured to be read.
        version: Option<String>,
    },
    /// It did not answer as configured.
    Failed {
        /// What the member did instead, as text.
        why: String,
        /// Whether only its version is wrong.
        wrong_version: bool,
    },
}

/// The result of HAProxy's checks for one server line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CheckResult {
    /// The checks passed, and were new if that is required.
    Passed,
    /// Neither a check nor a probe has tested the server, for this reason.
    Unasked(String),
    /// Something other than this hold keeps the line out, in these words, and will verify and bring it back.
    KeptOut(String),
    /// The line is not in use, while other lines of its member are: it needs no check, and its member comes back without
    /// it.
    Unused(String),
    /// The line cannot take traffic, for this reason, and waiting does not change that.
    Cannot(String),
    /// The checks have not passed yet; with the status of the line in HAProxy.
    NotYet(String),
    /// The checks run, and the line is DOWN.
    Down {
        /// Its status in HAProxy.
        why: String,
        /// Whether checks pass now, and only more of them are needed.
        passing: bool,
    },
}

/// The facts about the servers of a hold that are about to come back.
#[derive(Debug, Clone, Default)]
pub struct VerifyFacts {
    /// The latest probe result of each member; a member is absent before its first. `None` where no probe is
    /// configured.
    pub probes: Option<BTreeMap<MemberName, ProbeResult>>,
    /// The warm-up; `None` where there is none.
    pub warm_up: Option<WarmUpFacts>,
    /// HAProxy's checks, by server line.
    pub checks: BTreeMap<Entry, CheckResult>,
    /// Lines that were DOWN before they were taken out.
    pub was_down: BTreeSet<Entry>,
    /// Whether all lines may be DOWN, because the farm has a leader and these servers follow.
    pub leader: bool,
    /// When the time is over in which servers whose lines were all DOWN may come up.
    pub may_come_up: Timestamp,
    /// How far past its deadline a verification may go on, as long as the checks of all lines that it waits for pass.
    pub at_most: Timestamp,
    /// Whether these servers will carry the traffic by themselves.
    pub alone: bool,
}

/// What is known about a warm-up.
#[derive(Debug, Clone)]
pub struct WarmUpFacts {
    /// The settings of the warm-up.
    pub settings: WarmUp,
    /// How warm each member is; a member is absent before its first request.
    pub members: BTreeMap<MemberName, Warmth>,
}

/// What a hold whose servers are to come back does next.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub enum VerifyVerdict {
    /// It waits, for this reason.
    Wait(Wait),
    /// The probes have passed; warm the servers up.
    WarmUp {
        /// The state that the servers stay in.
        mode: AdminState,
        /// How long the warm-up may take.
        takes: Span,
    },
    /// All that teeter tests itself has passed; let HAProxy check.
    Check {
        /// Whether the checks must start again from "down".
        afresh: bool,
        /// Members that go on although they are not warm, and why they are cold.
        cold: BTreeMap<MemberName, String>,
    },
    /// The servers are healthy, except for the remarks about these lines.
    Verified(BTreeMap<Entry, String>),
    /// These members were not healthy in time, for these reasons; the others have not failed.
    Failed(BTreeMap<MemberName, String>),
}

/// Decides what follows for a hold in `Stage::Verifying`.
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
                // In a deploy the new process may take a moment to replace the old one; at a release no new one comes.
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
            let SortedLines { not_yet, excepted } = sort(hold, then, facts, now);
            if not_yet.is_empty() {
                VerifyVerdict::Verified(excepted)
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

/// Whether the checks of a line pass, and only more of them are needed.
fn passes(entry: &Entry, facts: &VerifyFacts) -> bool {
    matches!(facts.checks.get(entry), Some(CheckResult::Down { passing: true, .. }))
}

/// Checks must start again after maintenance: HAProxy would take the servers for healthy without a check.
fn check(mode: AdminState, cold: BTreeMap<MemberName, String>) -> VerifyVerdict {
    VerifyVerdict::Check { afresh: mode == AdminState::Maint, cold }
}

/// A hold's lines that have not passed HAProxy's checks, with the reason.
struct SortedLines {
    /// The lines that the hold waits for.
    not_yet: BTreeMap<Entry, String>,
    /// The lines that are not healthy, and that the hold does not wait for.
    excepted: BTreeMap<Entry, String>,
}

/// Sorts a hold's lines by the results of HAProxy's checks. A release restores what was before: it does not wait for a
/// line that cannot come up. A deploy does, because it will switch traffic to these servers.
fn sort(hold: &Hold, then: AfterVerify, facts: &VerifyFacts, now: Timestamp) -> SortedLines {
    let is_up = |entry: &Entry| matches!(facts.checks.get(entry), Some(CheckResult::Passed | CheckResult::Unasked(_)));
    // Servers that will carry the traffic by themselves must be up with all lines.
    let lines = hold.entries.iter().filter(|_| !facts.alone);
    let excused = roles::excused(lines, &facts.was_down, facts.leader, |line| hold.names.member(line), is_up);
    let was_down = |entry: &Entry| facts.was_down.contains(entry) && then == AfterVerify::Release;
    let (mut not_yet, mut excepted, mut kept_out) = (BTreeMap::new(), BTreeMap::new(), BTreeSet::new());
    for entry in &hold.entries {
        let (list, why) = match facts.checks.get(entry) {
            Some(CheckResult::Passed) => continue,
            Some(CheckResult::Unasked(why)) => (&mut excepted, format!("not verified: {why}")),
            Some(CheckResult::Unused(why)) => (&mut excepted, why.clone()),
            Some(CheckResult::KeptOut(why)) => {
                kept_out.insert(hold.names.member(entry));
                (&mut excepted, why.clone())
            }
            Some(CheckResult::Cannot(why)) if then == AfterVerify::Release => (&mut excepted, why.clone()),
            Some(CheckResult::Cannot(why) | CheckResult::NotYet(why)) => (&mut not_yet, why.clone()),
            Some(CheckResult::Down { why, passing }) => match excused.get(entry) {
                Some(as_before) => (&mut excepted, format!("{why}, {as_before}")),
                None if was_down(entry) && !passing && now >= facts.may_come_up => {
                    (&mut excepted, format!("{why}, as it was before it was taken out"))
                }
                None => (&mut not_yet, why.clone()),
            },
            None => (&mut not_yet, "unknown".to_owned()),
        };
        list.insert(entry.clone(), why);
    }
    if facts.alone && kept_out.len() == hold.members().len() {
        not_yet.append(&mut excepted);
    }
    SortedLines { not_yet, excepted }
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
