//! What becomes of changes that others have made to what teeter holds.

use std::collections::BTreeMap;

use super::Engine;
use super::drift::Drift;
use super::error::EngineError;
use super::facts::seen_server;
use super::holds::baseline;
use super::instance::Report;
use super::ledger::{Ledger, event};
use crate::farm::{Baseline, Entry, InstanceName};
use crate::haproxy::{AdminState, MapValue};
use crate::store::{Change, NewEvent};

/// What is stored about the changes that one look has found.
#[derive(Default)]
struct Noted {
    changes: Vec<Change>,
    events: Vec<NewEvent>,
}

impl Engine {
    /// Records what others have changed, and what follows from it. Whether there was anything.
    pub(super) async fn note_drifts(
        &self,
        ledger: &mut Ledger,
        reports: &BTreeMap<InstanceName, Report>,
    ) -> Result<bool, EngineError> {
        let mut any = false;
        for (name, report) in reports {
            let known = self.memory().drifts.insert(name.clone(), report.drifts.len()).unwrap_or_default();
            for drift in report.drifts.iter().skip(known) {
                let noted = match drift {
                    Drift::Server { server, was, now } => {
                        let entry = Entry { instance: name.clone(), server: server.clone() };
                        self.server_changed(entry, *was, *now, ledger)
                    }
                    Drift::Again { server } => {
                        let entry = Entry { instance: name.clone(), server: server.clone() };
                        self.server_again(entry, reports)
                    }
                    Drift::File { map } => self
                        .said(format!("somebody else wrote the file of map {map}: teeter's entries are in it again")),
                    Drift::Map { map, key, was, now } => {
                        let shown = |value: Option<&str>| value.unwrap_or("not there").to_owned();
                        let (was, now) = (shown(was.as_ref().map(MapValue::as_str)), shown(now.as_deref()));
                        self.said(format!(
                            "somebody else changed {key} in map {map} of HAProxy {name} from {was} to {now}: set right"
                        ))
                    }
                };
                // One after the other: what follows from a change depends on what followed from the one before.
                self.write(ledger, noted.changes, noted.events).await?;
                any = true;
            }
        }
        Ok(any)
    }

    /// What makes a server stricter is kept; what makes it less strict has been set right. Either is their latest wish
    /// for the time when nobody holds it any more.
    fn server_changed(&self, entry: Entry, was: AdminState, now: AdminState, ledger: &Ledger) -> Noted {
        let then = if now > was { "it stays so when nobody holds it any more" } else { "set right" };
        let mut noted = self.said(format!("somebody else set {entry} from {was} to {now}: {then}"));
        let state = &ledger.state;
        if let Some(before) = state.baselines.get(&entry) {
            let holds = state.holds.values().filter(|hold| hold.entries.contains(&entry));
            let held = holds.map(crate::farm::Hold::wants).max();
            // Whoever sets what a hold wants anyway takes back a stricter wish, and asks for nothing less strict.
            let wish = if held == Some(now) { before.state.min(now) } else { now };
            noted.changes.push(Change::PutBaseline(entry, Baseline { state: wish, ..before.clone() }));
        }
        noted
    }

    /// A server that was deleted and added again is another one: what it was before is what it was added as.
    fn server_again(&self, entry: Entry, reports: &BTreeMap<InstanceName, Report>) -> Noted {
        let Some(server) = seen_server(&entry, reports) else { return Noted::default() };
        let state = server.admin.forced();
        let then = match state {
            AdminState::Ready => "it is held like the one before".to_owned(),
            state => format!("it stays in {state} when nobody holds it any more"),
        };
        let mut noted = self.said(format!("{entry} was deleted and is there again: {then}"));
        noted.changes.push(Change::PutBaseline(entry.clone(), baseline(server)));
        noted
    }

    fn said(&self, text: String) -> Noted {
        Noted { changes: Vec::new(), events: vec![event(self.clock.now(), "drift", text, None, None)] }
    }
}
