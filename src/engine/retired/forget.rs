//! Forgetting what the store keeps of farms and HAProxys that are not configured any more. Changes no traffic.

use crate::engine::fleet::reports::Found;
use crate::engine::fleet::reports::Reports;
use std::collections::BTreeSet;
use std::sync::Arc;

use crate::engine::error::{EngineError, Message};

use crate::engine::retired::left_over::{LeftOver, Retired, left_over};
use crate::engine::{Engine, Requester};
use crate::farm::{Entry, FarmName, Hold, InstanceName, Route};
use crate::haproxy::AdminState;
use crate::plan::Run;

use crate::state::{Change, State, asked, event};

impl Engine {
    /// Forgets everything of a farm or a HAProxy that is not configured. Gives what that was, for people.
    ///
    /// # Errors
    /// It is configured, a run of it has not ended, a server is still out by it, or there is nothing of it.
    pub async fn forget(self: &Arc<Self>, what: &Retired, by: &Requester) -> Result<String, EngineError> {
        self.is_retired(what)?;
        let reports = self.fleet.look_again().await;
        let mut ledger = self.record.begin(by).await?;
        self.is_retired(what)?;
        if let Some(run) = busy(what, &ledger.state) {
            let text = format!("run {} of farm {} has not ended, and {what} belongs to it", run.id, run.plan.farm);
            return Err(EngineError::Busy(Message::new(text).hint(format!("`teeter abort {}` ends it", run.id))));
        }
        let all = left_over(&ledger.state, &self.fleet.farms(), &self.fleet.instances.keys().collect());
        let Some(left) = all.get(what) else {
            let text = format!("the store has no records of {what}");
            return Err(EngineError::NotFound(Message::new(text).hint("`teeter doctor` lists all leftover records")));
        };
        still_out(what, left, &ledger.state, &reports)?;
        let changes = match what {
            Retired::Farm(farm) => farm_dropped(farm, left, &ledger.state, &reports),
            Retired::Haproxy(name) => haproxy_dropped(name, left, &ledger.state, ledger.next_revision()),
        };
        let text = format!("{what}: {left}");
        let happened = asked(event(self.clock.now(), "forgotten", text.clone(), None, None), &by.caller);
        ledger.write(changes, vec![happened]).await?;
        self.fleet.publish(&ledger.state);
        drop(ledger);
        self.fleet.nudge.notify_one();
        Ok(text)
    }

    fn is_retired(&self, what: &Retired) -> Result<(), EngineError> {
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

/// A run that has not ended and that is about it.
fn busy<'a>(what: &Retired, state: &'a State) -> Option<&'a Run> {
    let about = |run: &&Run| match what {
        Retired::Farm(farm) => run.plan.farm == *farm,
        Retired::Haproxy(name) => run.plan.entries().any(|entry| entry.instance == *name),
    };
    state.runs.values().filter(|run| run.is_active()).find(about)
}

/// Refuses to forget why a server is out that HAProxy has: nobody would bring it back.
fn still_out(what: &Retired, left: &LeftOver, state: &State, reports: &Reports) -> Result<(), EngineError> {
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
                Found::Here(server) if server.admin.forced() > AdminState::Ready => drop(out.insert(entry.to_string())),
                Found::Here(_) | Found::Gone => {}
            }
        }
    }
    if out.is_empty() {
        return Ok(());
    }
    let out: Vec<String> = out.into_iter().collect();
    let servers: BTreeSet<&str> =
        out.iter().map(|entry| entry.split_once(':').map_or(&**entry, |(_, it)| it)).collect();
    let servers = servers.into_iter().collect::<Vec<_>>().join(" ");
    let text = match out.as_slice() {
        [one] => format!("{one} is still out, held in the records of {what}"),
        all => format!("{} are still out, held in the records of {what}", all.join(", ")),
    };
    Err(EngineError::StillNeeded(Message::new(text).hint(format!("bring back first: `teeter ready {servers}`"))))
}

/// What a farm has left over goes; what a server was before it was held is kept where HAProxy has the server.
fn farm_dropped(farm: &FarmName, left: &LeftOver, state: &State, reports: &Reports) -> Vec<Change> {
    let route = left.route.iter().map(|_| Change::DropRoute(farm.clone()));
    let holds = left.holds.keys().map(|id| Change::DropHold(*id));
    let others = |entry: &Entry| holding(entry, state).any(|hold| !left.holds.contains_key(&hold.id));
    let gone = |entry: &&Entry| !matches!(reports.find(entry), Found::Here(_)) && !others(entry);
    let lines = left.holds.values().flatten().filter(gone).map(|entry| Change::DropBaseline(entry.clone()));
    route.chain(holds).chain(lines).collect()
}

/// The lines of a HAProxy leave holds and routes; what is left empty by that goes.
fn haproxy_dropped(name: &InstanceName, left: &LeftOver, state: &State, revision: u64) -> Vec<Change> {
    let mut changes = Vec::new();
    for route in left.routes.iter().filter_map(|farm| state.routes.get(farm)) {
        let instances: BTreeSet<InstanceName> = route.instances.iter().filter(|it| *it != name).cloned().collect();
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

fn holding<'a>(entry: &'a Entry, state: &'a State) -> impl Iterator<Item = &'a Hold> {
    state.holds.values().filter(move |hold| hold.entries.contains(entry))
}
