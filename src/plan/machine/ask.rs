//! Steps that ask members in service whether they are healthy: before a group goes out, and at the end.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::outcome::{Action, Facts, Outcome};
use super::transition::{fail, next_step, skip_group};
use crate::farm::{GroupName, MemberName, Span};
use crate::plan::run::{FailureKind, LeftOut, Run};
use crate::plan::verify::ProbeResult;
use crate::plan::wait::Wait;

/// Asks a group before it is taken out. A member that does not answer may be broken, or not in use at all: it is
/// skipped.
pub(super) fn ask(run: &Run, group: &GroupName, facts: &Facts<'_>, now: Timestamp) -> Outcome {
    let members: Vec<&MemberName> = run.members(group).map(|member| &member.name).collect();
    let bad: BTreeMap<MemberName, String> =
        members.iter().filter_map(|member| Some(((*member).clone(), problem_of(run, member, facts)?))).collect();
    if bad.is_empty() {
        return next_step(run, now, vec![Action::Note(format!("{group} answers"))]);
    }
    let until = ANSWER_TAKES.after(run.step.since);
    if now < until {
        return waiting(run, bad, facts, until);
    }
    let all = bad.len() == members.len();
    let skipped: Vec<String> = bad.iter().map(|(member, why)| format!("{member} ({why})")).collect();
    let note = vec![Action::Note(format!("skipped, not deployed to: {}", skipped.join(", ")))];
    let mut run = run.clone();
    run.left_out.extend(bad.into_iter().map(|(member, why)| (member, LeftOut { why, out: false })));
    if all { skip_group(&run, group, now, note) } else { next_step(&run, now, note) }
}

/// Asks all members that were deployed to, once all of them are in service again.
pub(super) fn ask_all(run: &Run, groups: &[GroupName], facts: &Facts<'_>, now: Timestamp) -> Outcome {
    let members = groups.iter().flat_map(|group| run.members(group));
    let members: Vec<&MemberName> = members.map(|member| &member.name).collect();
    if members.is_empty() {
        let left: Vec<String> = run.left_out.iter().map(|(member, left)| format!("{member} ({})", left.why)).collect();
        let why = format!("no member was deployed to: {}", left.join(", "));
        return fail(run, FailureKind::Verify, why, Vec::new());
    }
    let wanted = run.must_show();
    let (mut bad, mut shown, mut unanswered) = (BTreeMap::new(), BTreeMap::new(), false);
    for member in members {
        match (facts.answers.get(member), problem_of(run, member, facts)) {
            (Some(ProbeResult::Failed { why, wrong_version: true }), _) => {
                bad.insert(member.clone(), why.clone());
            }
            (_, Some(why)) => {
                unanswered = true;
                bad.insert(member.clone(), why);
            }
            (Some(ProbeResult::Passed { version: Some(version) }), None) => {
                shown.insert(member.clone(), version.clone());
            }
            (_, None) => {}
        }
    }
    // Build times are not versions: each server may have its own, and each has been judged by itself.
    let versions: BTreeSet<&String> = shown.values().filter(|_| !run.plan.verify.reports_build()).collect();
    let differ = bad.is_empty() && wanted.is_empty() && versions.len() > 1;
    let mut run = run.clone();
    run.versions.extend(shown.clone());
    if differ {
        bad.extend(shown.iter().map(|(member, version)| (member.clone(), format!("runs {version}"))));
    }
    if bad.is_empty() {
        let versions: Vec<&str> = versions.into_iter().map(String::as_str).collect();
        let runs = if versions.is_empty() { String::new() } else { format!(" and runs {}", versions.join(", ")) };
        return next_step(&run, now, vec![Action::Note(format!("every member answers{runs}"))]);
    }
    let until = run.plan.verify.deadline.after(run.step.since);
    if unanswered && now < until {
        return waiting(&run, bad, facts, until);
    }
    let list: Vec<String> = bad.iter().map(|(member, why)| format!("{member} {why}")).collect();
    let what = if differ { "members run different versions" } else { "in service, but not as deployed" };
    fail(&run, FailureKind::Verify, format!("{what}: {}", list.join(", ")), Vec::new())
}

/// Waits for answers. Members that only have not answered yet are not called unhealthy.
fn waiting(run: &Run, bad: BTreeMap<MemberName, String>, facts: &Facts<'_>, until: Timestamp) -> Outcome {
    let is_silent = |member: &MemberName| {
        let up = !facts.not_up.keys().any(|entry| run.has_line(member, entry));
        up && run.plan.verify.http.is_some() && !facts.answers.contains_key(member)
    };
    Outcome::Wait(match bad.keys().all(is_silent) {
        true => Wait::Asking { members: bad.into_keys().collect(), until },
        false => Wait::Probes { members: bad, until },
    })
}

/// Why a member is not known to be healthy; `None` if it is.
fn problem_of(run: &Run, member: &MemberName, facts: &Facts<'_>) -> Option<String> {
    if let Some((entry, status)) = facts.not_up.iter().find(|(entry, _)| run.has_line(member, entry)) {
        return Some(format!("{entry} is {status}"));
    }
    run.plan.verify.http.as_ref()?;
    match facts.answers.get(member) {
        Some(ProbeResult::Passed { .. }) => None,
        Some(ProbeResult::Failed { why, .. }) => Some(why.clone()),
        None => Some("has not answered yet".to_owned()),
    }
}

/// How long a member in service may take to answer before it is skipped.
pub(in crate::plan) const ANSWER_TAKES: Span = Span::from_secs(10);
