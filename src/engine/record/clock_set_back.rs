//! Corrects stored times after the wall clock was set back while no teeterd ran. Without that, stored times would lie
//! in the future, and teeterd would wait until the clock reaches them.

use jiff::{SignedDuration, Timestamp};

use crate::engine::error::EngineError;
use crate::engine::record::Record;
use crate::engine::record::ledger::Ledger;
use crate::farm::Hold;
use crate::plan::{CallerState, Run, Undo};
use crate::state::{Change, event};
use crate::store::EventQuery;

impl Record {
    /// Moves the expiry times of holds, and the times from which drains and runs count, back by as much as the clock
    /// was set back. That amount is the difference between the time of the last recorded event and the time now.
    pub(crate) async fn correct_clock_set_back(&self, ledger: &mut Ledger) -> Result<(), EngineError> {
        let now = self.platform.clock.now();
        let last = self.events(EventQuery { limit: 1, ..EventQuery::default() }).await?;
        let Some(by) = last.last().map(|last| last.at.duration_since(now)).filter(|by| *by > A_MOMENT) else {
            return Ok(());
        };
        let revision = ledger.next_revision();
        let holds = ledger.state.holds.values().map(|hold| hold_moved(hold, by, revision));
        let runs = ledger.state.runs.values().filter(|run| run.is_active()).map(|run| run_moved(run, by));
        let holds = holds.map(|hold| Change::PutHold(Box::new(hold)));
        let changes: Vec<Change> = holds.chain(runs.map(|run| Change::PutRun(Box::new(run)))).collect();
        if changes.is_empty() {
            return Ok(());
        }
        let text = format!(
            "the clock was set back by {by:#}: the expiry of holds and the times of drains and runs were moved by as \
             much"
        );
        ledger.write(changes, vec![event(now, "clock", text, None, None)]).await?;
        Ok(())
    }
}

fn hold_moved(hold: &Hold, by: SignedDuration, revision: u64) -> Hold {
    let earlier = |at: Timestamp| earlier(at, by);
    let stage = hold.stage.moved(&earlier);
    Hold { since: earlier(hold.since), expires: hold.expires.map(earlier), stage, revision, ..hold.clone() }
}

fn run_moved(run: &Run, by: SignedDuration) -> Run {
    let mut run = run.clone();
    run.started = earlier(run.started, by);
    run.step.since = earlier(run.step.since, by);
    for undo in &mut run.step.undo {
        if let Undo::Put(hold) = undo {
            **hold = hold_moved(hold, by, hold.revision);
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

/// Time synchronization corrects clocks by less than this all the time; such a step delays nothing noticeably.
const A_MOMENT: SignedDuration = SignedDuration::from_secs(5);
