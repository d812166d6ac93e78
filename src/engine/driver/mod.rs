//! The background task: looks at every hold and run when something was seen or a time has come.

mod interference;

use crate::engine::fleet::reports::Reports;

use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::Notify;

use crate::engine::Engine;
use crate::engine::error::EngineError;

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
        // Deadlines are looked at in every pass; a pass is cheap and instances nudge when they see something.
        tokio::time::timeout(PASS_AT_LEAST, nudge.notified()).await.ok();
    }
}

impl Engine {
    /// Lets every hold and run take the steps that it can take now.
    async fn drive_once(self: &Arc<Self>) -> Result<(), EngineError> {
        let reports = self.fleet.reports();
        let mut ledger = self.record.lock().await;
        // Before anything is made of the lines that it has under its new name.
        while self.take_over_renamed(&mut ledger, &reports).await? {
            self.fleet.publish(&ledger.state);
        }
        self.note_processes(&mut ledger, &reports).await?;
        self.note_drifts(&mut ledger, &reports).await?;
        self.forget_overruled(&mut ledger, &reports).await?;
        // Each pass may make another possible: a hold that is drained lets its run go on.
        for _ in 0..PASSES {
            self.fleet.publish_news(&ledger.state);
            let now = self.time_of_pass();
            let changed = self.note_callers(&mut ledger).await?
                | self.join_lines(&mut ledger, &reports, now).await?
                | self.join_routes(&mut ledger, &reports, now).await?
                | self.step_holds(&mut ledger, &reports, now).await?
                | self.step_runs(&mut ledger, &reports, now).await?
                | self.forget_given_back(&mut ledger, &reports).await?
                | self.tend_routes(&mut ledger, &reports, now).await?;
            if !changed {
                break;
            }
        }
        self.memory().retain(&ledger.state);
        Ok(())
    }

    /// The time by which one pass judges what waits. It is read once, with the mark that tells how long the pass before
    /// is ago: whenever teeterd is stopped, or its disk takes its time, that is noticed before a deadline is looked at.
    fn time_of_pass(&self) -> Timestamp {
        let mark = self.clock.mark();
        let now = self.clock.at(mark);
        let mut memory = self.memory();
        let before = memory.looked.replace(mark);
        if before.is_some_and(|before| mark.duration_since(before) > STOPPED) {
            tracing::warn!("teeterd did not run for a while: what is waited for is counted from now on");
            memory.resume(now);
        }
        now
    }

    /// Records when another HAProxy process is there than before.
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
            let text = format!("HAProxy {name} is another process: {which}; what it had been told is told again");
            let there = |run: &&Run| run.is_active() && run.plan.entries().any(|entry| entry.instance == *name);
            let mut runs: Vec<_> = ledger.state.runs.values().filter(there).map(|run| Some(run.id)).collect();
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

    /// The process before may go on serving what it had, and without the master's socket nobody can look.
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
            let told = event(self.clock.now(), "hold.doubt", note.clone(), hold.owner.run(), Some(hold.id));
            let hold = Hold { note: Some(note), revision: ledger.next_revision(), ..hold.clone() };
            (Change::PutHold(Box::new(hold)), told)
        })
        .unzip()
    }

    /// Keeps routes as the configuration has them, and leaves them to others when all of a farm gets its traffic again
    /// or when the configuration has none any more. Not while a run needs them.
    async fn tend_routes(&self, ledger: &mut Ledger, reports: &Reports, now: Timestamp) -> Result<bool, EngineError> {
        let state = &ledger.state;
        let farms = self.fleet.farms();
        let mut changes = Vec::new();
        for (name, route) in &state.routes {
            let busy = state.runs.values().any(|run| run.is_active() && run.plan.farm == *name);
            // While a map is not there nobody knows where the traffic goes: the route keeps the last servers in.
            let told = |name| {
                let maps = || route.keys.iter().map(|key| &key.map);
                let report = reports.get(name).filter(|report: &&InstanceReport| report.agreed >= state.revision);
                report.is_some_and(|report| report.untold.reason(maps(), []).is_none())
            };
            if busy || !route.instances.iter().all(told) {
                self.memory().settled.remove(name);
                continue;
            }
            let flip = farms.get(name).map(|farm| &farm.settings.flip).filter(|flip| !flip.route.is_empty());
            let Some(flip) = flip.filter(|flip| flip.route.iter().all(|key| key.backend(&route.live).is_some())) else {
                changes.push(Change::DropRoute(name.clone()));
                continue;
            };
            // The versions that clients are told must last; otherwise the map is as somebody may change it, once no
            // process can come any more that has read the map's file before it was turned.
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

    /// Forgets what servers were, once nobody holds them and HAProxy has them as they were.
    async fn forget_given_back(&self, ledger: &mut Ledger, reports: &Reports) -> Result<bool, EngineError> {
        let state = &ledger.state;
        let held = |entry| state.holds.values().any(|hold| hold.entries.contains(entry));
        // A run that may still have to undo its change needs what servers were.
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
            report.is_some_and(|report| !report.untold.servers.contains_key(&entry.server))
        };
        let gone = state.baselines.keys().filter(|entry| !held(entry) && !undoable(entry) && agreed(entry));
        let changes: Vec<Change> = gone.map(|entry| Change::DropBaseline(entry.clone())).collect();
        if changes.is_empty() {
            return Ok(false);
        }
        ledger.write(changes, Vec::new()).await?;
        Ok(true)
    }
}

/// More steps than any hold and run can take at once.
const PASSES: usize = 32;

/// Between two passes of a daemon that runs it is never that long.
const STOPPED: Duration = Duration::from_secs(5);

/// From reading the map's file until a new process serves: with many certificates and names to resolve it is seconds.
const A_RELOAD_TAKES: Span = Span::from_secs(10);

const PASS_AT_LEAST: Duration = Duration::from_millis(250);
