//! Skipped members that take traffic when a deploy ends.

use super::run::Run;
use super::strategy::Strategy;
use crate::farm::{Entry, MemberName};

/// Remarks for the end of a deploy about members that it has skipped and that take traffic: they still run what they
/// ran before. `serves`: whether a line takes traffic now.
#[must_use]
pub fn not_deployed_to(run: &Run, serves: impl Fn(&Entry) -> bool) -> Vec<String> {
    let plan = &run.plan;
    let serving =
        plan.skipped_lines.iter().filter(|(_, lines)| plan.strategy != Strategy::Flip && lines.iter().any(&serves));
    let version = |member: &MemberName| run.versions.get(member);
    let old = serving.filter(|(member, _)| plan.version.is_none() || version(member) != plan.version.as_ref());
    let remark = |(member, _): (&MemberName, _)| {
        let runs = version(member).map(|version| format!(" with {version}")).unwrap_or_default();
        format!(
            "{member} was skipped and takes traffic{runs}: it was not deployed to; `teeter drain {member} --reason \
             TEXT` takes it out, and another `teeter deploy {}` deploys to it, too",
            plan.farm
        )
    };
    old.map(remark).collect()
}
