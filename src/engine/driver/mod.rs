//! The background task: it drives every hold and run when a HAProxy has reported or a time has come.

mod interference;

use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::Notify;

use crate::engine::Engine;
use crate::engine::error::EngineError;
use crate::engine::fleet::reports::Reports;
use crate::engine::record::ledger::Ledger;
use crate::farm::{Entry, Hold, InstanceName, Route, Side, Span, Stage, Sticky};
use crate::plan::Run;
use crate::platform::chain;
use crate::reconcile::InstanceReport;
use crate::state::{Change, NewEvent, event};

/// Drives holds and runs until the engine is dropped.
pub(crate) async fn drive(engine: Weak<Engine>, nudge: Arc<Notify>) {
    loop {
        {
            let Some(engine) = engine.upgrade() else { return };
            engine.passes.fetch_add(1, Ordering::Relaxed);
            engine.record.try_the_store_again().await;
            if let Err(error) = engine.drive_once().await {
                tracing::error!("cannot go on: {}", chain(&error));
            }
            engine.fleet.bump();
        }
        // Every pass checks deadlines. A pass is cheap, and instances nudge the driver when they see a change.
        let _ = tokio::time::timeout(PASS_AT_LEAST, nudge.notified()).await;
    }
}

impl Engine {
    /// Lets every hold and run take all the steps that it can take now.
    async fn drive_once(self: &Arc<Self>) -> Result<(), EngineError> {
        let reports = self.fleet.reports();
        let mut ledger = self.record.lock().await;
        // Renamed HAProxys first: nothing may be worked out from their lines under the new name before.
        while self.take_over_renamed(&mut ledger, &reports).await? {
            self.fleet.publish(&ledger.state);
        }
        self.note_processes(&mut ledger, &reports).await?;
        self.note_drifts(&mut ledger, &reports).await?;
        self.forget_overruled(&mut ledger, &reports).await?;
        // One step may make another possible: when a hold is drained, its run goes on.
        for _ in 0..PASSES {
            self.fleet.publish_if_behind(&ledger.state);
            let now = self.time_of_pass();
            let changed = self.note_callers(&mut ledger).await?
                | self.join_lines(&mut ledger, &reports, now).await?
                | self.join_routes(&mut ledger, &reports, now).await?
                | self.step_holds(&mut ledger, &reports, now).await?
                | self.step_runs(&mut ledger, &reports, now).await?
                | self.forget_restored(&mut ledger, &reports).await?
                | self.tend_routes(&mut ledger, &reports, now).await?;
            if !changed {
                break;
            }
        }
        self.memory().retain(&ledger.state);
        Ok(())
    }

    /// The time by which one pass checks deadlines. It is read once, together with the mark that tells how long ago the
    /// last pass was: a teeterd that was suspended, or whose disk was slow, notices that before it checks a deadline.
    fn time_of_pass(&self) -> Timestamp {
        let mark = self.clock.mark();
        let now = self.clock.at(mark);
        let mut memory = self.memory();
        let before = memory.looked.replace(mark);
        if before.is_some_and(|before| mark.duration_since(before) > STOPPED) {
            tracing::warn!("teeterd did not run for a while: the times of waits are counted from now on");
            memory.resume(now);
        }
        now
    }

    /// Records that another HAProxy process runs than before.
    async fn note_processes(&self, ledger: &mut Ledger, reports: &Reports) -> Result<(), EngineError> {
        for (name, report) in reports {
            let Some(process) = report.seen.as_ref().map(|seen| seen.process()) else { continue };
            let before = *self.memory().instances.entry(name.clone()).or_default().process.get_or_insert(process);
            if before.is_same(&process) {
                continue;
            }
            let which = match process.pid {
                pid if pid == before.pid => format!("{pid} as before, but started later"),
                pid => format!("{} before, {pid} now", before.pid),
            };
            let text = format!("HAProxy {name} is another process: {which}; everything is sent to it again");
            let uses_it = |run: &&Run| run.is_active() && run.plan.entries().any(|entry| entry.instance == *name);
            let mut runs: Vec<_> = ledger.state.runs.values().filter(uses_it).map(|run| Some(run.id)).collect();
            if runs.is_empty() {
                runs.push(None);
            }
            let happened = |run| event(self.clock.now(), "haproxy.process", text.clone(), run, None);
            let (changes, doubts) = if report.sees_old { Default::default() } else { self.doubts(name, ledger) };
            let events = runs.into_iter().map(happened).chain(doubts).collect();
            let note = || {
                self.memory().instances.entry(name.clone()).or_default().process = Some(process);
            };
            ledger.write_once(changes, events, note).await?;
            self.fleet.publish(&ledger.state);
        }
        Ok(())
    }

    /// Notes on draining holds that the process before may still serve their requests: without the master's socket
    /// teeter cannot see it.
    fn doubts(&self, name: &InstanceName, ledger: &Ledger) -> (Vec<Change>, Vec<NewEvent>) {
        let mut memory = self.memory();
        let holds = ledger.state.holds.values().filter(|hold| hold.entries.iter().any(|e| e.instance == *name));
        let draining = holds.filter(|hold| matches!(hold.stage, Stage::Draining(_)));
        let left =
            draining.map(|hold| (hold, memory.for_hold(hold).watch.left(hold))).filter(|(_, left)| !left.is_empty());
        left.map(|(hold, left)| {
            let note = format!(
                "HAProxy {name} was replaced with {left} in flight; the process before may still serve them, unseen: \
                 `master = \"…\"` under [[haproxy]] shows such processes"
            );
            let happened = event(self.clock.now(), "hold.doubt", note.clone(), hold.owner.run(), Some(hold.id));
            let hold = Hold { note: Some(note), revision: ledger.next_revision(), ..hold.clone() };
            (Change::PutHold(Box::new(hold)), happened)
        })
        .unzip()
    }

    /// Updates stored routes to the configuration. Drops a route once all of its farm gets the traffic again, or when
    /// the configuration has it no more: its maps may then be changed outside teeter. Leaves routes that a run needs.
    async fn tend_routes(&self, ledger: &mut Ledger, reports: &Reports, now: Timestamp) -> Result<bool, EngineError> {
        let state = &ledger.state;
        let farms = self.fleet.farms();
        let mut changes = Vec::new();
        for (name, route) in &state.routes {
            let busy = state.runs.values().any(|run| run.is_active() && run.plan.farm == *name);
            // While a map is missing it is not known where the traffic goes: the route keeps the last servers in.
            let confirmed = |name| {
                let maps = || route.keys.iter().map(|key| &key.map);
                let report = reports.get(name).filter(|report: &&InstanceReport| report.agreed >= state.revision);
                report.is_some_and(|report| report.withheld.reason(maps(), []).is_none())
            };
            if busy || !route.instances.iter().all(confirmed) {
                self.memory().settled.remove(name);
                continue;
            }
            let flip = farms.get(name).map(|farm| &farm.settings.flip).filter(|flip| !flip.route.is_empty());
            let Some(flip) = flip.filter(|flip| flip.route.iter().all(|key| key.backend(&route.live).is_some())) else {
                changes.push(Change::DropRoute(name.clone()));
                continue;
            };
            // A pinning route stays, for the versions of its clients. Any other goes once no new process can appear
            // that has read the map's file before the switch.
            if route.live == Side::All && route.sticky != Sticky::Pin {
                let since = *self.memory().settled.entry(name.clone()).or_insert(now);
                if now >= A_RELOAD_TAKES.after(since) {
                    changes.push(Change::DropRoute(name.clone()));
                    continue;
                }
            }
            let (keys, sticky, write_map) = (flip.route.clone(), flip.sticky(), flip.write_map);
            let wanted = Route { keys, sticky, write_map, ..route.clone() };
            if wanted != *route {
                changes.push(Change::PutRoute(Box::new(wanted)));
            }
        }
        if changes.is_empty() {
            return Ok(false);
        }
        ledger.write(changes, Vec::new()).await?;
        Ok(true)
    }

    /// Forgets the baselines of servers that no hold has, once HAProxy has them as they were.
    async fn forget_restored(&self, ledger: &mut Ledger, reports: &Reports) -> Result<bool, EngineError> {
        let state = &ledger.state;
        let held = |entry| state.holds.values().any(|hold| hold.entries.contains(entry));
        // A run that may still undo its change needs the baselines.
        let undoable = |entry| {
            state
                .runs
                .values()
                .filter(|run| run.is_active() && run.step.acted.is_some())
                .flat_map(|run| &run.step.undo)
                .any(|undo| matches!(undo, crate::plan::Undo::Put(hold) if hold.entries.contains(entry)))
        };
        let agreed = |entry: &Entry| {
            let report = reports.get(&entry.instance).filter(|report| report.agreed >= state.revision);
            report.is_some_and(|report| !report.withheld.servers.contains_key(&entry.server))
        };
        let restored = state.baselines.keys().filter(|entry| !held(entry) && !undoable(entry) && agreed(entry));
        let changes: Vec<Change> = restored.map(|entry| Change::DropBaseline(entry.clone())).collect();
        if changes.is_empty() {
            return Ok(false);
        }
        ledger.write(changes, Vec::new()).await?;
        Ok(true)
    }
}

/// More passes than the steps that any hold and run can take at once.
const PASSES: usize = 32;

/// A longer time between two passes means that the daemon was suspended or stuck.
const STOPPED: Duration = Duration::from_secs(5);

/// From reading the map's file until a new process serves: with many certificates and names to resolve it takes
/// seconds.
const A_RELOAD_TAKES: Span = Span::from_secs(10);

/// A pass begins at least this often, even if nothing nudges the driver.
const PASS_AT_LEAST: Duration = Duration::from_millis(250);
