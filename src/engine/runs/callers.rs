//! Callers that attend to runs. A caller keeps a stream open while it works, and teeterd notices its end. Meanwhile
//! only this caller may report on the work.

use std::sync::Arc;
use std::time::Duration;

use crate::engine::error::{EngineError, Message};
use crate::engine::record::ledger::Ledger;
use crate::engine::{Engine, Requester};
use crate::farm::RunId;
use crate::plan::{Attendant, CallerState, Run, RunState, Step};
use crate::state::{Change, event};

/// A caller attends to a run until this is dropped.
pub struct Attendance {
    engine: Arc<Engine>,
    run: RunId,
}

/// How a caller describes itself when it begins to attend.
#[derive(Debug, Clone, Default)]
pub struct Introduction {
    /// A word that marks the reports of this caller.
    pub key: Option<String>,
    /// Its terminal, and the host that it is used from.
    pub place: Option<String>,
    /// The command that it runs.
    pub what: Option<String>,
}

/// What allows a caller to report on the work of a run.
#[derive(Debug, Clone, Default)]
pub struct Claim {
    /// The word that the attending caller has named.
    pub key: Option<String>,
    /// Report even while another caller works.
    pub force: bool,
}

impl Engine {
    /// Begins to attend to a run.
    ///
    /// # Errors
    /// There is no such run, or another caller attends to it.
    pub async fn attend(
        self: &Arc<Self>,
        run: RunId,
        introduction: Introduction,
        by: &Requester,
    ) -> Result<Attendance, EngineError> {
        let Introduction { key, place, what } = introduction;
        let claim = Claim { key: key.clone(), force: false };
        self.await_end(run, |run| self.other_caller(run, &claim, by)).await?;
        // Locked to the end, so that of two callers only one begins to attend.
        let ledger = self.record.lock().await;
        let found = ledger.run(run).await?;
        let known = self.attendant(&found);
        if let Some(other) = known.as_ref().filter(|other| !is_same_caller(other, &claim, by)) {
            let text = format!("{other}, and attends to run {run}: only one caller at a time may");
            let hint = format!(
                "end that command first: run {run} stays at its step; a caller that was lost in a restart of teeterd is \
                 waited for during {} s",
                CALLERS_TAKE.as_secs()
            );
            return Err(EngineError::Busy(Message::new(text).hint(hint)));
        }
        let since = known.map_or_else(|| self.clock.now(), |known| known.since);
        let (user, uid, pid) = (by.caller.person().to_owned(), by.caller.uid, by.caller.pid);
        let attendant = Attendant { user, uid, pid, key, place, what, since };
        let mut memory = self.memory();
        let remembered = memory.run(run);
        remembered.attending.get_or_insert((attendant, 0)).1 += 1;
        remembered.attended = true;
        drop((memory, ledger));
        self.fleet.nudge.notify_one();
        Ok(Attendance { engine: Arc::clone(self), run })
    }

    /// The caller that attends to a run now. For a while after a restart it is the caller that attended before.
    fn attendant(&self, run: &Run) -> Option<Attendant> {
        let here = self.memory().attendant(run.id);
        here.or_else(|| run.attended.clone().filter(|_| run.caller == CallerState::Here && self.awaits_caller(run)))
    }

    /// Whether a caller that attended to a run before teeterd was restarted may still connect again.
    fn awaits_caller(&self, run: &Run) -> bool {
        !self.memory().run(run.id).attended && self.begun.elapsed() < CALLERS_TAKE
    }

    /// The other caller whose work a report would cut off. A bake is not the work of a caller: a report may cut it
    /// short.
    pub(crate) fn caller_at_work(&self, run: &Run, claim: &Claim, by: &Requester) -> Option<Attendant> {
        let at_work = run.state == RunState::Running && matches!(run.current(), Some(Step::Work { .. }));
        self.other_caller(run, claim, by).filter(|_| at_work)
    }

    /// Waits a moment if another caller is at work: teeterd learns that a caller has ended only when its connection
    /// closes.
    pub(crate) async fn await_departure(&self, id: RunId, claim: &Claim, by: &Requester) -> Result<(), EngineError> {
        self.await_end(id, |run| self.caller_at_work(run, claim, by)).await
    }

    /// Waits a moment for the end of the caller that `other` finds.
    async fn await_end(&self, id: RunId, other: impl Fn(&Run) -> Option<Attendant>) -> Result<(), EngineError> {
        let mut ticks = self.ticks();
        let gone = async {
            loop {
                ticks.borrow_and_update();
                let run = self.record.lock().await.run(id).await?;
                if other(&run).is_none() {
                    return Ok(());
                }
                let _ = ticks.changed().await;
            }
        };
        tokio::time::timeout(DEPARTURE_TAKES, gone).await.unwrap_or(Ok(()))
    }

    /// The other caller that attends to a run.
    fn other_caller(&self, run: &Run, claim: &Claim, by: &Requester) -> Option<Attendant> {
        self.attendant(run).filter(|attendant| !is_same_caller(attendant, claim, by))
    }

    /// Records callers that have begun to attend to runs, and callers that have gone. Returns whether there were any.
    pub(crate) async fn note_callers(&self, ledger: &mut Ledger) -> Result<bool, EngineError> {
        let now = self.clock.now();
        let (mut changes, mut events) = (Vec::new(), Vec::new());
        for run in ledger.state.runs.values().filter(|run| run.is_active()) {
            let here = self.memory().attendant(run.id);
            let (caller, text) = match (&here, run.caller) {
                (Some(_), CallerState::Never) => (CallerState::Here, None),
                // Stored by an earlier teeterd, which did not record the caller.
                (Some(_), CallerState::Here) if run.attended.is_none() => (CallerState::Here, None),
                (Some(here), CallerState::Gone { .. }) => {
                    let same = run.attended.as_ref().is_some_and(|before| before.key == here.key);
                    let text = if same { "its caller is back".to_owned() } else { format!("taken over: {here}") };
                    (CallerState::Here, Some(text))
                }
                // After a restart callers need a moment to connect again.
                (None, CallerState::Here) if !self.awaits_caller(run) => {
                    (CallerState::Gone { at: now }, Some("its caller has gone".to_owned()))
                }
                _ => continue,
            };
            // The caller of a failed run knows of the failure and may go: that is no news.
            let text = text.filter(|_| matches!(run.state, RunState::Running | RunState::Aborting));
            events.extend(text.map(|text| event(now, "run.caller", text, Some(run.id), None)));
            let attended = here.or_else(|| run.attended.clone());
            changes.push(Change::PutRun(Box::new(Run { caller, attended, ..run.clone() })));
        }
        if changes.is_empty() {
            return Ok(false);
        }
        ledger.write(changes, events).await?;
        Ok(true)
    }
}

impl Drop for Attendance {
    fn drop(&mut self) {
        let mut memory = self.engine.memory();
        let run = memory.run(self.run);
        if let Some((_, connections)) = &mut run.attending {
            *connections -= 1;
            if *connections == 0 {
                run.attending = None;
            }
        }
        drop(memory);
        self.engine.fleet.nudge.notify_one();
    }
}

/// Whether a claim comes from the attending caller.
fn is_same_caller(attendant: &Attendant, claim: &Claim, by: &Requester) -> bool {
    attendant.is(by.caller.uid, by.caller.pid, claim.key.as_deref())
}

/// How long callers may take to connect again after a restart: they try every half second.
const CALLERS_TAKE: Duration = Duration::from_secs(5);

/// How long teeterd may take to notice the end of a caller.
const DEPARTURE_TAKES: Duration = Duration::from_secs(1);
