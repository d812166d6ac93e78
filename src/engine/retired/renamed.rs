//! A HAProxy that the configuration calls otherwise than before, and one that it does not have any more.

use crate::engine::fleet::reports::Reports;

use std::collections::{BTreeMap, BTreeSet};

use crate::engine::Engine;
use crate::engine::error::{EngineError, Message};
use crate::engine::record::ledger::Ledger;
use crate::engine::retired::left_over::left_over;
use crate::farm::{Baseline, Entry, Hold, InstanceName, Origin, Renamed};
use crate::reconcile::InstanceReport;
use crate::state::{Change, State, event};

impl Engine {
    /// Goes on under the new name with what is held in a HAProxy that has been renamed: it is the same one where it is
    /// reached by the same socket, or is the same process. Whether there was one.
    pub(crate) async fn take_over_renamed(&self, ledger: &mut Ledger, reports: &Reports) -> Result<bool, EngineError> {
        let Some((from, to)) = renamed(&ledger.state, reports) else { return Ok(false) };
        let text = format!(
            "HAProxy {from} is called {to} now (it has the same socket, or is the same process): what teeter knows of {from} \
             is of {to}"
        );
        tracing::warn!("{text}");
        let changes = changes(&ledger.state, Renamed { from: &from, to: &to }, ledger.next_revision());
        ledger.write(changes, vec![event(self.clock.now(), "haproxy.renamed", text, None, None)]).await?;
        Ok(true)
    }

    /// Those of these lines whose HAProxy is configured. What is held in another one stays held: nobody could bring it
    /// back.
    ///
    /// # Errors
    /// There is none.
    pub(crate) fn can_be_told(&self, entries: BTreeSet<Entry>, state: &State) -> Result<BTreeSet<Entry>, EngineError> {
        let (known, gone): (BTreeSet<Entry>, BTreeSet<Entry>) =
            entries.into_iter().partition(|entry| self.fleet.instances.contains_key(&entry.instance));
        match gone.first() {
            Some(entry) if known.is_empty() => {
                let name = &entry.instance;
                let text = format!(
                    "HAProxy {name}{} is not configured any more, so {entry} cannot be brought back there",
                    last_seen(name, state.baselines.iter())
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

    /// Says what the store has of HAProxys and farms that are not configured: nobody may look at `teeter doctor` for long.
    pub(crate) fn warn_of_left_over(&self, state: &State) {
        for (what, left) in left_over(state, &self.fleet.farms(), &self.fleet.instances.keys().collect()) {
            tracing::warn!(
                "{what} is not configured any more, and the store has {left}: `teeter doctor` says what to do about it"
            );
        }
    }
}

/// A HAProxy of the store that is not configured, and the one that it is by now, where that is one only.
fn renamed(state: &State, reports: &Reports) -> Option<(InstanceName, InstanceName)> {
    let gone = |name: &InstanceName| !reports.contains_key(name);
    let mut origins: BTreeMap<&InstanceName, Vec<&Origin>> = BTreeMap::new();
    for (entry, was) in state.baselines.iter().filter(|(entry, _)| gone(&entry.instance)) {
        origins.entry(&entry.instance).or_default().extend(&was.origin);
    }
    origins.into_iter().find_map(|(from, origins)| {
        let is = |(name, report): &(&InstanceName, &InstanceReport)| {
            let process = report.seen.as_ref().map(|seen| seen.process());
            let same = |origin: &&Origin| process.is_some_and(|process| origin.process.is_same(&process));
            origins.iter().any(|origin| *origin.socket == *report.socket)
                || (origins.iter().any(same) && is_as_left(Renamed { from, to: name }, report, state))
        };
        let mut found = reports.iter().filter(is).map(|(name, _)| name);
        let to = found.next()?;
        found.next().is_none().then(|| (from.clone(), to.clone()))
    })
}

/// Whether a HAProxy has what is held in the other one as teeter left it there. In containers two processes may have one
/// number and have started in the same second.
fn is_as_left(name: Renamed<'_>, report: &InstanceReport, state: &State) -> bool {
    let holds =
        |entry: &Entry| state.holds.values().filter(move |hold| hold.entries.contains(entry)).collect::<Vec<_>>();
    state.baselines.keys().filter(|entry| entry.instance == *name.from).all(|entry| {
        let now = report.seen.as_ref().and_then(|seen| seen.servers.get(&entry.server)).map(|now| now.admin.forced());
        let wanted = holds(entry).into_iter().map(Hold::wanted_state).max();
        now.is_some() && now == wanted && holds(&name.entry(entry)).is_empty()
    })
}

/// Everything of the store that has the name, with the new one. What was known under the new name already came of
/// teeter's own doing: what the servers were before is what it was under the old one.
fn changes(state: &State, name: Renamed<'_>, revision: u64) -> Vec<Change> {
    let mut changes = Vec::new();
    for hold in state.holds.values() {
        let mut is = name.hold(hold);
        if is != *hold {
            is.revision = revision;
            changes.push(Change::PutHold(Box::new(is)));
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
    changes.extend(runs.filter(|(run, is)| is != *run).map(|(_, is)| Change::PutRun(Box::new(is))));
    changes
}

/// Where a HAProxy was that is not configured any more, for people.
pub(crate) fn last_seen<'a>(name: &InstanceName, mut known: impl Iterator<Item = (&'a Entry, &'a Baseline)>) -> String {
    let origin = known.find_map(|(entry, was)| was.origin.as_ref().filter(|_| entry.instance == *name));
    origin.map(|origin| format!(" (it was at {})", origin.socket)).unwrap_or_default()
}
