//! Changes made outside teeter to held servers and routes: recorded, and reasserted, yielded to or left by policy.

use std::collections::BTreeSet;

use crate::engine::Engine;
use crate::engine::error::EngineError;
use crate::engine::fleet::reports::Reports;
use crate::engine::record::ledger::Ledger;
use crate::farm::{Baseline, Entry, Hold, OnDrift, Overruled, SeenServer};
use crate::haproxy::{AdminState, MapValue, ServerRef};
use crate::plan::machine::{self, Outcome};
use crate::reconcile::Drift;
use crate::state::{Change, Effects, NewEvent, event};

/// What is stored about one change that was made outside teeter.
#[derive(Default)]
struct Noted {
    changes: Vec<Change>,
    events: Vec<NewEvent>,
}

impl Engine {
    /// Records changes made outside teeter, and what follows from them.
    pub(crate) async fn note_drifts(&self, ledger: &mut Ledger, reports: &Reports) -> Result<(), EngineError> {
        for (name, report) in reports {
            let entry = |server: &ServerRef| Entry { instance: name.clone(), server: server.clone() };
            let known = self.memory().instances.entry(name.clone()).or_default().drifts;
            for (number, drift) in report.drifts.iter().enumerate().skip(known) {
                let noted = match drift {
                    Drift::Server { server, was, now, then } => {
                        let entry = entry(server);
                        match then {
                            _ if held_state(&entry, ledger).is_none() => self.event_only(format!(
                                "{}, when teeter had begun to bring it back: it is brought back",
                                set_outside(&entry, *was, *now)
                            )),
                            OnDrift::Reassert => self.reasserted(entry, *was, *now, ledger),
                            OnDrift::Yield => {
                                let what = set_outside(&entry, *was, *now);
                                let why = "(on_drift = \"yield\")";
                                self.yielded(&entry, *now, &what, why, ledger, reports)
                            }
                            OnDrift::Alarm => self.alarmed(entry, *was, *now, ledger, reports),
                        }
                    }
                    Drift::AddedAgain { server, is: added_as } => {
                        self.server_again(entry(server), added_as.clone(), ledger)
                    }
                    Drift::TakenOver { backend, server } => {
                        let entry = entry(server);
                        let what = format!(
                            "the traffic was switched to backend {backend} outside teeter, and {entry} serves there"
                        );
                        let why = "rather than leave no server";
                        self.yielded(&entry, AdminState::Ready, &what, why, ledger, reports)
                    }
                    Drift::File { map, what } => self.event_only(format!("the file of map {map}: {what}")),
                    Drift::Map { map, key, was, now } => {
                        let shown = |value: Option<&str>| value.unwrap_or("not there").to_owned();
                        let (was, now) = (shown(was.as_ref().map(MapValue::as_str)), shown(now.as_deref()));
                        self.event_only(format!(
                            "a change outside teeter set {key} in map {map} of HAProxy {name} from {was} to {now}: \
                             corrected"
                        ))
                    }
                };
                // One by one: what follows from a change depends on what followed from the change before.
                let note = || {
                    self.memory().instances.entry(name.clone()).or_default().drifts = number + 1;
                };
                ledger.write_once(noted.changes, noted.events, note).await?;
            }
        }
        Ok(())
    }

    /// Forgets states that were set against a hold and left so, once another process runs, which does not have them.
    pub(crate) async fn forget_overruled(&self, ledger: &mut Ledger, reports: &Reports) -> Result<(), EngineError> {
        let process = |entry: &Entry| reports.get(&entry.instance)?.seen.as_ref().map(|seen| seen.process());
        let mut noted = Noted::default();
        for (entry, was) in &ledger.state.baselines {
            let Some(overruled) = was.overruled else { continue };
            if process(entry).is_some_and(|process| !process.is_same(&overruled.process)) {
                let text = format!("HAProxy {} is another process: {entry} is held again", entry.instance);
                noted.events.push(self.drift_event(entry, text, ledger));
                noted.changes.push(Change::PutBaseline(entry.clone(), Baseline { overruled: None, ..was.clone() }));
            }
        }
        if noted.changes.is_empty() {
            return Ok(());
        }
        ledger.write(noted.changes, noted.events).await?;
        Ok(())
    }

    /// A stricter state is kept for the time after the last hold; a less strict one has been corrected.
    fn reasserted(&self, entry: Entry, was: AdminState, now: AdminState, ledger: &Ledger) -> Noted {
        let then = if now > was { format!("it stays in {now} after its last hold") } else { "corrected".to_owned() };
        let text = format!("{}: {then}", set_outside(&entry, was, now));
        let events = vec![self.drift_event(&entry, text, ledger)];
        let before = ledger.state.baselines.get(&entry).cloned();
        let state = state_after_holds(&entry, now, ledger);
        let changes = before.map(|before| Change::PutBaseline(entry, Baseline { state, ..before }));
        Noted { changes: changes.into_iter().collect(), events }
    }

    /// The server is left as it was set, until another change or a new process has it as the hold wants.
    fn alarmed(&self, entry: Entry, was: AdminState, now: AdminState, ledger: &Ledger, reports: &Reports) -> Noted {
        let wanted = held_state(&entry, ledger) == Some(now);
        let then = match wanted {
            true => "as the hold wants it".to_owned(),
            false => format!("left in {now} (on_drift = \"alarm\")"),
        };
        let text = format!("{}: {then}", set_outside(&entry, was, now));
        let events = vec![self.drift_event(&entry, text, ledger)];
        let before = ledger.state.baselines.get(&entry).cloned();
        let before = before.or_else(|| reports.server(&entry).map(SeenServer::baseline));
        let seen = reports.get(&entry.instance).and_then(|report| report.seen.as_ref()).filter(|_| !wanted);
        let overruled = seen.map(|seen| Overruled { state: now, process: seen.process() });
        let state = state_after_holds(&entry, now, ledger);
        let changes = before.map(|before| Change::PutBaseline(entry, Baseline { state, overruled, ..before }));
        Noted { changes: changes.into_iter().collect(), events }
    }

    /// teeter lets go of the server and of the servers that track it: they leave every hold, and a run that holds them
    /// stops. `what` says what happened, `because` why teeter gives way.
    fn yielded(
        &self,
        entry: &Entry,
        now: AdminState,
        what: &str,
        because: &str,
        ledger: &Ledger,
        reports: &Reports,
    ) -> Noted {
        let at = self.clock.now();
        let text = format!("{what}: teeter lets go of it {because}");
        let mut noted = Noted { changes: Vec::new(), events: vec![self.drift_event(entry, text, ledger)] };
        let state = &ledger.state;
        if let Some(before) = state.baselines.get(entry) {
            let baseline = Baseline { state: now, overruled: None, ..before.clone() };
            noted.changes.push(Change::PutBaseline(entry.clone(), baseline));
        }
        let freed = reports.with_trackers(&BTreeSet::from([entry.clone()]));
        for hold in state.holds.values().filter(|hold| !hold.entries.is_disjoint(&freed)) {
            let entries = &hold.entries - &freed;
            let run = hold.owner.run();
            if entries.is_empty() {
                noted.changes.push(Change::DropHold(hold.id));
                let text = "no server is left in it: all were taken over outside teeter".to_owned();
                noted.events.push(event(at, "hold.ended", text, run, Some(hold.id)));
            } else {
                let reach = hold.reach.skipping(&freed);
                let hold = Hold { entries, reach, revision: ledger.next_revision(), ..hold.clone() };
                noted.changes.push(Change::PutHold(Box::new(hold)));
            }
            let Some(run) = run.and_then(|id| state.runs.get(&id)) else { continue };
            let why = format!("{what}, and teeter lets go of it {because}");
            if let Outcome::Go(stopped, actions) = machine::handle_lost_servers(run, hold.id, why, at) {
                let Effects { run: stopped, changes, events } =
                    state.effects(run, *stopped, actions, &reports.observed(), at);
                noted.changes.push(Change::PutRun(Box::new(stopped)));
                noted.changes.extend(changes);
                noted.events.extend(events);
            }
        }
        noted
    }

    /// The event of a change made outside teeter, with the hold and the run that it is about.
    fn drift_event(&self, entry: &Entry, text: String, ledger: &Ledger) -> NewEvent {
        let mut holds = ledger.state.holds.values().filter(|hold| hold.entries.contains(entry));
        let hold = holds.clone().find(|hold| hold.owner.run().is_some()).or_else(|| holds.next());
        let run = hold.and_then(|hold| hold.owner.run());
        event(self.clock.now(), "drift", text, run, hold.map(|hold| hold.id))
    }

    /// A server that was deleted and added again is a new server: its baseline is the state in which it was added.
    fn server_again(&self, entry: Entry, added_as: Baseline, ledger: &Ledger) -> Noted {
        // Its hold has ended meanwhile, and teeter has changed nothing on the new server.
        if held_state(&entry, ledger).is_none() && !ledger.state.baselines.contains_key(&entry) {
            return Noted::default();
        }
        let then = match added_as.state {
            AdminState::Ready => "it is held like the server before".to_owned(),
            state => format!("it stays in {state} after its last hold"),
        };
        let mut noted = self.event_only(format!("{entry} was deleted and added again: {then}"));
        let origin = ledger.state.baselines.get(&entry).and_then(|before| before.origin.clone());
        noted.changes.push(Change::PutBaseline(entry, Baseline { origin, ..added_as }));
        noted
    }

    /// An event of neither a hold nor a run, and no change.
    fn event_only(&self, text: String) -> Noted {
        Noted { changes: Vec::new(), events: vec![event(self.clock.now(), "drift", text, None, None)] }
    }
}

/// The words for a change of a server's state outside teeter.
fn set_outside(entry: &Entry, was: AdminState, now: AdminState) -> String {
    format!("a change outside teeter set {entry} from {was} to {now}")
}

/// The state that the holds on a line want; `None` if no hold has it.
fn held_state(entry: &Entry, ledger: &Ledger) -> Option<AdminState> {
    ledger.state.holds.values().filter(|hold| hold.entries.contains(entry)).map(Hold::wanted_state).max()
}

/// The state to restore after the last hold, when the state `now` was set outside teeter. Setting a held server to the
/// hold's own state cancels an earlier, stricter manual change, and does not ask for a stricter state itself.
fn state_after_holds(entry: &Entry, now: AdminState, ledger: &Ledger) -> AdminState {
    match ledger.state.baselines.get(entry) {
        Some(before) if held_state(entry, ledger) == Some(now) => before.state.min(now),
        _ => now,
    }
}
