//! The sessions that are still on servers.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::api::SessionView;
use crate::engine::Engine;
use crate::engine::error::{EngineError, Message};
use crate::farm::{Entry, InstanceName, Selector};
use crate::haproxy::commands::{Session, SessionBytes, ShowSession, ShowSessions};
use crate::haproxy::{Error, Line};
use crate::platform::chain;

impl Engine {
    /// The sessions on these servers, those of processes that reloads have left behind too.
    ///
    /// # Errors
    /// Nothing matched, or HAProxy does not answer or refuses.
    pub async fn sessions(&self, selectors: &[Selector]) -> Result<Vec<SessionView>, EngineError> {
        let (reports, entries) = self.fleet.read_for(selectors).await;
        let entries = entries?;
        reports.require_answer(&entries)?;
        let mut views = Vec::new();
        for (name, instance) in &self.fleet.instances {
            let lines: BTreeMap<(&str, &str), &Entry> = entries
                .iter()
                .filter(|entry| entry.instance == *name)
                .map(|entry| ((entry.server.backend.as_str(), entry.server.server.as_str()), entry))
                .collect();
            if lines.is_empty() {
                continue;
            }
            let unreachable = |error: &Error| match error.refusal() {
                Some(_) => EngineError::NotPermitted(Message::new(chain(error))),
                None => EngineError::Unreachable(chain(error)),
            };
            let looks = &instance.looks;
            let sessions = looks.sessions().await;
            let sessions = sessions.as_ref().as_ref().map_err(unreachable)?;
            let on_them = |session: &Session| lines.contains_key(&(session.backend.as_str(), session.server.as_str()));
            let found: Vec<Session> = sessions.iter().filter(|session| on_them(session)).cloned().collect();
            let mut line = Line::new();
            let asks: Vec<ShowSession> =
                found.iter().take(DETAILED).map(|session| ShowSession { id: session.id.clone() }).collect();
            let slots: Vec<_> = asks.iter().map(|ask| line.push(ask)).collect();
            let answers = looks.client.send(&line).await.map_err(|error| unreachable(&error))?;
            let mut bytes = slots.into_iter().zip(&asks).map(|(slot, ask)| answers.read(slot, ask).ok().flatten());
            views.extend(found.into_iter().map(|session| view(name, session, None, bytes.next().flatten())));
            // A process that ends meanwhile has no sessions left to show.
            let old = reports.get(name).map(|report| Arc::clone(&report.old)).unwrap_or_default();
            for (worker, master) in old.iter().zip(std::iter::repeat(&looks.master)) {
                let Some(master) = master else { continue };
                let sessions = master.ask_worker(worker.pid, &ShowSessions).await.unwrap_or_default();
                views.extend(
                    sessions.into_iter().filter(on_them).map(|session| view(name, session, Some(worker.pid), None)),
                );
            }
        }
        Ok(views)
    }
}

fn view(instance: &InstanceName, session: Session, old_pid: Option<u32>, bytes: Option<SessionBytes>) -> SessionView {
    SessionView {
        instance: instance.to_string(),
        server: format!("{}/{}", session.backend, session.server),
        old_pid,
        id: session.id.to_string(),
        client: session.source,
        frontend: session.frontend,
        age: session.age,
        bytes_in: bytes.map(|bytes| bytes.request),
        bytes_out: bytes.map(|bytes| bytes.response),
    }
}

/// For how many sessions the bytes are asked: each costs a command.
const DETAILED: usize = 20;
