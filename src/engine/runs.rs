//! Deploys: beginning, reporting, aborting, and carrying out what the machine of `plan` says.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;

use super::error::EngineError;
use super::facts::seen_server;
use super::holds::require_admin;
use super::instance::Report;
use super::ledger::{Ledger, asked, event};
use super::{Engine, map_file, seen_of};
use crate::farm::{
    DrainSettings, Entry, Farm, FarmName, FlipOrder, GroupName, Hold, HoldId, InstanceName, Layout, MemberName,
    OnDeadline, Owner, RunId, Seen, Side, Span, live_side,
};
use crate::plan::machine::{self, Confirmation, Facts, Report as WorkReport};
use crate::plan::{Run, RunState, StepState, Strategy, Veto, flip, see_saw};
use crate::store::{Caller, Change, NewEvent, State};

/// A deploy to be begun.
#[derive(Debug, Clone)]
pub struct RunOrder {
    /// Which farm.
    pub farm: FarmName,
    /// How it is deployed to.
    pub strategy: Strategy,
    /// Where a flip turns the traffic to.
    pub to: Option<Side>,
    /// The version that is to run at the end.
    pub version: Option<String>,
    /// Who goes first where servers are turned, where it is to differ from the farm's settings.
    pub order: Option<FlipOrder>,
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
        farm.settings.flip.order = order.order.unwrap_or(farm.settings.flip.order);
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
        let live = preflight_route(&farm, &layout, &seen).await?;
        let versions = self.versions_now(&farm.settings.verify, &layout, &reports).await?;
        let mut ledger = self.ledger.lock().await;
        if let Some(run) = ledger.state.runs.values().find(|run| run.is_active() && run.plan.farm == order.farm) {
            return Err(EngineError::Vetoed(vec![Veto::Running { run: run.id }]));
        }
        // What teeter has turned is where the store says, even while a HAProxy that was reloaded is being told.
        let live = ledger.state.routes.get(&order.farm).map(|route| route.live.clone()).or(live);
        let standby = standby(&order.farm, &ledger.state);
        let elsewhere = live.as_ref().is_some_and(|live| *live != Side::All);
        if order.strategy != Strategy::Flip && !standby.is_empty() && !elsewhere {
            let (farm, groups) = (order.farm, standby.into_keys().collect());
            return Err(EngineError::Vetoed(vec![Veto::StandsBy { farm, groups }]));
        }
        let holds = ledger.state.holds.values();
        let plan = match (order.strategy, &order.to) {
            (Strategy::Flip, Some(to)) => flip::plan(&farm, &layout, (live, to), &seen, holds, &standby),
            (Strategy::Flip, None) => return Err(EngineError::Usage("to which group? or to all".to_owned())),
            (Strategy::SeeSaw, _) => see_saw::plan(&farm, &layout, order.version, live, &seen, holds),
        };
        let plan = plan.map_err(EngineError::Vetoed)?;
        let now = self.clock.now();
        let done = plan.steps.is_empty();
        let run = Run {
            id: RunId(if dry_run { 0 } else { ledger.state.next_run }),
            plan,
            cursor: 0,
            step: StepState { since: now, acted: None, undo: Vec::new() },
            state: if done { RunState::Done } else { RunState::Running },
            by: caller.user.clone(),
            started: now,
            finished: done.then_some(now),
            holds: standby.clone(),
            versions,
            flips: Vec::new(),
        };
        if dry_run {
            return Ok(run);
        }
        let events = begun(&run, now, caller);
        let taken_over = standby.values().filter_map(|id| ledger.state.holds.get(id));
        let taken_over =
            taken_over.map(|hold| Change::PutHold(Box::new(Hold { owner: Owner::Run(run.id), ..hold.clone() })));
        let changes = std::iter::once(Change::PutRun(Box::new(run.clone()))).chain(taken_over).collect();
        self.write(&mut ledger, changes, events).await?;
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
    /// There is no such run, or it is done.
    pub async fn abort(&self, id: RunId, caller: &Caller) -> Result<(), EngineError> {
        let mut ledger = self.ledger.lock().await;
        let run = find(&ledger, id)?;
        if run.state == RunState::Done {
            return Err(machine::Illegal::Ended(id).into());
        }
        let reports = self.reports();
        let live = ledger.state.routes.get(&run.plan.farm).map(|route| route.live.clone());
        let (holds, not_up) = (&ledger.state.holds, BTreeMap::new());
        let facts = Facts { holds, confirmation: Confirmation::Agreed, live, not_up };
        let outcome = machine::handle_abort(&run, &facts, self.clock.now());
        self.carry_out(&mut ledger, &run, outcome, &reports, Some((caller, "abort".to_owned()))).await?;
        Ok(())
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
            let server = seen_server(entry, reports)?;
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

/// Checks the farm's route, and finds where the traffic goes.
async fn preflight_route(
    farm: &Farm,
    layout: &Layout,
    seen: &BTreeMap<InstanceName, &Seen>,
) -> Result<Option<Side>, EngineError> {
    let refused = |problems: Vec<String>| {
        let veto = |problem| Veto::Route { problem };
        Err(EngineError::Vetoed(problems.into_iter().map(veto).collect()))
    };
    let live = match live_side(farm, layout, seen) {
        Ok(live) => live,
        Err(problems) => return refused(problems.iter().map(ToString::to_string).collect()),
    };
    let flip = &farm.settings.flip;
    let maps: BTreeSet<_> = flip.route.iter().map(|route| &route.map).collect();
    let problems = map_file::check_all(maps.into_iter().filter(|_| flip.write_map)).await;
    if problems.is_empty() { Ok(live) } else { refused(problems) }
}

/// The holds by which flips that have ended have left groups of a farm out.
fn standby(farm: &FarmName, state: &State) -> BTreeMap<GroupName, HoldId> {
    let flips = state
        .runs
        .values()
        .filter(|run| !run.is_active() && run.plan.strategy == Strategy::Flip && run.plan.farm == *farm);
    let holds = flips.flat_map(|run| run.holds.iter().map(|(group, id)| (run.id, group, *id)));
    let ours = holds.filter(|(run, _, id)| state.holds.get(id).is_some_and(|hold| hold.owner == Owner::Run(*run)));
    ours.map(|(_, group, id)| (group.clone(), id)).collect()
}

fn begun(run: &Run, now: Timestamp, caller: &Caller) -> Vec<NewEvent> {
    let to = run.plan.version.as_ref().map(|version| format!(" to {version}")).unwrap_or_default();
    let text = match (run.plan.strategy, run.plan.steps.last()) {
        (Strategy::Flip, None) => format!("flip of {}: the traffic is there already", run.plan.farm),
        (Strategy::Flip, Some(_)) => format!("flip of {} begun by {}", run.plan.farm, caller.user),
        (strategy, _) => format!("{strategy} deploy of {}{to} begun by {}", run.plan.farm, caller.user),
    };
    let mut events = vec![asked(event(now, "run.begun", text, Some(run.id), None), caller)];
    let skipped = run.plan.skipped.iter().map(|(member, why)| format!("{member} is left alone: {why}"));
    events.extend(skipped.map(|text| event(now, "run.note", text, Some(run.id), None)));
    if run.plan.version.is_some() && run.plan.verify.http.as_ref().is_none_or(|http| http.version.is_none()) {
        let text = "the new version will not be proven: verify.http.version is not configured".to_owned();
        events.push(event(now, "run.note", text, Some(run.id), None));
    }
    events
}

fn find(ledger: &Ledger, id: RunId) -> Result<Run, EngineError> {
    let found = ledger.state.runs.get(&id).cloned();
    found.ok_or_else(|| EngineError::NotFound(format!("there is no run {id}; `teeter runs` lists them")))
}
