//! Beginning a run: every guard is asked, and the plan is made, before anything is stored.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;

use crate::engine::error::{EngineError, Message};
use crate::engine::fleet::balances::Backends;
use crate::engine::fleet::reach::Reached;
use crate::engine::fleet::reports::Reports;
use crate::engine::fleet::select::find_lines;
use crate::engine::holds::refusal::instead_of;
use crate::engine::runs::ended::{left_out, standby, takeover_notes, with_kept_halves};
use crate::engine::runs::order::RunOrder;
use crate::engine::runs::watching::{counted, traffic};
use crate::engine::{Engine, Requester};
use crate::farm::{
    Balances, Entry, Farm, Hold, InstanceName, Layout, Lines, MemberName, Owner, Reach, RunId, Seen, SeenServer, Side,
    VersionSource, live_side,
};
use crate::haproxy::BackendName;
use crate::haproxy::commands::BackendRow;
use crate::plan::blind_watch::blind;
use crate::plan::roles::has_roles;
use crate::plan::share_weights::unweighable;
use crate::plan::watch::too_short;
use crate::plan::{
    CallerState, Plan, PlanningInput, Run, RunState, Skipped, StepState, StepTimes, Strategy, Veto, blue_green, canary,
    compared, flip, rolling, see_saw,
};
use crate::reconcile::MapWriters;
use crate::state::{Caller, Change, NewEvent, asked, event};

impl Engine {
    /// Makes a plan and, unless it is only to be shown, begins to carry it out.
    ///
    /// # Errors
    /// There is no such farm, it does not fit HAProxy, or a guard refused. Nothing has changed then.
    pub async fn begin(self: &Arc<Self>, order: RunOrder, dry_run: bool, by: &Requester) -> Result<Run, EngineError> {
        let farm = self.farm_for(&order)?;
        let Reached { reports, without: away } = self.fleet.look_at_every(&order.without_haproxy).await?;
        let seen = reports.seen();
        let layout = farm.layout(&seen).map_err(|error| EngineError::Usage(Message::new(error.to_string())))?;
        let entries = layout.entries();
        reports.require_admin(&entries)?;
        let without = self.without(&order, &entries, &reports)?;
        let live = check_route(&farm, &layout, &seen, &self.fleet.maps).await?;
        let versions = self.versions_now(&farm, order.version.as_deref(), &layout, &reports).await?;
        let by_weights = order.strategy == Strategy::Canary && farm.settings.flip.route.is_empty();
        let backends = match by_weights || farm.settings.bake.is_some() {
            true => self.fleet.backends(&entries).await?,
            false => Backends::new(),
        };
        let balances = if by_weights { self.fleet.balances(&entries, &backends).await? } else { Balances::new() };
        let mut ledger = self.record.begin(by).await?;
        if let Some(run) = ledger.state.runs.values().find(|run| run.is_active() && run.plan.farm == order.farm) {
            return Err(EngineError::Vetoed(vec![Veto::Running { run: run.id, status: run.status_text() }]));
        }
        // A stored route counts before what HAProxy shows: a reloaded HAProxy may not have it yet.
        let live = ledger.state.live(&order.farm).or(live);
        let layout = with_kept_halves(&farm, layout, &ledger.state);
        let standby = standby(&order.farm, &ledger.state);
        let left = left_out(&order.farm, &ledger.state, &standby);
        let ours =
            |hold: &&Hold| standby.values().any(|id| *id == hold.id) || left.iter().any(|ended| ended.id == hold.id);
        let others = ledger.state.holds.values().filter(|hold| !ours(hold));
        let works = order.strategy != Strategy::Flip;
        let skipped = Skipped::by_holds(&layout, &without, others).map_err(EngineError::Vetoed)?;
        let input = PlanningInput {
            farm: &farm,
            layout: &layout,
            version: order.version.as_deref(),
            phases: &order.phases,
            live: live.as_ref(),
            seen: &seen,
            skipped: &skipped.with_left_out(&layout, &left, works),
            standby: &standby,
        };
        let plan = plan(&input, &order);
        let plan =
            plan.map_err(|vetoes| self.refusal(vetoes, &BTreeSet::new(), &seen, &ledger, instead_of(order.strategy)))?;
        let plan = Plan { off: layout.skipped.clone(), ..plan };
        let notes = [plan.notes.clone(), takeover_notes(&left, works)].concat();
        let plan = Plan { notes, roles: has_roles(&layout, &seen), ..plan };
        let (plan, refused) = compared(&farm, &layout, plan, &seen);
        let traffic = traffic(&plan, &reports.observed(), self.clock.now());
        let notes = [plan.notes.clone(), too_short(&plan, traffic)].concat();
        let plan = Plan { notes, ..plan };
        let mut vetoes = unweighable(&plan, &balances, &seen);
        vetoes.extend(refused);
        vetoes.extend(blind(&plan, &modes(&backends)));
        if !vetoes.is_empty() {
            return Err(EngineError::Vetoed(vetoes));
        }
        let reach = reach_of(&farm, &plan, away, &seen);
        let (counted, counted_by) = counted(&plan, &reports.observed());
        let is_down = |entry: &&Entry| reports.server(entry).is_some_and(SeenServer::is_down);
        let down = plan.entries().filter(is_down).cloned().collect();
        let now = self.clock.now();
        let done = plan.steps.is_empty();
        let run = Run {
            id: RunId(if dry_run { 0 } else { ledger.state.next_run }),
            plan,
            cursor: 0,
            step: StepState { since: now, acted: None, undo: Vec::new() },
            state: if done { RunState::Done } else { RunState::Running },
            by: by.caller.person().to_owned(),
            started: now,
            finished: done.then_some(now),
            holds: standby.clone(),
            versions,
            flips: Vec::new(),
            left_out: BTreeMap::new(),
            passed: BTreeMap::new(),
            counted,
            counted_by,
            bake: None,
            caller: CallerState::Never,
            attended: None,
            leaving: false,
            paused: false,
            down,
            remarks: Vec::new(),
            rollback: None,
            times: BTreeMap::from([(0, StepTimes { began: now, ended: done.then_some(now) })]),
            reach,
        };
        if dry_run {
            return Ok(run);
        }
        let events = begun_events(&run, now, &by.caller);
        let taken_over = standby.values().filter_map(|id| ledger.state.holds.get(id));
        let taken_over = taken_over.chain(left.iter().filter(|_| works));
        let taken_over =
            taken_over.map(|hold| Change::PutHold(Box::new(Hold { owner: Owner::Run(run.id), ..hold.clone() })));
        let changes = std::iter::once(Change::PutRun(Box::new(run.clone()))).chain(taken_over).collect();
        ledger.write(changes, events).await?;
        drop(ledger);
        self.fleet.bump();
        self.fleet.nudge.notify_one();
        Ok(run)
    }

    /// The lines that the caller wants to skip.
    fn without(
        &self,
        order: &RunOrder,
        entries: &BTreeSet<Entry>,
        reports: &Reports,
    ) -> Result<BTreeSet<Entry>, EngineError> {
        let (seen, farms) = (reports.seen(), self.fleet.farms());
        let lines = Lines::new(&farms, &seen);
        let mut without = BTreeSet::new();
        for selector in &order.without {
            let found = find_lines(selector, &lines, reports)?;
            if found.is_disjoint(entries) {
                let text = format!("--without {selector} names no member of farm {}", order.farm);
                let hint = format!("`teeter status farm:{}` lists its members", order.farm);
                return Err(EngineError::Usage(Message::new(text).hint(hint)));
            }
            without.extend(found);
        }
        Ok(without)
    }

    /// The version that each member runs now, if a probe reads it. A probe that no member passes is wrong: the run is
    /// refused before it changes anything.
    async fn versions_now(
        &self,
        farm: &Farm,
        version: Option<&str>,
        layout: &Layout,
        reports: &Reports,
    ) -> Result<BTreeMap<MemberName, String>, EngineError> {
        let verify = &farm.settings.verify;
        let Some(probe) = &verify.http else { return Ok(BTreeMap::new()) };
        let address = |entry: &Entry| {
            let seen = reports.get(&entry.instance)?.seen.as_ref()?;
            let server = seen.servers.get(&entry.server)?;
            let known = !server.address.is_empty() && seen.unused(&entry.server).is_none();
            known.then(|| server.endpoint())
        };
        let members = layout.members.iter().filter(|(member, _)| !layout.spare.contains_key(*member));
        let asks = members.filter_map(|(member, entries)| Some((member.clone(), entries.iter().find_map(address)?)));
        let answers = futures_util::future::join_all(asks.map(|(member, address)| {
            let answer = self.prober.probe(address, probe.clone());
            async move { (member, answer.await) }
        }))
        .await;
        if !answers.is_empty() && answers.iter().all(|(_, answer)| answer.is_err()) {
            let answers = answers.into_iter().filter_map(|(member, answer)| Some((member, answer.err()?))).collect();
            return Err(EngineError::Vetoed(vec![Veto::ProbeFailsEverywhere { answers }]));
        }
        let versions: BTreeMap<_, _> =
            answers.into_iter().filter_map(|(member, answer)| Some((member, answer.ok()??))).collect();
        match version.filter(|_| versions.is_empty() && verify.names_version()) {
            Some(version) => Err(EngineError::Vetoed(vec![Veto::VersionUntold {
                farm: farm.name.clone(),
                version: version.to_owned(),
            }])),
            None => Ok(versions),
        }
    }
}

/// The plan that the order's strategy makes.
fn plan(input: &PlanningInput<'_>, order: &RunOrder) -> Result<Plan, Vec<Veto>> {
    let one_sided = input.live.is_some_and(|live| *live != Side::All);
    if !order.strategy.leaves_standby() && !input.standby.is_empty() && !one_sided {
        let groups = input.standby.keys().cloned().collect();
        return Err(vec![Veto::OnStandby { farm: input.farm.name.clone(), groups }]);
    }
    let plan = match order.strategy {
        Strategy::Flip => flip::plan(input, order.to.as_ref().unwrap_or(&Side::All)),
        Strategy::SeeSaw => see_saw::plan(input),
        Strategy::Canary => canary::plan(input),
        Strategy::Rolling => rolling::plan(input, order.allow_outage),
        Strategy::BlueGreen => blue_green::plan(input),
    }?;
    let skipped = input.layout.members.iter().filter(|(member, _)| plan.skipped.contains_key(*member));
    Ok(Plan { skipped_lines: skipped.map(|(member, lines)| (member.clone(), lines.clone())).collect(), ..plan })
}

/// The modes of backends, `http` or `tcp`.
fn modes(backends: &Backends) -> BTreeMap<(InstanceName, BackendName), String> {
    let modes = |(name, rows): (&InstanceName, &BTreeMap<BackendName, BackendRow>)| {
        rows.iter().map(|(backend, row)| ((name.clone(), backend.clone()), row.mode.clone())).collect::<Vec<_>>()
    };
    backends.iter().flat_map(modes).collect()
}

/// What a run's holds reach beside the lines of its plan: lines of its members that appear later join, lines that the
/// plan skips do not.
fn reach_of(farm: &Farm, plan: &Plan, without: BTreeSet<InstanceName>, seen: &BTreeMap<InstanceName, &Seen>) -> Reach {
    let planned: BTreeSet<&Entry> = plan.entries().collect();
    let lines = seen.iter().flat_map(|(name, seen)| seen.servers.keys().map(move |server| (name, server)));
    let lines = lines.filter(|(_, server)| farm.has(server));
    let lines = lines.map(|(name, server)| Entry { instance: name.clone(), server: server.clone() });
    let left = lines.filter(|entry| !planned.contains(entry)).collect();
    Reach { skipped: left, ..Reach::following(without) }
}

/// Checks the farm's route and its map files, and finds the side that has the traffic.
pub(crate) async fn check_route(
    farm: &Farm,
    layout: &Layout,
    seen: &BTreeMap<InstanceName, &Seen>,
    files: &MapWriters,
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
    let problems = files.check(maps.into_iter().filter(|_| flip.write_map)).await;
    if problems.is_empty() { Ok(live) } else { refused(problems) }
}

/// The events that a run begins with: the user that began it, its notes, and whether the new version is verified.
fn begun_events(run: &Run, now: Timestamp, caller: &Caller) -> Vec<NewEvent> {
    let to = run.plan.version.as_ref().map(|version| format!(" to {version}")).unwrap_or_default();
    let text = match (run.plan.strategy, run.plan.steps.last()) {
        (Strategy::Flip, None) => format!("flip of {}: the traffic is there already", run.plan.farm),
        (Strategy::Flip, Some(_)) => format!("flip of {} begun by {}", run.plan.farm, caller.person()),
        (strategy, _) => format!("{strategy} deploy of {}{to} begun by {}", run.plan.farm, caller.person()),
    };
    let mut events = vec![asked(event(now, "run.begun", text, Some(run.id), None), caller)];
    let skipped = run.plan.skipped_by_reason().into_iter().map(|(members, why)| {
        let are = if members.len() == 1 { "is" } else { "are" };
        let members = members.into_iter().map(MemberName::as_str).collect::<Vec<_>>().join(", ");
        format!("{members} {are} skipped: {why}")
    });
    let notes = skipped.chain(run.plan.off.iter().cloned()).chain(run.plan.notes.iter().cloned());
    events.extend(notes.map(|text| event(now, "run.note", text, Some(run.id), None)));
    let source = run.plan.verify.http.as_ref().and_then(|http| http.version.as_ref());
    let unverified = match source {
        None => Some("the new version will not be verified: verify.http.version is not configured"),
        Some(VersionSource::Built(_)) => Some("the new version is verified by its build time, and not by its name"),
        Some(_) => None,
    };
    let unverified = unverified.filter(|_| run.plan.version.is_some());
    events.extend(unverified.map(|text| event(now, "run.note", text.to_owned(), Some(run.id), None)));
    events
}
