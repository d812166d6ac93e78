//! How a run stands, in words for somebody whom it is in the way.

use super::run::{CallerState, Run, RunState};
use super::steps::{Step, Strategy};

impl Run {
    /// What it does now, as the end of a sentence that begins with `run 3`.
    pub fn stands(&self) -> String {
        let farm = &self.plan.farm;
        let does = match (self.plan.strategy, &self.rollback) {
            (_, Some(_)) => "is turning back the traffic of",
            (Strategy::Flip, None) => "is turning the traffic of",
            _ => "is deploying to",
        };
        let at = self.current().map(|step| format!(" at `{step}`")).unwrap_or_default();
        match (&self.state, self.current()) {
            (RunState::Done, _) => "is done".to_owned(),
            (RunState::RolledBack, _) => "was rolled back".to_owned(),
            (RunState::Aborted, _) => "was aborted".to_owned(),
            (RunState::Aborting, _) => format!("is being aborted, and brings back what is well of {farm}"),
            (RunState::Failed { .. }, _) => format!("has failed{at} and has {farm} until it goes on or is aborted"),
            (RunState::Running, Some(Step::Work { group, .. })) if self.caller != CallerState::Here => {
                format!("{does} {farm} and waits for the work on group {group}")
            }
            (RunState::Running, _) if self.paused => format!("{does} {farm} and is paused{at}"),
            (RunState::Running, _) => format!("{does} {farm}"),
        }
    }
}
