//! A wall clock that was set back while no teeterd ran: what is stored is then of the future, and would be waited for.

use jiff::{SignedDuration, Timestamp};

use crate::engine::error::EngineError;
use crate::engine::record::Record;
use crate::engine::record::ledger::Ledger;
use crate::farm::Hold;
use crate::plan::{CallerState, Run, Undo};
use crate::state::{Change, event};
use crate::store::EventQuery;

impl Record {
    /// Moves the ends of holds, and what drains and runs count from, to where they would be had the clock always been
    /// as it is now. How far it went back is known from the last thing that was recorded.
    pub(crate) async fn set_back(&self, ledger: &mut Ledger) -> Result<(), EngineError> {
        let now = self.platform.clock.now();
        let last = self.events(EventQuery { limit: 1, ..EventQuery::default() }).await?;
        let Some(by) = last.last().map(|last| last.at.duration_since(now)).filter(|by| *by > A_MOMENT) else {
            return Ok(());
        };
        let revision = ledger.next_revision();
        let holds = ledger.state.holds.values().map(|hold| hold_at(hold, by, revision));
        let runs = ledger.state.runs.values().filter(|run| run.is_active()).map(|run| run_at(run, by));
        let holds = holds.map(|hold| Change::PutHold(Box::new(hold)));
        let changes: Vec<Change> = holds.chain(runs.map(|run| Change::PutRun(Box::new(run)))).collect();
        if changes.is_empty() {
            return Ok(());
        }
        let text = format!(
            "the clock was set back by {by:#}: the ends of holds, and what drains and runs wait for, go with it"
        );
        ledger.write(changes, vec![event(now, "clock", text, None, None)]).await?;
        Ok(())
    }
}

fn hold_at(hold: &Hold, by: SignedDuration, revision: u64) -> Hold {
    let earlier = |at: Timestamp| earlier(at, by);
    let stage = hold.stage.moved(&earlier);
    Hold { since: earlier(hold.since), expires: hold.expires.map(earlier), stage, revision, ..hold.clone() }
}

fn run_at(run: &Run, by: SignedDuration) -> Run {
    let mut run = run.clone();
    run.started = earlier(run.started, by);
    run.step.since = earlier(run.step.since, by);
    for undo in &mut run.step.undo {
        if let Undo::Put(hold) = undo {
            **hold = hold_at(hold, by, hold.revision);
        }
    }
    if let CallerState::Gone { at } = &mut run.caller {
        *at = earlier(*at, by);
    }
    run
}

fn earlier(at: Timestamp, by: SignedDuration) -> Timestamp {
    at.checked_sub(by).unwrap_or(Timestamp::MIN)
}

/// Clocks are put right by less than this all the time, and nobody waits for it.
const A_MOMENT: SignedDuration = SignedDuration::from_secs(5);
