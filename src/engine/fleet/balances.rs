//! How the backends of each HAProxy balance, and whether they take new weights: read before a run begins.

use std::collections::{BTreeMap, BTreeSet};

use crate::engine::error::EngineError;
use crate::engine::fleet::Fleet;
use crate::farm::{Balance, Balances, Entry, InstanceName};
use crate::haproxy::commands::{BackendRow, ShowBackends, TakesWeights};
use crate::haproxy::{BackendName, Command, Error, Line, ServerRef};
use crate::platform::chain;

/// The backends of each HAProxy, as it is configured.
pub(crate) type Backends = BTreeMap<InstanceName, BTreeMap<BackendName, BackendRow>>;

impl Fleet {
    /// The configured backends of every HAProxy that has one of these lines.
    pub(crate) async fn backends(&self, entries: &BTreeSet<Entry>) -> Result<Backends, EngineError> {
        let names: BTreeSet<&InstanceName> = entries.iter().map(|entry| &entry.instance).collect();
        let mut all = Backends::new();
        for name in names {
            let Some(instance) = self.instances.get(name) else { continue };
            all.insert(name.clone(), instance.client.ask(&ShowBackends).await.map_err(unreachable)?);
        }
        Ok(all)
    }

    /// How the backends of these lines balance. Changes nothing.
    pub(crate) async fn balances(
        &self,
        entries: &BTreeSet<Entry>,
        backends: &Backends,
    ) -> Result<Balances, EngineError> {
        let mut balances = Balances::new();
        for (name, rows) in backends {
            let Some(instance) = self.instances.get(name) else { continue };
            // One line of each backend is enough.
            let lines: BTreeMap<&BackendName, &ServerRef> = entries
                .iter()
                .filter(|entry| entry.instance == *name)
                .map(|entry| (&entry.server.backend, &entry.server))
                .collect();
            let algorithm = |backend: &BackendName| rows.get(backend).map_or("", |row| row.algo.as_str()).to_owned();
            let asks: Vec<TakesWeights> = lines
                .iter()
                .filter(|(backend, _)| !Balance::is_known_by_name(&algorithm(backend)))
                .map(|(_, server)| TakesWeights { server: (*server).clone() })
                .collect();
            let mut takes: BTreeMap<BackendName, Option<bool>> = BTreeMap::new();
            for part in parts(&asks) {
                let mut line = Line::new();
                let slots: Vec<_> = part.iter().map(|ask| (line.push(ask), ask)).collect();
                let answers = instance.client.send(&line).await.map_err(unreachable)?;
                for (slot, ask) in slots {
                    let answer = answers.read(slot, ask).map_err(|error| unreachable(instance.client.error(error)))?;
                    takes.insert(ask.server.backend.clone(), answer);
                }
            }
            balances.extend(lines.into_keys().map(|backend| {
                let takes = takes.get(backend).copied().flatten();
                ((name.clone(), backend.clone()), Balance::from_algorithm(&algorithm(backend), takes))
            }));
        }
        Ok(balances)
    }
}

/// Divides commands into lines of HAProxy's input.
fn parts(asks: &[TakesWeights]) -> Vec<Vec<TakesWeights>> {
    let (mut parts, mut part, mut line) = (Vec::new(), Vec::new(), Line::new());
    for ask in asks {
        if !line.has_room_for(&ask.text()) {
            parts.push(std::mem::take(&mut part));
            line = Line::new();
        }
        let _ = line.push(ask);
        part.push(ask.clone());
    }
    if !part.is_empty() {
        parts.push(part);
    }
    parts
}

fn unreachable(error: Error) -> EngineError {
    EngineError::Unreachable(chain(&error))
}
