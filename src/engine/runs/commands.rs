//! Commands about active runs: work done or failed, pause, retry, abort, rollback.

use crate::engine::error::{EngineError, Message};
use crate::engine::runs::callers::Claim;
use crate::engine::{Engine, Requester};
use crate::farm::RunId;
use crate::plan::machine::{self, WorkReport};
use crate::plan::{Attendant, RunState};

impl Engine {
    /// Takes the report of a caller on its work, or tries a failed step again.
    ///
    /// # Errors
    /// There is no such run, it does not wait for this, or another caller is at its work.
    pub async fn advance(
        &self,
        id: RunId,
        step: Option<usize>,
        report: WorkReport,
        claim: &Claim,
        by: &Requester,
    ) -> Result<(), EngineError> {
        if !claim.force {
            self.await_departure(id, claim, by).await?;
        }
        let mut ledger = self.record.begin(by).await?;
        let run = ledger.run(id).await?;
        let mut what = match &report {
            WorkReport::Done => "advance".to_owned(),
            WorkReport::Failed(why) => format!("advance: failed: {why}"),
        };
        if let Some(attendant) = self.caller_at_work(&run, claim, by) {
            if !claim.force {
                return Err(not_yours(id, &attendant));
            }
            what.push_str(&format!(" (by force, while {attendant})"));
        }
        let outcome = machine::handle_report(&run, step, report, self.clock.now())?;
        self.carry_out(&mut ledger, &run, outcome, &self.fleet.reports(), Some((&by.caller, what))).await?;
        Ok(())
    }

    /// Ends a run. The servers that it holds come back if they are healthy.
    ///
    /// # Errors
    /// There is no such run, or it is done.
    pub async fn abort(&self, id: RunId, by: &Requester) -> Result<(), EngineError> {
        let mut ledger = self.record.begin(by).await?;
        let run = ledger.run(id).await?;
        if run.state == RunState::Done {
            return Err(machine::Illegal::Ended(id).into());
        }
        let reports = self.fleet.reports();
        let facts = self.facts(&run, &ledger, &reports);
        let outcome = machine::handle_abort(&run, &facts, self.clock.now());
        self.carry_out(&mut ledger, &run, outcome, &reports, Some((&by.caller, "abort".to_owned()))).await?;
        Ok(())
    }

    /// Pauses a run before its next step, or lets it go on.
    ///
    /// # Errors
    /// There is no such run, or it has ended.
    pub async fn pause(&self, id: RunId, paused: bool, by: &Requester) -> Result<(), EngineError> {
        let mut ledger = self.record.begin(by).await?;
        let run = ledger.run(id).await?;
        let outcome = machine::handle_pause(&run, paused, self.clock.now())?;
        let what = if paused { "pause" } else { "resume" };
        self.carry_out(&mut ledger, &run, outcome, &self.fleet.reports(), Some((&by.caller, what.to_owned()))).await?;
        Ok(())
    }

    /// Tries a failed step again.
    ///
    /// # Errors
    /// There is no such run, or it has not failed.
    pub async fn retry(&self, id: RunId, by: &Requester) -> Result<(), EngineError> {
        let mut ledger = self.record.begin(by).await?;
        let run = ledger.run(id).await?;
        let outcome = machine::handle_retry(&run, self.clock.now())?;
        self.carry_out(&mut ledger, &run, outcome, &self.fleet.reports(), Some((&by.caller, "retry".to_owned())))
            .await?;
        Ok(())
    }

    /// Rolls a run's flip back.
    ///
    /// # Errors
    /// There is no such run, it has switched nothing, or it is too late.
    pub async fn rollback(&self, id: RunId, why: &str, by: &Requester) -> Result<(), EngineError> {
        let mut ledger = self.record.begin(by).await?;
        let run = ledger.run(id).await?;
        let reports = self.fleet.reports();
        let facts = self.facts(&run, &ledger, &reports);
        let outcome = machine::handle_rollback(&run, why, &facts, self.clock.now())?;
        self.carry_out(&mut ledger, &run, outcome, &reports, Some((&by.caller, "rollback".to_owned()))).await?;
        Ok(())
    }
}

/// The refusal of a report while another caller works, with what to type instead.
fn not_yours(id: RunId, attendant: &Attendant) -> EngineError {
    let text = format!(
        "run {id} is being worked on: {attendant}, and reports by itself when its work has ended. Nothing was changed"
    );
    let hint = format!(
        "`teeter show {id}` shows its state, `teeter pause {id}` pauses it before its next step, `teeter abort {id}` \
         ends it; `teeter advance {id} --force` reports in its place, and ends its hook"
    );
    EngineError::Busy(Message::new(text).hint(hint))
}
