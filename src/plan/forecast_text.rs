//! The sentences of a forecast.

use super::machine::ANSWER_TAKES;
use super::run_plan::Plan;
use super::step::Step;
use super::strategy::Phase;
use crate::farm::{GroupName, MemberName, OnCold, OnDeadline};

/// What a step of a plan does, without a full stop.
pub(super) fn does(plan: &Plan, step: &Step) -> String {
    let of = |group: &GroupName| names(plan.groups.get(group).into_iter().flatten().map(|member| &member.name));
    let all = |groups: &[GroupName]| {
        names(groups.iter().filter_map(|group| plan.groups.get(group)).flatten().map(|member| &member.name))
    };
    match step {
        Step::Ask { group } => format!(
            "teeter asks {} whether they are healthy, for {ANSWER_TAKES} at most, and skips those that do not answer",
            of(group)
        ),
        Step::Out { group, switch: None } => format!("no new requests for {}", of(group)),
        Step::Out { group, switch: Some(side) } => {
            format!("the route is switched to {side}: no new requests for {}", of(group))
        }
        Step::Drain { .. } => drain(plan),
        Step::Work { phase: Phase::Deploy, .. } => "your work, however long it takes; the servers stay out".to_owned(),
        Step::Work { phase: Phase::AfterOut, .. } => "your hook; the servers stay out".to_owned(),
        Step::Work { phase: Phase::BeforeOut | Phase::AfterIn, .. } => "your hook; the servers take traffic".to_owned(),
        Step::Settle { takes, .. } => format!("nothing for {takes}, while the servers start up"),
        Step::Verify { .. } => verify(plan),
        Step::Flip { release, hold, switch } => {
            let how = if switch.is_some() { "by the route, at once" } else { "server by server" };
            match (release.as_slice(), hold.as_slice()) {
                ([], []) => format!("the traffic is switched {how}"),
                ([], hold) => format!("the traffic leaves {} {how}", all(hold)),
                (release, []) => format!("the traffic comes to {} as well, {how}", all(release)),
                (release, hold) => format!("the traffic moves from {} to {} {how}", all(hold), all(release)),
            }
        }
        Step::Share { group, with, share } => {
            format!("{share} of the traffic goes to {}, the rest to {}", of(group), of(with))
        }
        Step::Bake { takes, .. } => bake(plan, *takes),
        Step::In { group, .. } => format!(
            "{} take traffic again; HAProxy's checks have to find them up within {}",
            of(group),
            plan.verify.deadline
        ),
        Step::AskAll { .. } => format!(
            "each server has to pass verify.http in service{}, within {}; otherwise the run stops",
            version(plan),
            plan.verify.deadline
        ),
    }
}

fn drain(plan: &Plan) -> String {
    let drain = &plan.drain;
    let at_deadline = match drain.on_deadline {
        OnDeadline::Fail => "then the run stops",
        OnDeadline::Kill => "then the sessions that are left are ended",
        OnDeadline::Proceed => "then the run goes on with what is left",
        OnDeadline::Restore => "then the run stops and the servers come back",
    };
    let grace = match drain.grace.is_zero() {
        true => String::new(),
        false => format!(", sticky clients may stay for {}", drain.grace),
    };
    format!("wait until nothing is in flight on them, for {} at most{grace}; {at_deadline}", drain.deadline)
}

fn verify(plan: &Plan) -> String {
    let settings = &plan.verify;
    let probe = match &settings.http {
        Some(http) => format!("answer GET {} with {}{}", http.path, http.expect, version(plan)),
        None => "be found healthy by HAProxy's checks".to_owned(),
    };
    let warm = settings.warm_up.as_ref().map(|warm_up| {
        let then = if warm_up.on_deadline == OnCold::Proceed { ", or go on cold" } else { "" };
        format!(", and be warm within another {}{then}", warm_up.deadline)
    });
    let warm = warm.unwrap_or_default();
    format!("without traffic, each has to {probe}, within {}{warm}; otherwise the run stops", settings.deadline)
}

/// The version that servers have to show, as the end of a sentence.
fn version(plan: &Plan) -> String {
    let shown = plan.version.as_ref().filter(|_| plan.verify.names_version());
    shown.map(|version| format!(" and show {version}")).unwrap_or_default()
}

fn bake(plan: &Plan, takes: Option<crate::farm::Span>) -> String {
    let takes = takes.or(plan.bake.as_ref().map(|bake| bake.takes)).unwrap_or_default();
    match plan.bake.as_ref().is_none_or(|bake| bake.compares_nothing()) {
        true => format!("nothing for {takes}"),
        false => format!("teeter compares HAProxy's counters for {takes}, and switches back if they get worse"),
    }
}

/// Names of members; the first few, if there are many.
pub(super) fn names<'a>(members: impl Iterator<Item = &'a MemberName>) -> String {
    let names: Vec<&str> = members.map(MemberName::as_str).collect();
    match names.as_slice() {
        [] => "no server".to_owned(),
        few if few.len() <= NAMED => few.join(", "),
        many => format!("{} and {} more", many[..NAMED].join(", "), many.len() - NAMED),
    }
}

/// The most members to name.
const NAMED: usize = 6;
