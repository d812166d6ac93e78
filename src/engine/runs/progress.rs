//! Carrying out what the machine of `plan` decides about runs.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use crate::engine::Engine;
use crate::engine::error::EngineError;
use crate::engine::fleet::loads::maps_of;
use crate::engine::fleet::reports::{NOT_CONFIGURED, Reports};
use crate::engine::memory::Memory;
use crate::engine::record::ledger::Ledger;
use crate::engine::runs::in_service::{emptied_backend, left_in_service};
use crate::engine::runs::watching::all_counted;
use crate::farm::{Entry, InstanceName, SeenServer};
use crate::plan::machine::{self, Confirmation, Facts, Outcome};
use crate::plan::{Flipped, Run, RunState, Step, Wait, not_deployed_to, roles};
use crate::state::{Caller, Change, Effects, asked, event};

impl Engine {
    /// Lets every run take the step that it can take now. Returns whether any did.
    pub(crate) async fn step_runs(
        self: &Arc<Self>,
        ledger: &mut Ledger,
        reports: &Reports,
        now: Timestamp,
    ) -> Result<bool, EngineError> {
        if !self.record.holds_lease() {
            return Ok(false);
        }
        let mut changed = false;
        let active = ledger.state.runs.values().filter(|run| run.is_active());
        let active: Vec<Run> = active.filter_map(|run| self.as_driven(run, reports, now)).collect();
        self.ask_for_runs(active.iter());
        for run in active {
            self.count_for_watches(&run, reports, now);
            let facts = self.facts(&run, ledger, reports);
            let outcome = machine::handle_tick(&run, &facts, now);
            changed |= self.carry_out(ledger, &run, outcome, reports, None).await?;
        }
        Ok(changed)
    }

    /// The run as this teeterd drives it; `None` until it has seen every HAProxy of the plan. The times of a step count
    /// from then on: while no teeterd ran, no HAProxy could confirm and no server could answer. The times of the
    /// caller's work and of the bake go on. A HAProxy that is configured no longer is never seen: a step that holds its
    /// servers would not know their states before.
    fn as_driven(&self, run: &Run, reports: &Reports, now: Timestamp) -> Option<Run> {
        let instances: BTreeSet<&InstanceName> = run.plan.entries().map(|entry| &entry.instance).collect();
        let without = self.fleet.without_for_run(run, reports);
        let unseen = |name: &InstanceName| match reports.get(name) {
            _ if without.contains(name) => None,
            None => Some(Some(NOT_CONFIGURED.to_owned())),
            Some(report) => report.seen.is_none().then(|| report.trouble.clone()),
        };
        let (instances, troubles): (Vec<_>, Vec<_>) =
            instances.into_iter().filter_map(|name| Some((name.clone(), unseen(name)?))).unzip();
        let mut memory = self.memory();
        if run.state == RunState::Running && !instances.is_empty() {
            let trouble = troubles.into_iter().flatten().next();
            memory.run(run.id).wait = Some(Wait::Confirmation { instances, trouble });
            return None;
        }
        let from = *memory.run(run.id).driven_from.get_or_insert(now);
        let mut run = run.clone();
        if !matches!(run.current(), Some(Step::Work { .. } | Step::Bake { .. })) {
            run.step.since = run.step.since.max(from);
        }
        Some(run)
    }

    /// The facts from which the machine decides about a run.
    pub(crate) fn facts<'a>(&self, run: &Run, ledger: &'a Ledger, reports: &Reports) -> Facts<'a> {
        let without = self.fleet.without_for_run(run, reports);
        let pending = |revision| reports.confirmation(revision, run.plan.entries(), &maps_of(&run.plan), &without);
        let watching = self.memory().runs.get(&run.id).map(|memory| memory.watching.facts());
        Facts {
            holds: &ledger.state.holds,
            confirmation: run.step.acted.map_or(Confirmation::Agreed, pending),
            live: ledger.state.live(&run.plan.farm),
            not_up: lines_not_up(run, ledger, reports, &without),
            answers: self.answers(run),
            figures: watching.as_ref().and_then(|(figures, _)| figures.clone()),
            past: watching.map(|(_, past)| past).unwrap_or_default(),
            all: all_counted(run, reports),
            stays: left_in_service(run, &ledger.state, reports),
            last_of: emptied_backend(run, reports),
        }
    }

    /// Stores the run that the machine returned, together with the changes of its actions. Returns whether there was
    /// any.
    pub(crate) async fn carry_out(
        &self,
        ledger: &mut Ledger,
        before: &Run,
        outcome: Outcome,
        reports: &Reports,
        by: Option<(&Caller, String)>,
    ) -> Result<bool, EngineError> {
        let (run, actions) = match outcome {
            Outcome::Wait(wait) => {
                self.memory().run(before.id).wait = Some(wait);
                return Ok(false);
            }
            Outcome::Rest => return Ok(false),
            Outcome::Go(run, actions) => (*run, actions),
        };
        self.memory().run(run.id).wait = None;
        let now = self.clock.now();
        let Effects { mut run, changes, mut events } =
            ledger.state.effects(before, run, actions, &reports.observed(), now);
        if let (Some(flipped), true) = (flipped(before, reports, now), run.cursor > before.cursor) {
            if let Some(event) = events.first_mut() {
                let took = Duration::from_micros(flipped.took).as_secs_f64() * 1000.0;
                event.text = format!("{} (commands took {took:.2} ms from the first to the last reply)", event.text);
            }
            run.flips.push(flipped);
        }
        if before.is_active() && run.state == RunState::Done {
            let held = |entry: &Entry| ledger.state.holds.values().any(|hold| hold.entries.contains(entry));
            let serves = |entry: &Entry| !held(entry) && reports.server(entry).is_some_and(SeenServer::is_usable);
            let left = not_deployed_to(&run, serves);
            events.extend(left.iter().map(|text| event(now, "run.remark", text.clone(), Some(run.id), None)));
            run.remarks.extend(left);
        }
        if let Some((caller, what)) = by {
            events.insert(0, asked(event(now, "run.asked", what, Some(run.id), None), caller));
        }
        if events.is_empty() && !changes.is_empty() {
            let step = run.current().map(ToString::to_string).unwrap_or_default();
            events.push(event(now, "run.step", step, Some(run.id), None));
        }
        if !run.is_active() {
            run.forget_counters();
        }
        let watch = self.watch_record(before, &run, now).map(|watch| Change::AddWatch(Box::new(watch)));
        let changes = std::iter::once(Change::PutRun(Box::new(run))).chain(changes).chain(watch).collect();
        ledger.write(changes, events).await?;
        self.fleet.publish(&ledger.state);
        self.fleet.nudge.notify_one();
        Ok(true)
    }
}

/// Lines of the plan that should take traffic and do not: no hold has them. Lines that are DOWN by design, and lines in
/// HAProxys of `without`, are not among them.
fn lines_not_up(
    run: &Run,
    ledger: &Ledger,
    reports: &Reports,
    without: &BTreeSet<InstanceName>,
) -> BTreeMap<Entry, String> {
    let held = |entry: &Entry| ledger.state.holds.values().any(|hold| hold.entries.contains(entry));
    let reachable = run.plan.entries().filter(|entry| !without.contains(&entry.instance));
    let free: Vec<&Entry> = reachable.filter(|entry| !held(entry)).collect();
    let down: BTreeMap<Entry, String> =
        free.iter().filter_map(|entry| Some(((*entry).clone(), reports.not_up(entry)?))).collect();
    let excused = roles::excused(
        free,
        &run.down,
        run.plan.leader,
        |entry| run.member_of(entry),
        |entry| !down.contains_key(entry),
    );
    let excused: BTreeSet<Entry> = excused.into_keys().cloned().collect();
    down.into_iter().filter(|(entry, _)| !excused.contains(entry)).collect()
}

/// How long the commands of a flip took: the time in which both sides may have got requests. `None` for other steps.
fn flipped(run: &Run, reports: &Reports, now: Timestamp) -> Option<Flipped> {
    let Some(Step::Flip { switch, .. }) = run.current() else { return None };
    let revision = run.step.acted?;
    let took = reports.values().filter_map(|report| report.took.filter(|(sent, _)| *sent >= revision));
    let took = took.map(|(_, took)| took).max()?;
    let took = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
    Some(Flipped { step: run.cursor, at: now, took, route: switch.is_some() })
}

/// Why a run waits; if it waits for its holds, the reason of the hold that takes longest.
pub(crate) fn wait_of(run: &Run, memory: &Memory) -> Option<Wait> {
    match memory.runs.get(&run.id)?.wait.as_ref()? {
        Wait::Hold => {
            let holds = run.holds.values().filter_map(|id| memory.holds.get(id)?.wait.clone());
            Some(holds.max_by_key(|wait| wait.until()).unwrap_or(Wait::Hold))
        }
        wait => Some(wait.clone()),
    }
}
