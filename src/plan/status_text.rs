//! What a run does, in words for an operator whose request it refuses.

use super::run::{CallerState, Run, RunState};
use super::step::Step;
use super::strategy::Strategy;

impl Run {
    /// The present activity, as the end of a sentence that begins with `run 3`.
    pub fn status_text(&self) -> String {
        let farm = &self.plan.farm;
        let does = match (self.plan.strategy, &self.rollback) {
            (_, Some(_)) => "is rolling back the traffic of",
            (Strategy::Flip, None) => "is switching the traffic of",
            _ => "is deploying to",
        };
        let at = self.current().map(|step| format!(" at `{step}`")).unwrap_or_default();
        match (&self.state, self.current()) {
            (RunState::Done, _) => "is done".to_owned(),
            (RunState::RolledBack, _) => "was rolled back".to_owned(),
            (RunState::Aborted, _) => "was aborted".to_owned(),
            (RunState::Aborting, _) => format!("is being aborted, and brings back the healthy members of {farm}"),
            (RunState::Failed { .. }, _) => format!("has failed{at} and keeps {farm} until it goes on or is aborted"),
            (RunState::Running, Some(Step::Work { group, .. })) if self.caller != CallerState::Here => {
                format!("{does} {farm} and waits for the work on group {group}")
            }
            (RunState::Running, _) if self.paused => format!("{does} {farm} and is paused{at}"),
            (RunState::Running, _) => format!("{does} {farm}"),
        }
    }
}
