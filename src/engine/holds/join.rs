//! Server lines that appear while their server is held: after a reload, by `add server`, or in a HAProxy that answers
//! again. They join the hold.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use crate::engine::Engine;
use crate::engine::error::EngineError;
use crate::engine::fleet::reports::Reports;
use crate::engine::memory::Joined;
use crate::engine::record::ledger::Ledger;
use crate::farm::{Baseline, Entry, FarmName, Hold, HoldId, InstanceName, Seen, live_side, newcomers};
use crate::haproxy::commands::Level;
use crate::haproxy::{AdminState, BackendName};
use crate::state::{Change, State, event};

/// What joins a hold, of the lines that its selectors name now.
#[derive(Debug, Default)]
pub(crate) struct Joining {
    /// Lines that join the hold and are taken out.
    pub(crate) lines: BTreeSet<Entry>,
    /// HAProxys that the hold went on without, and that answer now.
    pub(crate) back: BTreeSet<InstanceName>,
    /// Lines that stay in service, each with the reason.
    pub(crate) refused: BTreeMap<Entry, String>,
}

impl Engine {
    /// Takes out the lines that have appeared, each with a baseline. Returns whether there were any.
    pub(crate) async fn join_lines(
        &self,
        ledger: &mut Ledger,
        reports: &Reports,
        now: Timestamp,
    ) -> Result<bool, EngineError> {
        let lines = hashes_of_lines(reports);
        let mut changed = self.join_runs(ledger, reports).await?;
        let ids: Vec<HoldId> = ledger.state.holds.keys().copied().collect();
        for id in ids {
            let Some(hold) = ledger.state.holds.get(&id).cloned() else { continue };
            let input = Joined { revision: hold.revision, lines: lines.clone() };
            if self.memory().joined(id) == Some(&input) {
                continue;
            }
            let joining = self.joining(&hold, &ledger.state, reports);
            if joining.refused.is_empty() {
                self.memory().for_hold(&hold).joined = Some(input);
            }
            if joining.lines.is_empty() && joining.back.is_empty() {
                continue;
            }
            let Joining { lines, back, .. } = joining;
            let revision = ledger.next_revision();
            let joined = Hold { revision, ..hold.joined(&lines, &back, now) };
            let mut changes = ledger.state.new_baselines(&lines, &reports.observed());
            keep_renamed_baselines(&mut changes, &hold, &ledger.state, reports);
            changes.push(Change::PutHold(Box::new(joined)));
            let happened = event(now, "hold.joined", joined_text(&lines, &back), hold.owner.run(), Some(id));
            ledger.write(changes, vec![happened]).await?;
            changed = true;
        }
        Ok(changed)
    }

    /// Lets runs use HAProxys that they were begun without, and that answer now. Returns whether there were any.
    async fn join_runs(&self, ledger: &mut Ledger, reports: &Reports) -> Result<bool, EngineError> {
        let answers = |name: &InstanceName| reports.get(name).is_some_and(|report| report.reachable);
        let runs = ledger.state.runs.values().filter(|run| run.is_active() && run.reach.without.iter().any(answers));
        let joined = runs.map(|run| {
            let mut run = run.clone();
            run.reach.without.retain(|name| !answers(name));
            Change::PutRun(Box::new(run))
        });
        let changes: Vec<Change> = joined.collect();
        if changes.is_empty() {
            return Ok(false);
        }
        ledger.write(changes, Vec::new()).await?;
        Ok(true)
    }

    /// What joins a hold now; nothing if that is already known for these lines.
    pub(crate) fn joining_now(&self, hold: &Hold, state: &State, reports: &Reports) -> Joining {
        let input = Joined { revision: hold.revision, lines: hashes_of_lines(reports) };
        if self.memory().joined(hold.id) == Some(&input) {
            return Joining::default();
        }
        self.joining(hold, state, reports)
    }

    /// Works out what joins a hold now. The last usable servers of a backend that gets traffic stay in service: no
    /// operator has allowed that outage.
    fn joining(&self, hold: &Hold, state: &State, reports: &Reports) -> Joining {
        let answers = |name: &InstanceName| reports.get(name).is_some_and(|report| report.reachable);
        let answering = reports.iter().filter(|(name, _)| answers(name));
        let reports: Reports = answering.map(|(name, report)| (name.clone(), report.clone())).collect();
        let back = hold.reach.without.iter().filter(|name| answers(name)).cloned().collect();
        let mut joining = Joining { back, ..Joining::default() };
        if !hold.reach.follows {
            return joining;
        }
        let seen: BTreeMap<InstanceName, &Seen> = reports.seen();
        let named = newcomers(hold, &self.fleet.farms(), &seen);
        let all = &reports.with_trackers(&(&named | &hold.entries)) - &hold.entries;
        let mut backends: BTreeMap<(InstanceName, BackendName), BTreeSet<Entry>> = BTreeMap::new();
        let enabled =
            |entry: &Entry| seen.get(&entry.instance).is_some_and(|seen| !seen.is_disabled(&entry.server.backend));
        for entry in all.iter().filter(|entry| enabled(entry) && !hold.reach.skipped.contains(*entry)) {
            let backend = (entry.instance.clone(), entry.server.backend.clone());
            backends.entry(backend).or_default().insert(entry.clone());
        }
        for ((name, backend), lines) in backends {
            let level = reports.get(&name).and_then(|report| report.level).filter(|level| *level < Level::Admin);
            let why = match level {
                Some(level) => Some(format!("the stats socket of HAProxy {name} has level {level}")),
                None => self
                    .is_last(&lines, state, &reports)
                    .then(|| format!("HAProxy {name} would have no other usable server in backend {backend}")),
            };
            match why {
                None => joining.lines.extend(lines),
                Some(why) => joining.refused.extend(lines.into_iter().map(|line| (line, why.clone()))),
            }
        }
        joining
    }

    /// Adds HAProxys to the routes of farms whose servers they have, once they answer and their maps fit: they get the
    /// side that has the traffic. Returns whether there were any.
    pub(crate) async fn join_routes(
        &self,
        ledger: &mut Ledger,
        reports: &Reports,
        now: Timestamp,
    ) -> Result<bool, EngineError> {
        let (mut changes, mut events) = (Vec::new(), Vec::new());
        for (name, new) in self.joining_routes(&ledger.state, reports) {
            let Some(mut route) = ledger.state.routes.get(&name).cloned() else { continue };
            let names: Vec<&str> = new.iter().map(InstanceName::as_str).collect();
            let text = format!("HAProxy {} answers and gets the route of {name}", names.join(", "));
            route.instances.extend(new);
            changes.push(Change::PutRoute(Box::new(route)));
            events.push(event(now, "route.joined", text, None, None));
        }
        if changes.is_empty() {
            return Ok(false);
        }
        ledger.write(changes, events).await?;
        Ok(true)
    }

    /// The HAProxys that have yet to join a route, by farm.
    pub(crate) fn joining_routes(
        &self,
        state: &State,
        reports: &Reports,
    ) -> BTreeMap<FarmName, BTreeSet<InstanceName>> {
        let seen: BTreeMap<InstanceName, &Seen> = reports
            .iter()
            .filter(|(_, report)| report.reachable)
            .filter_map(|(name, report)| Some((name.clone(), report.seen.as_deref()?)))
            .collect();
        let farms = self.fleet.farms();
        let mut all = BTreeMap::new();
        for (name, route) in &state.routes {
            let Some(farm) = farms.get(name) else { continue };
            let new = seen.iter().filter(|(instance, seen)| {
                !route.instances.contains(*instance) && seen.servers.keys().any(|server| farm.has(server))
            });
            let new: Vec<&InstanceName> = new.map(|(instance, _)| instance).collect();
            if new.is_empty() {
                continue;
            }
            let Ok(layout) = farm.layout(&seen) else { continue };
            let fits = |instance: &&InstanceName| {
                live_side(farm, &layout.within(instance), &seen).is_ok_and(|live| live.is_some())
            };
            let new: BTreeSet<InstanceName> = new.into_iter().filter(fits).cloned().collect();
            if !new.is_empty() {
                all.insert(name.clone(), new);
            }
        }
        all
    }
}

/// Gives a new line the baseline of a line of the hold in a HAProxy that is not configured any more, if it has the same
/// name and appears in the very state that the hold wants: the HAProxy is taken to have another name now.
fn keep_renamed_baselines(changes: &mut [Change], hold: &Hold, state: &State, reports: &Reports) {
    let gone = |entry: &&Entry| !reports.contains_key(&entry.instance) && hold.entries.contains(*entry);
    let old: BTreeMap<_, _> =
        state.baselines.iter().filter(|(entry, _)| gone(entry)).map(|(entry, was)| (&entry.server, was)).collect();
    for change in changes {
        if let Change::PutBaseline(entry, was) = change
            && was.state == hold.wanted_state()
            && was.state > AdminState::Ready
            && let Some(before) = old.get(&entry.server)
        {
            *was = Baseline { origin: was.origin.take(), ..(*before).clone() };
        }
    }
}

/// A hash of the lines of each HAProxy that answers.
fn hashes_of_lines(reports: &Reports) -> BTreeMap<InstanceName, u64> {
    let answering = reports.iter().filter(|(_, report)| report.reachable);
    answering.map(|(name, report)| (name.clone(), report.lines)).collect()
}

/// The text of the event `hold.joined`.
fn joined_text(lines: &BTreeSet<Entry>, back: &BTreeSet<InstanceName>) -> String {
    let names: Vec<String> = lines.iter().map(ToString::to_string).collect();
    let back: Vec<&str> = back.iter().map(InstanceName::as_str).collect();
    match (names.is_empty(), back.is_empty()) {
        (_, true) => format!("{} came later: taken out as well", names.join(", ")),
        (true, false) => format!("HAProxy {} answers again", back.join(", ")),
        (false, false) => format!("HAProxy {} answers again: {} taken out as well", back.join(", "), names.join(", ")),
    }
}
