//! Judging what a server says of its version.

use std::collections::BTreeSet;

use jiff::Timestamp;

use crate::engine::prober::Answer;
use crate::farm::{BuiltAt, Hold};
use crate::plan::verify::ProbeResult;
use crate::plan::{Run, RunState};
use crate::state::State;

/// What a hold's members must show beyond being well.
#[derive(Debug, Clone)]
pub(crate) struct MustShow {
    /// Any of these; any at all, where empty.
    versions: BTreeSet<String>,
    /// Where they tell when they were built.
    built: Option<Built>,
}

/// What is known of when they should have been.
#[derive(Debug, Clone, Copy)]
struct Built {
    run_began: Timestamp,
    /// The run has worked on them, and does not put back what was: they were built after its beginning.
    is_new: bool,
}

impl MustShow {
    pub(crate) fn of(hold: &Hold, versions: &BTreeSet<String>, state: &State) -> Self {
        let run = hold.owner.run().and_then(|id| state.runs.get(&id));
        let tells = run.filter(|run| run.plan.verify.tells_build());
        let worked_on = |run: &Run| run.worked_on().any(|group| run.holds.get(group) == Some(&hold.id));
        let built =
            tells.map(|run| Built { run_began: run.started, is_new: run.state == RunState::Running && worked_on(run) });
        Self { versions: versions.clone(), built }
    }

    /// What members of a run must show that are in traffic: what it has deployed, or nothing in particular.
    pub(crate) fn in_traffic(run: &Run, deployed: bool) -> Self {
        let verify = &run.plan.verify;
        let versions = if deployed { run.must_show() } else { BTreeSet::new() };
        let built = verify.tells_build().then_some(Built { run_began: run.started, is_new: deployed });
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

    /// Each server may have been built at a time of its own: what counts is whether that was before the run.
    fn wrong_time(&self, Built { run_began, is_new }: Built, at: BuiltAt) -> Option<String> {
        let is_old = at.is_before(run_began);
        let mut wanted = self.versions.iter().filter_map(|one| BuiltAt::read(one)).peekable();
        if is_new && is_old {
            return Some(format!("was built {at}, before the run began"));
        }
        let fits = wanted.peek().is_none() || wanted.any(|one| one.is_before(run_began) == is_old);
        let (its, other) = if is_old { ("before", "after") } else { ("after", "before") };
        (!fits).then(|| format!("was built {at}, {its} the run began, and what is in service {other} that"))
    }

    fn wrong_name(&self, version: Option<&str>) -> Option<String> {
        if self.versions.is_empty() || version.is_some_and(|version| self.versions.contains(version)) {
            return None;
        }
        let wanted = self.versions.iter().cloned().collect::<Vec<_>>().join(" or ");
        Some(format!("runs {} and not {wanted}", version.unwrap_or("an unnamed version")))
    }
}

/// A member that is not well.
pub(crate) fn failed(why: String) -> ProbeResult {
    ProbeResult::Failed { why, wrong_version: false }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(versions: &[&str], built: Option<bool>, told: &str) -> Option<String> {
        let versions = versions.iter().map(|version| (*version).to_owned()).collect();
        let built = built.map(|is_new| Built { run_began: "2026-11-21T07:30:00.5Z".parse().unwrap(), is_new });
        match (MustShow { versions, built }).judge(Ok(Some(told.to_owned()))) {
            ProbeResult::Passed { version } => {
                assert_eq!(version.as_deref(), Some(told));
                None
            }
            ProbeResult::Failed { why, wrong_version } => Some(why).filter(|_| wrong_version),
        }
    }

    const OLD: &str = "2026-11-21T07:29:00Z";
    const NEW: &str = "2026-11-21T07:31:00Z";

    #[test]
    fn a_name_must_be_one_of_those_that_may_be_shown() {
        assert_eq!(judged(&[], None, "v1"), None);
        assert_eq!(judged(&["v1", "v2"], None, "v2"), None);
        assert_eq!(judged(&["v1", "v2"], None, "v3").as_deref(), Some("runs v3 and not v1 or v2"));
    }

    #[test]
    fn what_was_worked_on_was_built_after_the_run_began() {
        let old = judged(&[], Some(true), OLD);
        assert_eq!(old.as_deref(), Some("was built 2026-11-21T07:29:00Z, before the run began"));
        assert_eq!(judged(&[], Some(true), NEW), None);
        assert_eq!(judged(&[], Some(false), OLD), None);
        // Without a run there is nothing to compare with.
        assert_eq!(judged(&[], None, OLD), None);
    }

    #[test]
    fn what_comes_back_was_built_on_the_same_side_of_that_as_what_serves() {
        assert_eq!(judged(&["2026-11-01T00:00:00Z"], Some(false), OLD), None);
        assert_eq!(judged(&["Sat, 21 Nov 2026 09:00:00 GMT"], Some(false), NEW), None);
        let why = judged(&[OLD], Some(false), NEW).unwrap();
        assert_eq!(why, "was built 2026-11-21T07:31:00Z, after the run began, and what is in service before that");
        assert!(judged(&[NEW], Some(false), OLD).is_some());
    }
}
