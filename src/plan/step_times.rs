//! When a run began and ended each of its steps.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::run::Run;

/// When a step began and ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepTimes {
    /// When the run came to the step. A step that is tried again keeps the time of the first attempt.
    pub began: Timestamp,
    /// When the run went on from the step; `None` while it is there.
    pub ended: Option<Timestamp>,
}

impl Run {
    /// Records the times of the steps that the run has left and entered since `before`.
    pub(crate) fn record_step_times(&mut self, before: &Self, now: Timestamp) {
        if self.plan.steps != before.plan.steps {
            // A rollback replaces the current step and those after it.
            self.times.retain(|step, _| *step < self.cursor);
        } else if self.cursor > before.cursor {
            // Skipped steps, between the two, have no time.
            if let Some(times) = self.times.get_mut(&before.cursor) {
                times.ended = Some(now);
            }
        } else if self.cursor < before.cursor {
            // The run does its work from this step on once more.
            self.times.retain(|step, _| *step < self.cursor);
        }
        if self.is_active() && self.current().is_some() {
            self.times.entry(self.cursor).or_insert(StepTimes { began: now, ended: None });
        } else if let Some(times) = self.times.get_mut(&self.cursor) {
            // The run ends within its step.
            times.ended.get_or_insert(now);
        }
    }
}
