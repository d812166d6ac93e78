//! Judges the answers of servers to teeter's requests, and the versions in them.

use std::collections::BTreeSet;

use jiff::Timestamp;

use crate::engine::prober::Answer;
use crate::farm::{BuiltAt, Hold};
use crate::plan::verify::ProbeResult;
use crate::plan::{Run, RunState};
use crate::state::State;

/// What members must show, apart from being healthy.
#[derive(Debug, Clone)]
pub(crate) struct MustShow {
    /// One of these versions; empty: any version.
    versions: BTreeSet<String>,
    /// When they must have been built; `None`: their version is not a time.
    built: Option<Built>,
}

/// When members must have been built.
#[derive(Debug, Clone, Copy)]
struct Built {
    run_began: Timestamp,
    /// Whether the run has deployed to them, and is not a rollback: they must have been built after its start.
    is_new: bool,
}

impl MustShow {
    /// What the members of a hold must show.
    pub(crate) fn for_hold(hold: &Hold, versions: &BTreeSet<String>, state: &State) -> Self {
        let run = hold.owner.run().and_then(|id| state.runs.get(&id));
        let with_build_times = run.filter(|run| run.plan.verify.reports_build());
        let worked_on = |run: &Run| run.worked_on().any(|group| run.holds.get(group) == Some(&hold.id));
        let built = with_build_times
            .map(|run| Built { run_began: run.started, is_new: run.state == RunState::Running && worked_on(run) });
        Self { versions: versions.clone(), built }
    }

    /// What members of a run must show while they take traffic: the `deployed` version, or any.
    pub(crate) fn in_traffic(run: &Run, deployed: bool) -> Self {
        let verify = &run.plan.verify;
        let versions = if deployed { run.must_show() } else { BTreeSet::new() };
        let built = verify.reports_build().then_some(Built { run_began: run.started, is_new: deployed });
        Self { versions, built }
    }

    /// Judges one answer.
    pub(crate) fn judge(&self, answer: Answer) -> ProbeResult {
        let version = match answer {
            Ok(version) => version,
            Err(why) => return failed(why),
        };
        let why = match (self.built, version.as_deref().and_then(BuiltAt::read)) {
            (Some(built), Some(at)) => self.wrong_time(built, at),
            _ => self.wrong_name(version.as_deref()),
        };
        match why {
            Some(why) => ProbeResult::Failed { why, wrong_version: true },
            None => ProbeResult::Passed { version },
        }
    }

    /// Each server may have another build time: what matters is whether that is before the start of the run.
    fn wrong_time(&self, Built { run_began, is_new }: Built, at: BuiltAt) -> Option<String> {
        let is_old = at.is_before(run_began);
        let mut wanted = self.versions.iter().filter_map(|one| BuiltAt::read(one)).peekable();
        if is_new && is_old {
            return Some(format!("was built {at}, before the run began"));
        }
        let fits = wanted.peek().is_none() || wanted.any(|one| one.is_before(run_began) == is_old);
        let (its, other) = if is_old { ("before", "after") } else { ("after", "before") };
        let its_side = format!("was built {at}, {its} the run began");
        (!fits).then(|| format!("{its_side}; the servers in service were built {other} it began"))
    }

    fn wrong_name(&self, version: Option<&str>) -> Option<String> {
        if self.versions.is_empty() || version.is_some_and(|version| self.versions.contains(version)) {
            return None;
        }
        let wanted = self.versions.iter().cloned().collect::<Vec<_>>().join(" or ");
        Some(format!("runs {} and not {wanted}", version.unwrap_or("an unnamed version")))
    }
}

/// The result for a member that is not healthy.
pub(crate) fn failed(why: String) -> ProbeResult {
    ProbeResult::Failed { why, wrong_version: false }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(versions: &[&str], built: Option<bool>, shown: &str) -> Option<String> {
        let versions = versions.iter().map(|version| (*version).to_owned()).collect();
        let built = built.map(|is_new| Built { run_began: "2026-11-21T07:30:00.5Z".parse().unwrap(), is_new });
        match (MustShow { versions, built }).judge(Ok(Some(shown.to_owned()))) {
            ProbeResult::Passed { version } => {
                assert_eq!(version.as_deref(), Some(shown));
                None
            }
            ProbeResult::Failed { why, wrong_version } => Some(why).filter(|_| wrong_version),
        }
    }

    const OLD: &str = "2026-11-21T07:29:00Z";
    const NEW: &str = "2026-11-21T07:31:00Z";

    #[test]
    fn a_version_must_be_one_of_the_wanted_ones() {
        assert_eq!(judged(&[], None, "v1"), None);
        assert_eq!(judged(&["v1", "v2"], None, "v2"), None);
        assert_eq!(judged(&["v1", "v2"], None, "v3").as_deref(), Some("runs v3 and not v1 or v2"));
    }

    #[test]
    fn a_deployed_server_must_be_built_after_the_run_began() {
        let old = judged(&[], Some(true), OLD);
        assert_eq!(old.as_deref(), Some("was built 2026-11-21T07:29:00Z, before the run began"));
        assert_eq!(judged(&[], Some(true), NEW), None);
        assert_eq!(judged(&[], Some(false), OLD), None);
        // Without a run there is nothing to compare with.
        assert_eq!(judged(&[], None, OLD), None);
    }

    #[test]
    fn a_server_comes_back_only_if_it_and_the_servers_in_service_were_built_on_the_same_side_of_the_start() {
        assert_eq!(judged(&["2026-11-01T00:00:00Z"], Some(false), OLD), None);
        assert_eq!(judged(&["Sat, 21 Nov 2026 09:00:00 GMT"], Some(false), NEW), None);
        let why = judged(&[OLD], Some(false), NEW).unwrap();
        assert_eq!(
            why,
            "was built 2026-11-21T07:31:00Z, after the run began; the servers in service were built before it began"
        );
        assert!(judged(&[NEW], Some(false), OLD).is_some());
    }
}
