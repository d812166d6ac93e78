//! What becomes of changes that others have made to what teeter holds.

use crate::engine::fleet::reports::Reports;
use std::collections::BTreeSet;

use crate::engine::Engine;
use crate::engine::error::EngineError;

use crate::engine::record::ledger::Ledger;
use crate::farm::{Baseline, Entry, Hold, OnDrift, Overruled, SeenServer};
use crate::haproxy::{AdminState, MapValue, ServerRef};
use crate::plan::machine::{self, Outcome};
use crate::reconcile::Drift;
use crate::state::{Change, Effects, NewEvent, event};

/// What is stored about the changes that one look has found.
#[derive(Default)]
struct Noted {
    changes: Vec<Change>,
    events: Vec<NewEvent>,
}

impl Engine {
    /// Records what others have changed, and what follows from it.
    pub(crate) async fn note_drifts(&self, ledger: &mut Ledger, reports: &Reports) -> Result<(), EngineError> {
        for (name, report) in reports {
            let entry = |server: &ServerRef| Entry { instance: name.clone(), server: server.clone() };
            let known = self.memory().instances.entry(name.clone()).or_default().drifts;
            for (number, drift) in report.drifts.iter().enumerate().skip(known) {
                let noted = match drift {
                    Drift::Server { server, was, now, then } => {
                        let entry = entry(server);
                        match then {
                            _ if wants(&entry, ledger).is_none() => self.said(format!(
                                "somebody else set {entry} from {was} to {now} when teeter had begun to bring it back: it is \
                                 brought back"
                            )),
                            OnDrift::Reassert => self.reasserted(entry, (*was, *now), ledger),
                            OnDrift::Yield => {
                                let what = format!("somebody else set {entry} from {was} to {now}");
                                let why = "(on_drift = \"yield\")";
                                self.yielded(&entry, *now, (&what, why), ledger, reports)
                            }
                            OnDrift::Alarm => self.alarmed(entry, (*was, *now), ledger, reports),
                        }
                    }
                    Drift::Again { server, is } => self.server_again(entry(server), is.clone(), ledger),
                    Drift::Live { backend, server } => {
                        let entry = entry(server);
                        let what = format!(
                            "somebody else has turned the traffic to backend {backend}, and {entry} serves there"
                        );
                        self.yielded(&entry, AdminState::Ready, (&what, "rather than leave nobody"), ledger, reports)
                    }
                    Drift::File { map, what } => self.said(format!("the file of map {map}: {what}")),
                    Drift::Map { map, key, was, now } => {
                        let shown = |value: Option<&str>| value.unwrap_or("not there").to_owned();
                        let (was, now) = (shown(was.as_ref().map(MapValue::as_str)), shown(now.as_deref()));
                        self.said(format!(
                            "somebody else changed {key} in map {map} of HAProxy {name} from {was} to {now}: set right"
                        ))
                    }
                };
                // One after the other: what follows from a change depends on what followed from the one before.
                let note = || {
                    self.memory().instances.entry(name.clone()).or_default().drifts = number + 1;
                };
                ledger.write_once(noted.changes, noted.events, note).await?;
            }
        }
        Ok(())
    }

    /// Forgets what somebody had set against a hold, where another process has forgotten it too.
    pub(crate) async fn forget_overruled(&self, ledger: &mut Ledger, reports: &Reports) -> Result<(), EngineError> {
        let process = |entry: &Entry| reports.get(&entry.instance)?.seen.as_ref().map(|seen| seen.process());
        let mut noted = Noted::default();
        for (entry, was) in &ledger.state.baselines {
            let Some(overruled) = was.overruled else { continue };
            if process(entry).is_some_and(|process| !process.is_same(&overruled.process)) {
                let text = format!("HAProxy {} is another process: {entry} is held again", entry.instance);
                noted.events.push(self.drift(entry, text, ledger));
                noted.changes.push(Change::PutBaseline(entry.clone(), Baseline { overruled: None, ..was.clone() }));
            }
        }
        if noted.changes.is_empty() {
            return Ok(());
        }
        ledger.write(noted.changes, noted.events).await?;
        Ok(())
    }

    /// What makes a server stricter is kept; what makes it less strict has been set right.
    fn reasserted(&self, entry: Entry, (was, now): (AdminState, AdminState), ledger: &Ledger) -> Noted {
        let then = if now > was { "it stays so when nobody holds it any more" } else { "set right" };
        let text = format!("somebody else set {entry} from {was} to {now}: {then}");
        let events = vec![self.drift(&entry, text, ledger)];
        let before = ledger.state.baselines.get(&entry).cloned();
        let state = wish(&entry, now, ledger);
        let changes = before.map(|before| Change::PutBaseline(entry, Baseline { state, ..before }));
        Noted { changes: changes.into_iter().collect(), events }
    }

    /// The server is left as somebody has set it, until they or a new process have it as the hold wants.
    fn alarmed(&self, entry: Entry, (was, now): (AdminState, AdminState), ledger: &Ledger, reports: &Reports) -> Noted {
        let wanted = wants(&entry, ledger) == Some(now);
        let then = if wanted { "as the hold wants it" } else { "left so (on_drift = \"alarm\")" };
        let text = format!("somebody else set {entry} from {was} to {now}: {then}");
        let events = vec![self.drift(&entry, text, ledger)];
        let before = ledger.state.baselines.get(&entry).cloned();
        let before = before.or_else(|| reports.server(&entry).map(SeenServer::baseline));
        let seen = reports.get(&entry.instance).and_then(|report| report.seen.as_ref()).filter(|_| !wanted);
        let overruled = seen.map(|seen| Overruled { state: now, process: seen.process() });
        let state = wish(&entry, now, ledger);
        let changes = before.map(|before| Change::PutBaseline(entry, Baseline { state, overruled, ..before }));
        Noted { changes: changes.into_iter().collect(), events }
    }

    /// teeter lets go of the server, and of those that track it: they leave every hold. A run that holds them stops.
    fn yielded(
        &self,
        entry: &Entry,
        now: AdminState,
        (what, because): (&str, &str),
        ledger: &Ledger,
        reports: &Reports,
    ) -> Noted {
        let at = self.clock.now();
        let text = format!("{what}: teeter lets go of it {because}");
        let mut noted = Noted { changes: Vec::new(), events: vec![self.drift(entry, text, ledger)] };
        let state = &ledger.state;
        if let Some(before) = state.baselines.get(entry) {
            let is = Baseline { state: now, overruled: None, ..before.clone() };
            noted.changes.push(Change::PutBaseline(entry.clone(), is));
        }
        let gone = reports.with_trackers(&BTreeSet::from([entry.clone()]));
        for hold in state.holds.values().filter(|hold| !hold.entries.is_disjoint(&gone)) {
            let entries = &hold.entries - &gone;
            let run = hold.owner.run();
            if entries.is_empty() {
                noted.changes.push(Change::DropHold(hold.id));
                let text = "nothing is left of it: somebody else has taken over".to_owned();
                noted.events.push(event(at, "hold.ended", text, run, Some(hold.id)));
            } else {
                let reach = hold.reach.skipping(&gone);
                let hold = Hold { entries, reach, revision: ledger.next_revision(), ..hold.clone() };
                noted.changes.push(Change::PutHold(Box::new(hold)));
            }
            let Some(run) = run.and_then(|id| state.runs.get(&id)) else { continue };
            let why = format!("{what}, and teeter lets go of what others change {because}");
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

    /// A change by somebody else, with the hold and the run that it is about.
    fn drift(&self, entry: &Entry, text: String, ledger: &Ledger) -> NewEvent {
        let mut holds = ledger.state.holds.values().filter(|hold| hold.entries.contains(entry));
        let hold = holds.clone().find(|hold| hold.owner.run().is_some()).or_else(|| holds.next());
        let run = hold.and_then(|hold| hold.owner.run());
        event(self.clock.now(), "drift", text, run, hold.map(|hold| hold.id))
    }

    /// A server that was deleted and added again is another one: what it was before is what it was added as.
    fn server_again(&self, entry: Entry, is: Baseline, ledger: &Ledger) -> Noted {
        // Its hold has ended meanwhile, and nothing was done to it.
        if wants(&entry, ledger).is_none() && !ledger.state.baselines.contains_key(&entry) {
            return Noted::default();
        }
        let then = match is.state {
            AdminState::Ready => "it is held like the one before".to_owned(),
            state => format!("it stays in {state} when nobody holds it any more"),
        };
        let mut noted = self.said(format!("{entry} was deleted and is there again: {then}"));
        let origin = ledger.state.baselines.get(&entry).and_then(|before| before.origin.clone());
        noted.changes.push(Change::PutBaseline(entry, Baseline { origin, ..is }));
        noted
    }

    fn said(&self, text: String) -> Noted {
        Noted { changes: Vec::new(), events: vec![event(self.clock.now(), "drift", text, None, None)] }
    }
}

/// The state that the holds on a line want.
fn wants(entry: &Entry, ledger: &Ledger) -> Option<AdminState> {
    ledger.state.holds.values().filter(|hold| hold.entries.contains(entry)).map(Hold::wanted_state).max()
}

/// The state that somebody wants for the time when nobody holds the line any more. Whoever sets what a hold wants anyway
/// takes back a stricter wish, and asks for nothing less strict.
fn wish(entry: &Entry, now: AdminState, ledger: &Ledger) -> AdminState {
    match ledger.state.baselines.get(entry) {
        Some(before) if wants(entry, ledger) == Some(now) => before.state.min(now),
        _ => now,
    }
}
