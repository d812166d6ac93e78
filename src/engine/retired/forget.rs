//! Deletes what the store keeps of farms and HAProxys that are not configured any more. Changes no traffic.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::engine::error::{EngineError, Message};
use crate::engine::fleet::reports::{Found, Reports};
use crate::engine::retired::left_over::{LeftOver, Retired, left_over};
use crate::engine::{Engine, Requester};
use crate::farm::{Entry, FarmName, Hold, InstanceName, Route};
use crate::haproxy::AdminState;
use crate::plan::Run;
use crate::state::{Change, State, asked, event};

impl Engine {
    /// Forgets everything of a farm or a HAProxy that is not configured. Returns a list of that for people.
    ///
    /// # Errors
    /// It is configured, a run of it has not ended, one of its holds keeps a server out, or the store has nothing of
    /// it.
    pub async fn forget(self: &Arc<Self>, what: &Retired, by: &Requester) -> Result<String, EngineError> {
        self.require_retired(what)?;
        let reports = self.fleet.look_again().await;
        let mut ledger = self.record.begin(by).await?;
        self.require_retired(what)?;
        if let Some(run) = active_run(what, &ledger.state) {
            let text = format!("run {} of farm {} has not ended, and {what} belongs to it", run.id, run.plan.farm);
            return Err(EngineError::Busy(Message::new(text).hint(format!("`teeter abort {}` ends it", run.id))));
        }
        let all = left_over(&ledger.state, &self.fleet.farms(), &self.fleet.instances.keys().collect());
        let Some(left) = all.get(what) else {
            let text = format!("the store has no records of {what}");
            return Err(EngineError::NotFound(Message::new(text).hint("`teeter doctor` lists all leftover records")));
        };
        require_none_out(what, left, &ledger.state, &reports)?;
        let changes = match what {
            Retired::Farm(farm) => forget_farm(farm, left, &ledger.state, &reports),
            Retired::Haproxy(name) => forget_haproxy(name, left, &ledger.state, ledger.next_revision()),
        };
        let text = format!("{what}: {left}");
        let happened = asked(event(self.clock.now(), "forgotten", text.clone(), None, None), &by.caller);
        ledger.write(changes, vec![happened]).await?;
        self.fleet.publish(&ledger.state);
        drop(ledger);
        self.fleet.nudge.notify_one();
        Ok(text)
    }

    /// Refuses if the farm or the HAProxy is configured.
    fn require_retired(&self, what: &Retired) -> Result<(), EngineError> {
        let configured = match what {
            Retired::Farm(farm) => self.fleet.farms().contains_key(farm),
            Retired::Haproxy(name) => self.fleet.instances.contains_key(name),
        };
        let read = match what {
            Retired::Farm(_) => "`systemctl reload teeterd`",
            Retired::Haproxy(_) => "`systemctl restart teeterd`",
        };
        match configured {
            true => {
                let text = format!("{what} is configured, so its records in the store are needed");
                let hint = format!("remove it from teeterd's configuration first, then {read}");
                Err(EngineError::StillNeeded(Message::new(text).hint(hint)))
            }
            false => Ok(()),
        }
    }
}

/// An active run of the farm or the HAProxy.
fn active_run<'a>(what: &Retired, state: &'a State) -> Option<&'a Run> {
    let belongs = |run: &&Run| match what {
        Retired::Farm(farm) => run.plan.farm == *farm,
        Retired::Haproxy(name) => run.plan.entries().any(|entry| entry.instance == *name),
    };
    state.runs.values().filter(|run| run.is_active()).find(belongs)
}

/// Refuses to forget holds that keep servers of a HAProxy out: no user would know why, or bring them back.
fn require_none_out(what: &Retired, left: &LeftOver, state: &State, reports: &Reports) -> Result<(), EngineError> {
    let mut out = BTreeSet::new();
    for (id, entries) in &left.holds {
        let Some(hold) = state.holds.get(id).filter(|hold| hold.wanted_state() > AdminState::Ready) else { continue };
        for entry in entries.iter().filter(|entry| reports.contains_key(&entry.instance)) {
            match reports.find(entry) {
                Found::Unknown => {
                    let trouble = reports.get(&entry.instance).and_then(|report| report.trouble.clone());
                    return Err(EngineError::Unreachable(format!(
                        "whether {entry} is still out by hold {} is not known: {}",
                        hold.id,
                        trouble.unwrap_or_default()
                    )));
                }
                Found::Here(server) if server.admin.forced() > AdminState::Ready => {
                    out.insert(entry.to_string());
                }
                Found::Here(_) | Found::Gone => {}
            }
        }
    }
    if out.is_empty() {
        return Ok(());
    }
    let out: Vec<String> = out.into_iter().collect();
    let servers: BTreeSet<&str> =
        out.iter().map(|entry| entry.split_once(':').map_or(&**entry, |(_, server)| server)).collect();
    let servers = servers.into_iter().collect::<Vec<_>>().join(" ");
    let text = match out.as_slice() {
        [one] => format!("{one} is still out, held in the records of {what}"),
        all => format!("{} are still out, held in the records of {what}", all.join(", ")),
    };
    Err(EngineError::StillNeeded(Message::new(text).hint(format!("bring back first: `teeter ready {servers}`"))))
}

/// The changes that forget a farm. The baseline of a server that HAProxy has stays.
fn forget_farm(farm: &FarmName, left: &LeftOver, state: &State, reports: &Reports) -> Vec<Change> {
    let route = left.route.iter().map(|_| Change::DropRoute(farm.clone()));
    let holds = left.holds.keys().map(|id| Change::DropHold(*id));
    let others = |entry: &Entry| holds_on(entry, state).any(|hold| !left.holds.contains_key(&hold.id));
    let gone = |entry: &&Entry| !matches!(reports.find(entry), Found::Here(_)) && !others(entry);
    let lines = left.holds.values().flatten().filter(gone).map(|entry| Change::DropBaseline(entry.clone()));
    route.chain(holds).chain(lines).collect()
}

/// The changes that forget a HAProxy: its lines leave holds and routes, and empty holds and routes are dropped.
fn forget_haproxy(name: &InstanceName, left: &LeftOver, state: &State, revision: u64) -> Vec<Change> {
    let mut changes = Vec::new();
    for route in left.routes.iter().filter_map(|farm| state.routes.get(farm)) {
        let instances: BTreeSet<InstanceName> =
            route.instances.iter().filter(|other| *other != name).cloned().collect();
        changes.push(match instances.is_empty() {
            true => Change::DropRoute(route.farm.clone()),
            false => Change::PutRoute(Box::new(Route { instances, ..route.clone() })),
        });
    }
    for (id, gone) in &left.holds {
        let Some(hold) = state.holds.get(id) else { continue };
        let entries: BTreeSet<Entry> = &hold.entries - gone;
        changes.push(match entries.is_empty() {
            true => Change::DropHold(*id),
            false => Change::PutHold(Box::new(Hold { entries, revision, ..hold.clone() })),
        });
    }
    let lines = state.baselines.keys().filter(|entry| entry.instance == *name);
    changes.extend(lines.map(|entry| Change::DropBaseline(entry.clone())));
    changes
}

/// The holds that have a line.
fn holds_on<'a>(entry: &'a Entry, state: &'a State) -> impl Iterator<Item = &'a Hold> {
    state.holds.values().filter(move |hold| hold.entries.contains(entry))
}
