//! HAProxys that have a new name in the configuration, and HAProxys that it does not have any more.

use std::collections::{BTreeMap, BTreeSet};

use crate::engine::Engine;
use crate::engine::error::{EngineError, Message};
use crate::engine::fleet::reports::Reports;
use crate::engine::record::ledger::Ledger;
use crate::engine::retired::left_over::left_over;
use crate::farm::{Baseline, Entry, Hold, InstanceName, Origin, Renamed};
use crate::reconcile::InstanceReport;
use crate::state::{Change, State, event};

impl Engine {
    /// Moves the stored lines of a renamed HAProxy to its new name: it is the same HAProxy if it has the same socket or
    /// is the same process. Returns whether there was one.
    pub(crate) async fn take_over_renamed(&self, ledger: &mut Ledger, reports: &Reports) -> Result<bool, EngineError> {
        let Some((from, to)) = renamed(&ledger.state, reports) else { return Ok(false) };
        let text = format!(
            "HAProxy {from} is called {to} now (it has the same socket, or is the same process): teeter moves its \
             records of {from} to {to}"
        );
        tracing::warn!("{text}");
        let changes = changes(&ledger.state, Renamed { from: &from, to: &to }, ledger.next_revision());
        ledger.write(changes, vec![event(self.clock.now(), "haproxy.renamed", text, None, None)]).await?;
        Ok(true)
    }

    /// The lines whose HAProxy is configured. Lines of other HAProxys stay held: teeter cannot bring them back.
    ///
    /// # Errors
    /// No line is in a configured HAProxy.
    pub(crate) fn configured_lines(
        &self,
        entries: BTreeSet<Entry>,
        state: &State,
    ) -> Result<BTreeSet<Entry>, EngineError> {
        let (known, gone): (BTreeSet<Entry>, BTreeSet<Entry>) =
            entries.into_iter().partition(|entry| self.fleet.instances.contains_key(&entry.instance));
        match gone.first() {
            Some(entry) if known.is_empty() => {
                let name = &entry.instance;
                let text = format!(
                    "HAProxy {name}{} is not configured any more, so {entry} cannot be brought back there",
                    last_socket(name, state.baselines.iter())
                );
                let hint = format!(
                    "configure it again, under any name, and restart teeterd; or, if it does not exist any more, \
                     `teeter forget --haproxy {name}`"
                );
                Err(EngineError::StillNeeded(Message::new(text).hint(hint)))
            }
            _ => Ok(known),
        }
    }

    /// Logs what the store has of HAProxys and farms that are not configured: it may be long until an operator runs
    /// `teeter doctor`.
    pub(crate) fn warn_of_left_over(&self, state: &State) {
        for (what, left) in left_over(state, &self.fleet.farms(), &self.fleet.instances.keys().collect()) {
            tracing::warn!(
                "{what} is not configured any more, and the store has {left}: `teeter doctor` shows what to do about it"
            );
        }
    }
}

/// A HAProxy of the store that is not configured, and its new name; `None` if there is none, or more than one
/// candidate.
fn renamed(state: &State, reports: &Reports) -> Option<(InstanceName, InstanceName)> {
    let gone = |name: &InstanceName| !reports.contains_key(name);
    let mut origins: BTreeMap<&InstanceName, Vec<&Origin>> = BTreeMap::new();
    for (entry, was) in state.baselines.iter().filter(|(entry, _)| gone(&entry.instance)) {
        origins.entry(&entry.instance).or_default().extend(&was.origin);
    }
    origins.into_iter().find_map(|(from, origins)| {
        let is_same = |(name, report): &(&InstanceName, &InstanceReport)| {
            let process = report.seen.as_ref().map(|seen| seen.process());
            let same_process = |origin: &&Origin| process.is_some_and(|process| origin.process.is_same(&process));
            origins.iter().any(|origin| *origin.socket == *report.socket)
                || (origins.iter().any(same_process) && lines_are_as_held(Renamed { from, to: name }, report, state))
        };
        let mut found = reports.iter().filter(is_same).map(|(name, _)| name);
        let to = found.next()?;
        found.next().is_none().then(|| (from.clone(), to.clone()))
    })
}

/// Whether a HAProxy has the lines of the other one in the states that their holds want. The process alone is not
/// enough: in containers two processes may have the same number and start time.
fn lines_are_as_held(name: Renamed<'_>, report: &InstanceReport, state: &State) -> bool {
    let holds =
        |entry: &Entry| state.holds.values().filter(move |hold| hold.entries.contains(entry)).collect::<Vec<_>>();
    state.baselines.keys().filter(|entry| entry.instance == *name.from).all(|entry| {
        let now = report.seen.as_ref().and_then(|seen| seen.servers.get(&entry.server)).map(|now| now.admin.forced());
        let wanted = holds(entry).into_iter().map(Hold::wanted_state).max();
        now.is_some() && now == wanted && holds(&name.entry(entry)).is_empty()
    })
}

/// The changes that replace the old name by the new one. Baselines under the old name replace those under the new one:
/// these were taken when the servers were held already.
fn changes(state: &State, name: Renamed<'_>, revision: u64) -> Vec<Change> {
    let mut changes = Vec::new();
    for hold in state.holds.values() {
        let mut renamed = name.hold(hold);
        if renamed != *hold {
            renamed.revision = revision;
            changes.push(Change::PutHold(Box::new(renamed)));
        }
    }
    let old: BTreeSet<_> = state.baselines.keys().filter(|entry| entry.instance == *name.from).cloned().collect();
    for (entry, was) in state.baselines.iter().filter(|(entry, _)| old.contains(*entry)) {
        changes.push(Change::DropBaseline(entry.clone()));
        changes.push(Change::PutBaseline(name.entry(entry), was.clone()));
    }
    let routes = state.routes.values().filter(|route| route.instances.contains(name.from));
    changes.extend(routes.map(|route| Change::PutRoute(Box::new(name.route(route)))));
    let runs = state.runs.values().filter(|run| run.is_active()).map(|run| (run, run.renamed(name)));
    changes.extend(runs.filter(|(run, renamed)| renamed != *run).map(|(_, renamed)| Change::PutRun(Box::new(renamed))));
    changes
}

/// The last known socket of a HAProxy that is not configured any more, for people; empty if it is not known.
pub(crate) fn last_socket<'a>(
    name: &InstanceName,
    mut known: impl Iterator<Item = (&'a Entry, &'a Baseline)>,
) -> String {
    let origin = known.find_map(|(entry, was)| was.origin.as_ref().filter(|_| entry.instance == *name));
    origin.map(|origin| format!(" (it was at {})", origin.socket)).unwrap_or_default()
}
