//! Lines that come while their server is held: by a reload, `add server`, or a HAProxy that appears.

use crate::engine::fleet::reports::Reports;
use crate::engine::memory::Joined;

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use crate::engine::Engine;
use crate::engine::error::EngineError;

use crate::engine::record::ledger::Ledger;
use crate::farm::{Baseline, Entry, FarmName, Hold, HoldId, InstanceName, Seen, newcomers};
use crate::haproxy::commands::Level;
use crate::haproxy::{AdminState, BackendName};

use crate::state::{Change, State, event};

/// What a hold makes of the lines that its selectors name by now.
#[derive(Debug, Default)]
pub(crate) struct Joining {
    /// Those that it takes out.
    pub(crate) lines: BTreeSet<Entry>,
    /// HAProxys that it went on without, and that answer now.
    pub(crate) back: BTreeSet<InstanceName>,
    /// Those that stay in traffic, and why.
    pub(crate) refused: BTreeMap<Entry, String>,
}

impl Engine {
    /// Takes out the lines that have come, each with a record of what it was. Whether there were any.
    pub(crate) async fn join_lines(
        &self,
        ledger: &mut Ledger,
        reports: &Reports,
        now: Timestamp,
    ) -> Result<bool, EngineError> {
        let lines = answering(reports);
        let mut changed = self.runs_are_whole(ledger, reports).await?;
        let ids: Vec<HoldId> = ledger.state.holds.keys().copied().collect();
        for id in ids {
            let Some(hold) = ledger.state.holds.get(&id).cloned() else { continue };
            let looked = Joined { revision: hold.revision, lines: lines.clone() };
            if self.memory().joined(id) == Some(&looked) {
                continue;
            }
            let joining = self.joining(&hold, &ledger.state, reports);
            if joining.refused.is_empty() {
                self.memory().of(&hold).joined = Some(looked);
            }
            if joining.lines.is_empty() && joining.back.is_empty() {
                continue;
            }
            let Joining { lines, back, .. } = joining;
            let revision = ledger.next_revision();
            let joined = Hold { revision, ..hold.joined(&lines, &back, now) };
            let mut changes = ledger.state.new_baselines(&lines, &reports.observed());
            as_under_old_name(&mut changes, &hold, &ledger.state, reports);
            changes.push(Change::PutHold(Box::new(joined)));
            let happened = event(now, "hold.joined", told(&lines, &back), hold.owner.run(), Some(id));
            ledger.write(changes, vec![happened]).await?;
            changed = true;
        }
        Ok(changed)
    }

    /// Lets runs count on HAProxys that they were begun without, and that answer now.
    async fn runs_are_whole(&self, ledger: &mut Ledger, reports: &Reports) -> Result<bool, EngineError> {
        let answers = |name: &InstanceName| reports.get(name).is_some_and(|report| report.reachable);
        let runs = ledger.state.runs.values().filter(|run| run.is_active() && run.reach.without.iter().any(answers));
        let whole = runs.map(|run| {
            let mut run = run.clone();
            run.reach.without.retain(|name| !answers(name));
            Change::PutRun(Box::new(run))
        });
        let changes: Vec<Change> = whole.collect();
        if changes.is_empty() {
            return Ok(false);
        }
        ledger.write(changes, Vec::new()).await?;
        Ok(true)
    }

    /// What a hold makes of the lines that are there now, unless it is known to make nothing of them.
    pub(crate) fn joining_now(&self, hold: &Hold, state: &State, reports: &Reports) -> Joining {
        let looked = Joined { revision: hold.revision, lines: answering(reports) };
        if self.memory().joined(hold.id) == Some(&looked) {
            return Joining::default();
        }
        self.joining(hold, state, reports)
    }

    /// What a hold makes of the lines that are there now. The last usable servers of a backend that gets traffic stay:
    /// nobody has said that it may be left without any.
    fn joining(&self, hold: &Hold, state: &State, reports: &Reports) -> Joining {
        let answers = |name: &InstanceName| reports.get(name).is_some_and(|report| report.reachable);
        let there: Reports =
            reports.iter().filter(|(name, _)| answers(name)).map(|(name, it)| (name.clone(), it.clone())).collect();
        let back = hold.reach.without.iter().filter(|name| answers(name)).cloned().collect();
        let mut joining = Joining { back, ..Joining::default() };
        if !hold.reach.follows {
            return joining;
        }
        let seen: BTreeMap<InstanceName, &Seen> = there.seen();
        let named = newcomers(hold, &self.fleet.farms(), &seen);
        let all = &there.with_trackers(&(&named | &hold.entries)) - &hold.entries;
        let mut backends: BTreeMap<(InstanceName, BackendName), BTreeSet<Entry>> = BTreeMap::new();
        let takes_orders =
            |entry: &Entry| seen.get(&entry.instance).is_some_and(|seen| !seen.is_disabled(&entry.server.backend));
        for entry in all.iter().filter(|entry| takes_orders(entry) && !hold.reach.skipped.contains(*entry)) {
            let backend = (entry.instance.clone(), entry.server.backend.clone());
            backends.entry(backend).or_default().insert(entry.clone());
        }
        for ((name, backend), lines) in backends {
            let level = there.get(&name).and_then(|report| report.level).filter(|level| *level < Level::Admin);
            let why = match level {
                Some(level) => Some(format!("the stats socket of HAProxy {name} has level {level}")),
                None => self
                    .is_last(&lines, state, &there)
                    .then(|| format!("HAProxy {name} would have no other usable server in backend {backend}")),
            };
            match why {
                None => joining.lines.extend(lines),
                Some(why) => joining.refused.extend(lines.into_iter().map(|line| (line, why.clone()))),
            }
        }
        joining
    }

    /// Adds HAProxys to the routes of farms whose servers they have, once they answer and their maps fit: they are told
    /// where the traffic goes. Whether there were any.
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
            let text = format!("HAProxy {} answers and is told where the traffic of {name} goes", names.join(", "));
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

    /// The HAProxys that are to be told of a route and are not, by farm.
    pub(crate) fn joining_routes(
        &self,
        state: &State,
        reports: &Reports,
    ) -> BTreeMap<FarmName, BTreeSet<InstanceName>> {
        let there: BTreeMap<InstanceName, &Seen> = reports
            .iter()
            .filter(|(_, report)| report.reachable)
            .filter_map(|(name, report)| Some((name.clone(), report.seen.as_deref()?)))
            .collect();
        let farms = self.fleet.farms();
        let mut all = BTreeMap::new();
        for (name, route) in &state.routes {
            let Some(farm) = farms.get(name) else { continue };
            let new = there.iter().filter(|(instance, seen)| {
                !route.instances.contains(*instance) && seen.servers.keys().any(|server| farm.has(server))
            });
            let new: Vec<&InstanceName> = new.map(|(instance, _)| instance).collect();
            if new.is_empty() {
                continue;
            }
            let Ok(layout) = farm.layout(&there) else { continue };
            let fits = |instance: &&InstanceName| {
                crate::farm::live_side(farm, &layout.within(instance), &there).is_ok_and(|live| live.is_some())
            };
            let new: BTreeSet<InstanceName> = new.into_iter().filter(fits).cloned().collect();
            if !new.is_empty() {
                all.insert(name.clone(), new);
            }
        }
        all
    }
}

/// A line that comes in the very state in which the hold has the same line of a HAProxy that is not configured any more is
/// taken for that one under another name: it was before what that was.
fn as_under_old_name(changes: &mut [Change], hold: &Hold, state: &State, reports: &Reports) {
    let gone = |entry: &&Entry| !reports.contains_key(&entry.instance) && hold.entries.contains(*entry);
    let old: BTreeMap<_, _> =
        state.baselines.iter().filter(|(entry, _)| gone(entry)).map(|(e, was)| (&e.server, was)).collect();
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

/// What lines each HAProxy has that answers, in short.
fn answering(reports: &Reports) -> BTreeMap<InstanceName, u64> {
    let answering = reports.iter().filter(|(_, report)| report.reachable);
    answering.map(|(name, report)| (name.clone(), report.lines)).collect()
}

fn told(lines: &BTreeSet<Entry>, back: &BTreeSet<InstanceName>) -> String {
    let names: Vec<String> = lines.iter().map(ToString::to_string).collect();
    let back: Vec<&str> = back.iter().map(InstanceName::as_str).collect();
    match (names.is_empty(), back.is_empty()) {
        (_, true) => format!("{} came later: taken out as well", names.join(", ")),
        (true, false) => format!("HAProxy {} answers again", back.join(", ")),
        (false, false) => format!("HAProxy {} answers again: {} taken out as well", back.join(", "), names.join(", ")),
    }
}
