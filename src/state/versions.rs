//! The version that each member of a farm runs, as far as its runs have recorded it.

use std::collections::{BTreeMap, BTreeSet};

use super::State;
use crate::farm::{FarmName, MemberName};
use crate::plan::{Passed, Phase, Run, Step};

impl State {
    /// The version of each of these members of a farm: the version that the latest run has read from the member or,
    /// where servers do not report their version, has deployed to it. A member of no remembered run has no version.
    pub fn versions<'a>(
        &'a self,
        farm: &FarmName,
        members: impl Iterator<Item = &'a MemberName>,
    ) -> BTreeMap<&'a MemberName, &'a str> {
        let mut missing: BTreeSet<&MemberName> = members.collect();
        let mut known = BTreeMap::new();
        for run in self.runs.values().rev().filter(|run| run.plan.farm == *farm) {
            if missing.is_empty() {
                break;
            }
            let deployed = deployed_by(run);
            missing.retain(|member| {
                let version = run.versions.get(*member).map(String::as_str).or_else(|| deployed.get(member).copied());
                known.extend(version.map(|version| (*member, version)));
                version.is_none()
            });
        }
        known
    }
}

/// The version that the hooks of a run have deployed to its members, where servers do not report their version.
fn deployed_by(run: &Run) -> BTreeMap<&MemberName, &str> {
    let Some(version) = run.plan.version.as_deref().filter(|_| !run.plan.verify.names_version()) else {
        return BTreeMap::new();
    };
    let done = run.plan.steps.iter().enumerate().take(run.cursor);
    let done = done.filter(|(index, _)| !matches!(run.passed.get(index), Some(Passed::Failed | Passed::Skipped)));
    let groups = done.filter_map(|(_, step)| match step {
        Step::Work { group, phase: Phase::Deploy } => Some(group),
        _ => None,
    });
    groups.flat_map(|group| run.members(group)).map(|member| (&member.name, version)).collect()
}
