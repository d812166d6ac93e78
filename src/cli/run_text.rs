//! Parts of a run that several texts have.

use jiff::{SignedDuration, Timestamp};

use crate::api::{RunStatus, RunView, StepStatus, StepView};

/// The version of a run, as ` to v2`; empty if it has none.
pub(super) fn version(run: &RunView) -> String {
    run.version.as_deref().map(|version| format!(" to {version}")).unwrap_or_default()
}

/// How long a step took, or has taken so far; `None` if that is not known.
pub(super) fn took(step: &StepView, run: &RunView, now: Timestamp) -> Option<SignedDuration> {
    if step.state == StepStatus::Skipped {
        return None;
    }
    let ends = match run.state {
        RunStatus::Running | RunStatus::Aborting => Some(now),
        _ => run.finished,
    };
    Some(step.ended.or(ends)?.duration_since(step.began?))
}
