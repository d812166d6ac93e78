//! Who attends to a run: a caller keeps a stream open while it works, and its end is noticed.

use std::sync::Arc;
use std::time::Duration;

use super::Engine;
use super::error::EngineError;
use super::ledger::{Ledger, event};
use crate::farm::RunId;
use crate::plan::{CallerState, Run, RunState};
use crate::store::Change;

/// Somebody attends to a run until this is dropped.
pub struct Attendance {
    engine: Arc<Engine>,
    run: RunId,
}

impl Engine {
    /// Begins to attend to a run.
    ///
    /// # Errors
    /// There is no such run.
    pub async fn attend(self: &Arc<Self>, run: RunId) -> Result<Attendance, EngineError> {
        self.run_view(run).await?;
        *self.memory().attending.entry(run).or_default() += 1;
        self.nudge.notify_one();
        Ok(Attendance { engine: Arc::clone(self), run })
    }

    /// Records who has come to attend to a run, and who has gone.
    pub(super) async fn note_callers(&self, ledger: &mut Ledger) -> Result<bool, EngineError> {
        let now = self.clock.now();
        let (mut changes, mut events) = (Vec::new(), Vec::new());
        for run in ledger.state.runs.values().filter(|run| run.is_active()) {
            let here = self.memory().attending.contains_key(&run.id);
            let (caller, text) = match (here, run.caller) {
                (true, CallerState::Never) => (CallerState::Here, None),
                (true, CallerState::Gone { .. }) => (CallerState::Here, Some("its caller is back")),
                // After a restart callers need a moment to find teeterd again.
                (false, CallerState::Here) if self.begun.elapsed() >= CALLERS_TAKE => {
                    (CallerState::Gone { at: now }, Some("its caller has gone"))
                }
                _ => continue,
            };
            // A run that has failed has told its caller so, and needs nobody.
            let text = text.filter(|_| matches!(run.state, RunState::Running | RunState::Aborting));
            events.extend(text.map(|text| event(now, "run.caller", text.to_owned(), Some(run.id), None)));
            changes.push(Change::PutRun(Box::new(Run { caller, ..run.clone() })));
        }
        if changes.is_empty() {
            return Ok(false);
        }
        self.write(ledger, changes, events).await?;
        Ok(true)
    }
}

impl Drop for Attendance {
    fn drop(&mut self) {
        let mut memory = self.engine.memory();
        if let Some(count) = memory.attending.get_mut(&self.run) {
            *count -= 1;
            if *count == 0 {
                memory.attending.remove(&self.run);
            }
        }
        drop(memory);
        self.engine.nudge.notify_one();
    }
}

/// They try every half second.
const CALLERS_TAKE: Duration = Duration::from_secs(5);
