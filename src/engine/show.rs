//! Making views of what is stored, seen and remembered.

use std::collections::{BTreeMap, BTreeSet};

use super::Engine;
use super::carry::wait_of;
use super::error::EngineError;
use super::facts::{Found, find};
use super::instance::Report;
use super::memory::Memory;
use super::scope::Care;
use super::view::{
    CallerView, EventView, FlipView, HoldView, InstanceView, OldProcessView, RouteEntryView, RouteView, RunView,
    ServerView, StatusView, StepView, WorkView,
};
use crate::farm::{
    Baseline, Entry, Farm, GroupName, Hold, HoldId, InstanceName, MemberName, OutBy, Route, RunId, SeenServer,
    Selector, Stage,
};
use crate::haproxy::AdminState;
use crate::plan::{FailureKind, Flipped, Run, RunState, Step, Strategy};
use crate::store::{Event, State};

impl Engine {
    /// What HAProxy says now, and who holds what; of everything where nothing is selected.
    ///
    /// # Errors
    /// A selector names nothing.
    pub async fn status(&self, selectors: &[Selector]) -> Result<StatusView, EngineError> {
        let reports = match selectors {
            [] => self.look_again().await,
            some => self.look_for(some, Care::Known).await,
        };
        let chosen = if selectors.is_empty() { None } else { Some(self.resolve(selectors, &reports)?) };
        let ledger = self.ledger.lock().await;
        let mut servers = Vec::new();
        for (name, report) in &reports {
            for (server, seen) in report.seen.iter().flat_map(|seen| seen.servers.iter()) {
                let entry = Entry { instance: name.clone(), server: server.clone() };
                if chosen.as_ref().is_none_or(|chosen| chosen.contains(&entry)) {
                    servers.push(server_view(&entry, seen, report, &ledger.state));
                }
            }
        }
        let revision = ledger.state.revision;
        let instances = self.instances.iter().zip(reports.values());
        let instances = instances.map(|((name, instance), report)| {
            instance_view(name, &instance.client.address().to_string(), report, revision)
        });
        let farms = self.farms();
        let routes = farms.values().filter_map(|farm| {
            let asked = chosen.as_ref().is_none_or(|chosen| chosen.iter().any(|entry| farm.has(&entry.server)));
            asked.then(|| route_view(farm, ledger.state.routes.get(&farm.name), &reports)).flatten()
        });
        Ok(StatusView { instances: instances.collect(), servers, routes: routes.collect() })
    }

    /// Every hold.
    pub async fn hold_views(&self) -> Vec<HoldView> {
        let ledger = self.ledger.lock().await;
        let memory = self.memory();
        let reports = self.reports();
        let state = &ledger.state;
        state.holds.values().map(|hold| hold_view(hold, state, &reports, &memory)).collect()
    }

    /// One hold.
    ///
    /// # Errors
    /// There is none of this number; perhaps not any more.
    pub async fn hold_view(&self, id: HoldId) -> Result<HoldView, EngineError> {
        let ledger = self.ledger.lock().await;
        let memory = self.memory();
        let hold = ledger.state.holds.get(&id).map(|hold| hold_view(hold, &ledger.state, &self.reports(), &memory));
        hold.ok_or_else(|| EngineError::NotFound(format!("there is no hold {id}, or it has ended")))
    }

    /// Every run that is remembered, the latest last.
    pub async fn run_views(&self) -> Vec<RunView> {
        let ledger = self.ledger.lock().await;
        let memory = self.memory();
        ledger.state.runs.values().map(|run| run_view(run, &ledger.state, &memory)).collect()
    }

    /// One run.
    ///
    /// # Errors
    /// There is none of this number.
    pub async fn run_view(&self, id: RunId) -> Result<RunView, EngineError> {
        let ledger = self.ledger.lock().await;
        let memory = self.memory();
        let run = ledger.state.runs.get(&id).map(|run| run_view(run, &ledger.state, &memory));
        run.ok_or_else(|| EngineError::NotFound(format!("there is no run {id}; `teeter runs` lists them")))
    }

    /// A plan that is not carried out, as a run.
    pub fn plan_view(&self, run: &Run) -> RunView {
        let mut view = run_view(run, &State::default(), &Memory::default());
        view.state = "planned".to_owned();
        view.next = None;
        view
    }
}

fn instance_view(name: &InstanceName, socket: &str, report: &Report, revision: u64) -> InstanceView {
    InstanceView {
        name: name.to_string(),
        socket: socket.to_owned(),
        reachable: report.reachable,
        trouble: report.trouble.clone().or_else(|| report.refused.as_ref().map(|(_, words)| words.clone())),
        pid: report.seen.as_ref().map(|seen| seen.pid),
        version: report.seen.as_ref().map(|seen| seen.version.clone()),
        level: report.level.map(|level| level.to_string()),
        agrees: report.reachable && report.agreed >= revision,
        sees_old: report.sees_old,
    }
}

fn route_view(farm: &Farm, stored: Option<&Route>, reports: &BTreeMap<InstanceName, Report>) -> Option<RouteView> {
    let keys = &farm.settings.flip.route;
    let mut entries = Vec::new();
    let mut sides = BTreeSet::new();
    for (name, seen) in reports.iter().filter_map(|(name, report)| Some((name, report.seen.as_ref()?))) {
        for key in keys.iter().filter(|key| seen.maps.get(&key.map).is_some_and(|map| !map.missing)) {
            let backend = seen.maps.get(&key.map).and_then(|map| map.entries.get(&key.key)).cloned().flatten();
            sides.insert(backend.as_deref().and_then(|backend| key.side(backend)));
            let (instance, map, key) = (name.to_string(), key.map.to_string(), key.key.to_string());
            entries.push(RouteEntryView { instance, map, key, backend });
        }
    }
    let live = match sides.into_iter().collect::<Vec<_>>()[..] {
        [Some(ref side)] => side.to_string(),
        _ => "unknown".to_owned(),
    };
    (!keys.is_empty()).then(|| RouteView { farm: farm.name.to_string(), live, entries, kept: stored.is_some() })
}

fn server_view(entry: &Entry, seen: &SeenServer, report: &Report, state: &State) -> ServerView {
    let Entry { instance, server } = entry;
    let reachable = report.reachable;
    let old = report.old.iter().filter_map(|worker| {
        let in_flight = *worker.in_flight.get(server)?;
        Some(OldProcessView { pid: worker.pid, age_secs: worker.age.as_secs(), in_flight })
    });
    let holds: Vec<&Hold> = state.holds.values().filter(|hold| hold.entries.contains(entry)).collect();
    ServerView {
        instance: instance.to_string(),
        backend: server.backend.to_string(),
        server: server.server.to_string(),
        address: seen.endpoint(),
        status: if reachable { seen.status.clone() } else { "unknown".to_owned() },
        admin: seen.admin.forced().to_string(),
        in_service: reachable && seen.is_usable(),
        weight: seen.weight,
        in_flight: seen.load.in_flight(),
        scur: seen.load.scur,
        qcur: seen.load.qcur,
        idle: seen.load.idle,
        old: old.collect(),
        last_check: seen.last_check.clone(),
        tracks: seen.tracked.as_ref().map(ToString::to_string),
        backup: seen.backup,
        held_by: held_by(entry, seen, &holds, state),
        holds: holds.iter().map(|hold| hold.id.0).collect(),
    }
}

/// Who keeps a server out. What a hold has set, on the server or on the one that it tracks, is the hold's doing.
fn held_by(entry: &Entry, seen: &SeenServer, holds: &[&Hold], state: &State) -> Vec<String> {
    let held = |entry: &Entry| state.holds.values().any(|hold| hold.entries.contains(entry));
    let ours = |by: &OutBy| match by {
        OutBy::Tracked(Some(server)) => held(&Entry { instance: entry.instance.clone(), server: server.clone() }),
        by => by.is_set() && !holds.is_empty(),
    };
    let mut texts: Vec<String> = holds.iter().map(|hold| format!("{} ({})", hold.owner, hold.reason)).collect();
    let set = |was: &Baseline| match was.overruled {
        Some(overruled) => Some(format!("left in {}, set outside teeter", overruled.state)),
        None => (was.state > AdminState::Ready).then(|| format!("{}, set outside teeter", was.state)),
    };
    texts.extend(state.baselines.get(entry).filter(|_| !holds.is_empty()).and_then(set));
    texts.extend(seen.out_by().iter().filter(|by| !ours(by)).map(ToString::to_string));
    texts
}

fn hold_view(hold: &Hold, state: &State, reports: &BTreeMap<InstanceName, Report>, memory: &Memory) -> HoldView {
    let remembered = memory.holds.get(&hold.id);
    let wait = remembered.and_then(|memory| memory.wait.clone());
    let (stage, left) = match hold.stage {
        Stage::Draining { .. } => ("draining", 0),
        Stage::Stuck { .. } => ("stuck", 0),
        Stage::Out { left, .. } => ("out", left),
        Stage::Proving { .. } => ("proving", 0),
        Stage::Proven { .. } => ("proven", 0),
    };
    HoldView {
        id: hold.id.0,
        owner: hold.owner.to_string(),
        reason: hold.reason.clone(),
        entries: hold.entries.iter().map(ToString::to_string).collect(),
        members: names(hold, reports),
        mode: hold.wants().to_string(),
        stage: stage.to_owned(),
        left,
        since: hold.since,
        expires: hold.expires,
        waiting: wait.as_ref().map(ToString::to_string),
        wait,
        in_flight: remembered.map(|memory| text(memory.watch.in_flight())).unwrap_or_default(),
        note: hold
            .note
            .iter()
            .cloned()
            .chain(not_there(hold, reports))
            .chain(overruled(hold, state))
            .reduce(|one, more| format!("{one}; {more}")),
    }
}

/// The lines of a hold that somebody else has set otherwise, and that are left so, for people.
fn overruled(hold: &Hold, state: &State) -> Option<String> {
    let overruled = hold.entries.iter().filter_map(|entry| Some((entry, state.baselines.get(entry)?.overruled?)));
    let texts: Vec<String> = overruled
        .map(|(entry, overruled)| format!("{entry} is left in {}, set outside teeter", overruled.state))
        .collect();
    (!texts.is_empty()).then(|| texts.join(", "))
}

/// The lines of a hold that HAProxy does not have, for people.
fn not_there(hold: &Hold, reports: &BTreeMap<InstanceName, Report>) -> Option<String> {
    let gone = hold.entries.iter().filter(|entry| matches!(find(entry, reports), Found::Gone));
    let gone: Vec<String> = gone.map(|entry| format!("{entry} {}", super::facts::gone(entry))).collect();
    (!gone.is_empty()).then(|| gone.join(", "))
}

/// What a hold keeps out: a member by its name where all its lines are held, otherwise line by line.
fn names(hold: &Hold, reports: &BTreeMap<InstanceName, Report>) -> Vec<String> {
    let mut members: BTreeMap<&MemberName, (bool, Vec<&Entry>)> = BTreeMap::new();
    for entry in &hold.entries {
        members.entry(entry.member()).or_insert((true, Vec::new())).1.push(entry);
    }
    // Each line once: a hold may have a thousand members, and HAProxy ten thousand lines.
    for (name, report) in reports {
        for line in report.seen.iter().flat_map(|seen| seen.servers.keys()) {
            let Some((whole, held)) = members.get_mut(&line.server) else { continue };
            *whole &= held.iter().any(|entry| entry.server == *line && entry.instance == *name);
        }
    }
    let of = |(member, (whole, held)): (&MemberName, (bool, Vec<&Entry>))| match whole {
        true => vec![member.to_string()],
        false => held.iter().map(|entry| entry.server.to_string()).collect(),
    };
    members.into_iter().flat_map(of).collect()
}

fn run_view(run: &Run, state: &State, memory: &Memory) -> RunView {
    let failed = match &run.state {
        RunState::Failed { why, kind } => Some((why.clone(), failure(*kind))),
        _ => None,
    };
    let out: Vec<String> = state
        .holds
        .values()
        .filter(|hold| hold.owner == crate::farm::Owner::Run(run.id))
        .flat_map(Hold::members)
        .map(ToString::to_string)
        .collect();
    let in_flight =
        run.holds.values().filter_map(|id| memory.holds.get(id)).map(|memory| text(memory.watch.in_flight()));
    RunView {
        id: run.id.0,
        farm: run.plan.farm.to_string(),
        strategy: run.plan.strategy.to_string(),
        version: run.plan.version.clone(),
        state: word(&run.state).to_owned(),
        why: failed.as_ref().map(|(why, _)| why.clone()),
        failure: failed.map(|(_, kind)| kind.to_owned()),
        by: run.by.clone(),
        started: run.started,
        finished: run.finished,
        cursor: run.cursor,
        steps: run.plan.steps.iter().enumerate().map(|(index, step)| step_view(run, index, step)).collect(),
        waiting: wait_of(run, memory).filter(|_| run.is_active()).map(|wait| wait.to_string()),
        in_flight: in_flight
            .reduce(|mut all, more| {
                all.extend(more);
                all
            })
            .unwrap_or_default(),
        work: work_view(run),
        skipped: text(run.plan.skipped.clone()),
        versions: text(run.versions.clone()),
        flips: run.flips.iter().map(flip_view).collect(),
        next: next(run, &out),
        out,
    }
}

fn step_view(run: &Run, index: usize, step: &Step) -> StepView {
    let state = match (&run.state, index.cmp(&run.cursor)) {
        (_, std::cmp::Ordering::Less) => "done",
        (RunState::Running, std::cmp::Ordering::Equal) => "now",
        (RunState::Failed { .. }, std::cmp::Ordering::Equal) => "failed",
        _ => "to do",
    };
    StepView { text: step.to_string(), state: state.to_owned() }
}

fn flip_view(flip: &Flipped) -> FlipView {
    let took_ms = std::time::Duration::from_micros(flip.took).as_secs_f64() * 1000.0;
    let mode = if flip.route { "route" } else { "servers" };
    FlipView { step: flip.step, at: flip.at, took_ms, mode: mode.to_owned() }
}

fn work_view(run: &Run) -> Option<WorkView> {
    let (RunState::Running, Some(Step::Work { group })) = (&run.state, run.current()) else { return None };
    let members = run.plan.groups.get(group)?;
    Some(WorkView {
        step: run.cursor,
        group: group.to_string(),
        servers: members.iter().map(|member| member.name.to_string()).collect(),
        addresses: members.iter().map(|member| member.address.clone()).collect(),
    })
}

/// The command that goes on from here.
fn next(run: &Run, out: &[String]) -> Option<String> {
    let id = run.id;
    match (&run.state, run.current()) {
        (RunState::Running, Some(Step::Work { group })) => Some(format!(
            "do the work on group {group}, then `teeter advance {id}`; or `teeter advance {id} --failed WHY`; or `teeter abort {id}`"
        )),
        (RunState::Running | RunState::Aborting, _) => None,
        (RunState::Failed { .. }, Some(Step::Work { group })) => Some(format!(
            "mend group {group} by hand and `teeter advance {id}` to go on with its proof; or `teeter abort {id}` to bring back what is well"
        )),
        (RunState::Failed { .. }, Some(step)) if run.plan.strategy == Strategy::Flip => Some(format!(
            "`teeter advance {id}` to try `{step}` again; or `teeter abort {id}` to leave the traffic where it is"
        )),
        (RunState::Failed { .. }, Some(step)) => Some(format!(
            "`teeter advance {id}` to try `{step}` again; or `teeter abort {id}` to bring back what is well"
        )),
        (RunState::Done, _) if run.plan.strategy == Strategy::Flip && !out.is_empty() => {
            let stands_by = |group: &&GroupName| {
                let of = run.plan.groups.get(*group).into_iter().flatten();
                of.into_iter().any(|member| out.contains(&member.name.to_string()))
            };
            let back = run.plan.groups.keys().filter(stands_by);
            let back: Vec<String> = back.map(|group| format!("`teeter flip {} {group}`", run.plan.farm)).collect();
            Some(format!("{} stand by: {} turns the traffic to them", out.join(", "), back.join(" or ")))
        }
        (RunState::Aborted, _) if run.plan.strategy == Strategy::Flip => Some(format!(
            "`teeter status farm:{0}` shows who has the traffic; `teeter flip {0} GROUP` or `teeter flip {0} all` turns it",
            run.plan.farm
        )),
        (RunState::Aborted, _) if !out.is_empty() => Some(format!(
            "mend {} and `teeter ready {}`, with --no-verify to skip the proof; or deploy to the farm again after that",
            out.join(", "),
            out.join(" ")
        )),
        _ => None,
    }
}

fn word(state: &RunState) -> &'static str {
    match state {
        RunState::Running => "running",
        RunState::Failed { .. } => "failed",
        RunState::Aborting => "aborting",
        RunState::Aborted => "aborted",
        RunState::Done => "done",
    }
}

fn failure(kind: FailureKind) -> &'static str {
    match kind {
        FailureKind::Work => "work",
        FailureKind::Proof => "proof",
        FailureKind::Deadline => "deadline",
        FailureKind::Refused => "refused",
        FailureKind::Unreachable => "unreachable",
        FailureKind::Taken => "taken",
    }
}

fn text<V>(map: BTreeMap<MemberName, V>) -> BTreeMap<String, V> {
    map.into_iter().map(|(member, value)| (member.to_string(), value)).collect()
}

impl From<Event> for EventView {
    fn from(event: Event) -> Self {
        let caller = event.caller.map(|caller| CallerView {
            uid: caller.uid,
            gid: caller.gid,
            pid: caller.pid,
            user: caller.user,
            command: caller.command,
        });
        Self {
            id: event.id,
            at: event.at,
            kind: event.kind,
            text: event.text,
            run: event.run.map(|id| id.0),
            hold: event.hold.map(|id| id.0),
            caller,
        }
    }
}
