//! Deploys: beginning, reporting, aborting, and carrying out what the machine of `plan` says.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;

use super::error::EngineError;
use super::facts::{confirmation, not_up, with_trackers};
use super::holds::{baselines, require_admin};
use super::instance::Report;
use super::ledger::{Ledger, asked, event};
use super::{Engine, seen_of};
use crate::farm::{
    DrainSettings, Entry, FarmName, GroupName, Hold, HoldId, InstanceName, Ladder, Layout, MemberName, OnDeadline,
    Owner, ProofPhase, RunId, Span, Stage,
};
use crate::haproxy::AdminState;
use crate::plan::machine::{self, Action, Confirmation, Facts, Outcome, Report as WorkReport};
use crate::plan::{Plan, Run, RunState, StepState, Undo, Veto, Wait, see_saw};
use crate::store::{Caller, Change, NewEvent};

/// A deploy to be begun.
#[derive(Debug, Clone)]
pub struct RunOrder {
    /// Which farm.
    pub farm: FarmName,
    /// The version that is to run at the end.
    pub version: Option<String>,
    /// How servers are emptied, where it is to differ from the farm's settings.
    pub drain: DrainChange,
}

/// What one run does otherwise than its farm's drain settings.
#[derive(Debug, Clone, Copy, Default)]
pub struct DrainChange {
    /// Another grace.
    pub grace: Option<Span>,
    /// Another deadline.
    pub deadline: Option<Span>,
    /// Another policy.
    pub on_deadline: Option<OnDeadline>,
}

impl DrainChange {
    fn change(self, settings: &mut DrainSettings) {
        settings.deadline = self.deadline.unwrap_or(settings.deadline);
        // A shorter deadline was meant for the whole ladder.
        settings.grace = self.grace.unwrap_or(settings.grace.min(settings.deadline));
        settings.on_deadline = self.on_deadline.unwrap_or(settings.on_deadline);
    }
}

impl Engine {
    /// Makes a plan and, unless it is only to be shown, begins to carry it out.
    ///
    /// # Errors
    /// There is no such farm, it does not fit HAProxy, or a guard refused. Nothing has changed then.
    pub async fn begin(self: &Arc<Self>, order: RunOrder, dry_run: bool, caller: &Caller) -> Result<Run, EngineError> {
        let farms = self.farms();
        let Some(farm) = farms.get(&order.farm) else {
            let known = farms.keys().map(FarmName::as_str).collect::<Vec<_>>().join(", ");
            let known =
                if known.is_empty() { "none is configured".to_owned() } else { format!("the farms are {known}") };
            return Err(EngineError::NotFound(format!("there is no farm {}: {known}", order.farm)));
        };
        let mut farm = farm.clone();
        order.drain.change(&mut farm.settings.drain);
        farm.check().map_err(|error| EngineError::Usage(error.to_string()))?;
        let reports = self.look_again().await;
        if let Some(trouble) =
            reports.values().find(|report| !report.reachable).and_then(|report| report.trouble.clone())
        {
            return Err(EngineError::Unreachable(trouble));
        }
        let seen = seen_of(&reports);
        let layout = farm.layout(&seen).map_err(|error| EngineError::Usage(error.to_string()))?;
        require_admin(&layout.entries(), &reports)?;
        let versions = self.versions_now(&farm.settings.verify, &layout, &reports).await?;
        let mut ledger = self.ledger.lock().await;
        if let Some(run) = ledger.state.runs.values().find(|run| run.is_active() && run.plan.farm == order.farm) {
            return Err(EngineError::Vetoed(vec![Veto::Running { run: run.id }]));
        }
        let plan = see_saw::plan(&farm, &layout, order.version, &seen, ledger.state.holds.values())
            .map_err(EngineError::Vetoed)?;
        let now = self.clock.now();
        let run = Run {
            id: RunId(if dry_run { 0 } else { ledger.state.next_run }),
            plan,
            cursor: 0,
            step: StepState { since: now, acted: None, undo: Vec::new() },
            state: RunState::Running,
            by: caller.user.clone(),
            started: now,
            finished: None,
            holds: BTreeMap::new(),
            versions,
        };
        if dry_run {
            return Ok(run);
        }
        let events = begun(&run, now, caller);
        self.write(&mut ledger, vec![Change::PutRun(Box::new(run.clone()))], events).await?;
        drop(ledger);
        self.bump();
        self.nudge.notify_one();
        Ok(run)
    }

    /// Takes the caller's word on its work, or tries a failed step again.
    ///
    /// # Errors
    /// There is no such run, or it does not wait for this.
    pub async fn advance(
        &self,
        id: RunId,
        step: Option<usize>,
        report: WorkReport,
        caller: &Caller,
    ) -> Result<(), EngineError> {
        let mut ledger = self.ledger.lock().await;
        let run = find(&ledger, id)?;
        let what = match &report {
            WorkReport::Done => "advance".to_owned(),
            WorkReport::Failed(why) => format!("advance: failed: {why}"),
        };
        let outcome = machine::handle_report(&run, step, report, self.clock.now())?;
        self.carry_out(&mut ledger, &run, outcome, &self.reports(), Some((caller, what))).await?;
        Ok(())
    }

    /// Ends a run; what it holds comes back if it is well.
    ///
    /// # Errors
    /// There is no such run.
    pub async fn abort(&self, id: RunId, caller: &Caller) -> Result<(), EngineError> {
        let mut ledger = self.ledger.lock().await;
        let run = find(&ledger, id)?;
        let reports = self.reports();
        let facts = Facts { holds: &ledger.state.holds, confirmation: Confirmation::Agreed, not_up: BTreeMap::new() };
        let outcome = machine::handle_abort(&run, &facts, self.clock.now());
        self.carry_out(&mut ledger, &run, outcome, &reports, Some((caller, "abort".to_owned()))).await?;
        Ok(())
    }

    /// Lets every run take the step that it can take now. Whether any did.
    pub(super) async fn step_runs(
        &self,
        ledger: &mut Ledger,
        reports: &BTreeMap<InstanceName, Report>,
    ) -> Result<bool, EngineError> {
        if !self.store.holds_lease() {
            return Ok(false);
        }
        let mut changed = false;
        let active: Vec<Run> = ledger.state.runs.values().filter(|run| run.is_active()).cloned().collect();
        for run in active {
            let facts = Facts {
                holds: &ledger.state.holds,
                confirmation: run
                    .step
                    .acted
                    .map_or(Confirmation::Agreed, |revision| confirmation(revision, entries(&run.plan), reports)),
                not_up: lines_not_up(&run.plan, ledger, reports),
            };
            let outcome = machine::handle_tick(&run, &facts, self.clock.now());
            changed |= self.carry_out(ledger, &run, outcome, reports, None).await?;
        }
        Ok(changed)
    }

    async fn carry_out(
        &self,
        ledger: &mut Ledger,
        before: &Run,
        outcome: Outcome,
        reports: &BTreeMap<InstanceName, Report>,
        by: Option<(&Caller, String)>,
    ) -> Result<bool, EngineError> {
        let (run, actions) = match outcome {
            Outcome::Wait(wait) => {
                self.memory().run_waits.insert(before.id, wait);
                return Ok(false);
            }
            Outcome::Rest => return Ok(false),
            Outcome::Go(run, actions) => (*run, actions),
        };
        self.memory().run_waits.remove(&run.id);
        let now = self.clock.now();
        let took = window(before, reports);
        let (mut run, changes, mut events) = self.translate(run, actions, ledger, reports, now);
        if let (Some(took), Some(event)) = (took, events.first_mut()) {
            event.text = format!("{} (commands took {took} from the first to the last reply)", event.text);
        }
        if let Some((caller, what)) = by {
            events.insert(0, asked(event(now, "run.asked", what, Some(run.id), None), caller));
        }
        if run.cursor == before.cursor && run.state == RunState::Running && !changes.is_empty() {
            run.step.acted = Some(ledger.next_revision());
        }
        let changes = std::iter::once(Change::PutRun(Box::new(run))).chain(changes).collect();
        self.write(ledger, changes, events).await?;
        self.publish(ledger);
        self.nudge.notify_one();
        Ok(true)
    }

    /// What the machine's actions mean for the store.
    fn translate(
        &self,
        mut run: Run,
        actions: Vec<Action>,
        ledger: &Ledger,
        reports: &BTreeMap<InstanceName, Report>,
        now: Timestamp,
    ) -> (Run, Vec<Change>, Vec<NewEvent>) {
        let (mut changes, mut events) = (Vec::new(), Vec::new());
        let mut next_hold = ledger.state.next_hold;
        for action in actions {
            let held = |group: &GroupName| run.holds.get(group).and_then(|id| ledger.state.holds.get(id)).cloned();
            match action {
                Action::Note(text) => events.push(event(now, "run.note", text, Some(run.id), None)),
                Action::Hold(group) => {
                    let hold = hold_of(&run, &group, HoldId(next_hold), ledger, reports, now);
                    next_hold += 1;
                    changes.extend(baselines(&hold.entries, ledger, reports));
                    run.step.undo.push(Undo::Drop(hold.id));
                    run.holds.insert(group, hold.id);
                    changes.push(Change::PutHold(Box::new(hold)));
                }
                Action::DrainAgain(group) => {
                    if let Some(hold) = held(&group) {
                        let stage = Stage::Draining { mode: hold.wants(), since: now, killed: None };
                        changes.push(Change::PutHold(Box::new(Hold {
                            stage,
                            note: None,
                            revision: ledger.next_revision(),
                            ..hold
                        })));
                    } else {
                        // It was brought back at the deadline: out again.
                        run.cursor = run.cursor.saturating_sub(1);
                    }
                }
                Action::Release(group) => {
                    if let Some(hold) = held(&group) {
                        changes.push(Change::DropHold(hold.id));
                        run.step.undo.push(Undo::Put(Box::new(hold)));
                    }
                }
                Action::Prove { group, then, versions } => {
                    if let Some(hold) = held(&group) {
                        let until = now.saturating_add(run.plan.verify.deadline.signed()).unwrap_or(Timestamp::MAX);
                        let phase = ProofPhase::Probes { mode: hold.wants() };
                        let stage = Stage::Proving { since: now, until, phase, then, versions };
                        changes.push(Change::PutHold(Box::new(Hold {
                            stage,
                            note: None,
                            revision: ledger.next_revision(),
                            ..hold
                        })));
                    }
                }
                Action::Undo => {
                    for undo in std::mem::take(&mut run.step.undo) {
                        changes.push(match undo {
                            Undo::Put(hold) => {
                                Change::PutHold(Box::new(Hold { revision: ledger.next_revision(), ..*hold }))
                            }
                            Undo::Drop(id) => Change::DropHold(id),
                        });
                    }
                }
            }
        }
        (run, changes, events)
    }

    /// The version that each member runs now, where a probe tells. No member at all passing it means that the probe
    /// is wrong: better known before anything moves.
    async fn versions_now(
        &self,
        verify: &crate::farm::VerifySettings,
        layout: &Layout,
        reports: &BTreeMap<InstanceName, Report>,
    ) -> Result<BTreeMap<MemberName, String>, EngineError> {
        let Some(probe) = &verify.http else { return Ok(BTreeMap::new()) };
        let address = |entries: &Vec<Entry>| {
            let entry = entries.first()?;
            let server = reports.get(&entry.instance)?.seen.as_ref()?.servers.get(&entry.server)?;
            (!server.address.is_empty()).then(|| server.endpoint())
        };
        let asks = layout.members.iter().filter_map(|(member, entries)| Some((member.clone(), address(entries)?)));
        let answers = futures_util::future::join_all(asks.map(|(member, address)| {
            let answer = self.prober.probe(address, probe.clone());
            async move { (member, answer.await) }
        }))
        .await;
        if !answers.is_empty() && answers.iter().all(|(_, answer)| answer.is_err()) {
            let answers = answers.into_iter().filter_map(|(member, answer)| Some((member, answer.err()?))).collect();
            return Err(EngineError::Vetoed(vec![Veto::ProbeFailsEverywhere { answers }]));
        }
        Ok(answers.into_iter().filter_map(|(member, answer)| Some((member, answer.ok()??))).collect())
    }
}

fn begun(run: &Run, now: Timestamp, caller: &Caller) -> Vec<NewEvent> {
    let to = run.plan.version.as_ref().map(|version| format!(" to {version}")).unwrap_or_default();
    let text = format!("{} deploy of {}{to} begun by {}", run.plan.strategy, run.plan.farm, caller.user);
    let mut events = vec![asked(event(now, "run.begun", text, Some(run.id), None), caller)];
    let skipped = run.plan.skipped.iter().map(|(member, why)| format!("{member} is left alone: {why}"));
    events.extend(skipped.map(|text| event(now, "run.note", text, Some(run.id), None)));
    if run.plan.version.is_some() && run.plan.verify.http.as_ref().is_none_or(|http| http.version.is_none()) {
        let text = "the new version will not be proven: verify.http.version is not configured".to_owned();
        events.push(event(now, "run.note", text, Some(run.id), None));
    }
    events
}

fn hold_of(
    run: &Run,
    group: &GroupName,
    id: HoldId,
    ledger: &Ledger,
    reports: &BTreeMap<InstanceName, Report>,
    now: Timestamp,
) -> Hold {
    let members = run.plan.groups.get(group).map(Vec::as_slice).unwrap_or_default();
    let entries: BTreeSet<Entry> = members.iter().flat_map(|member| &member.entries).cloned().collect();
    let DrainSettings { grace, deadline, on_deadline } = run.plan.drain;
    Hold {
        id,
        owner: Owner::Run(run.id),
        reason: format!("deploy of {}", run.plan.farm),
        selectors: vec![format!("farm:{}/{group}", run.plan.farm)],
        entries: with_trackers(&entries, reports),
        since: now,
        expires: None,
        ladder: Ladder { first: AdminState::Drain, last: AdminState::Maint, grace, deadline, on_deadline },
        stage: Stage::Draining { mode: AdminState::Drain, since: now, killed: None },
        revision: ledger.next_revision(),
        note: None,
    }
}

fn find(ledger: &Ledger, id: RunId) -> Result<Run, EngineError> {
    let found = ledger.state.runs.get(&id).cloned();
    found.ok_or_else(|| EngineError::NotFound(format!("there is no run {id}; `teeter runs` lists them")))
}

fn entries(plan: &Plan) -> impl Iterator<Item = &Entry> {
    plan.groups.values().flatten().flat_map(|member| &member.entries)
}

/// Lines of the plan that nobody holds and that take no traffic.
fn lines_not_up(plan: &Plan, ledger: &Ledger, reports: &BTreeMap<InstanceName, Report>) -> BTreeMap<Entry, String> {
    let free = entries(plan).filter(|entry| !ledger.state.holds.values().any(|hold| hold.entries.contains(entry)));
    free.filter_map(|entry| Some((entry.clone(), not_up(entry, reports)?))).collect()
}

/// How long the commands of the step's change took, where the step was a flip: the window in which both sides may
/// have been given requests.
fn window(run: &Run, reports: &BTreeMap<InstanceName, Report>) -> Option<String> {
    let Some(crate::plan::Step::Flip { .. }) = run.current() else { return None };
    let revision = run.step.acted?;
    let took = reports
        .values()
        .filter_map(|report| report.took.filter(|(of, _)| *of >= revision))
        .map(|(_, took)| took)
        .max()?;
    Some(format!("{:.2} ms", took.as_secs_f64() * 1000.0))
}

/// Why a run waits, where it is at a hold: the hold's own reason.
pub(super) fn wait_of(run: &Run, memory: &super::memory::Memory) -> Option<Wait> {
    match memory.run_waits.get(&run.id)? {
        Wait::Hold => {
            let holds = run.holds.values().filter_map(|id| memory.holds.get(id)?.wait.clone());
            Some(holds.max_by_key(|wait| wait.until()).unwrap_or(Wait::Hold))
        }
        wait => Some(wait.clone()),
    }
}
