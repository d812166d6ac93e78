//! Making views of what is stored, seen and remembered.

use crate::engine::fleet::loads::untold;
use crate::engine::fleet::reports::{Found, Reports, gone};

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use crate::api::{
    CallerView, ChangedView, EventView, HoldStage, HoldView, InstanceView, LiveSide, LoginView, OldProcessView,
    RouteEntryView, RouteView, RunStatus, RunView, ServerView, SocketLevel, StatusView,
};
use crate::engine::error::{EngineError, Message};

use crate::engine::Engine;
use crate::engine::memory::Memory;
use crate::engine::record::ledger::no_run;
use crate::engine::retired::left_over::left_over;
use crate::engine::retired::renamed::last_socket;
use crate::engine::views::run::{run_view, text};
use crate::farm::{
    Baseline, Entry, Farm, Hold, HoldId, InstanceName, LineNames, MemberName, Off, OutBy, Owner, Route, RunId,
    SameProcess, SeenServer, Selector, Stage, skipped_lines,
};
use crate::haproxy::{AdminState, ServerRef};
use crate::plan::Run;
use crate::reconcile::InstanceReport;
use crate::state::{Changed, Event, State};

impl Engine {
    /// What HAProxy says now, and who holds what; of everything where nothing is selected.
    ///
    /// # Errors
    /// A selector names nothing.
    pub async fn status(&self, selectors: &[Selector]) -> Result<StatusView, EngineError> {
        let (reports, chosen) = match selectors {
            [] => (self.fleet.read_all().await, None),
            some => {
                let (reports, chosen) = self.fleet.read_for(some).await;
                (reports, Some(chosen?))
            }
        };
        let state = self.record.state();
        let mut servers = Vec::new();
        for (name, report) in &reports {
            for (server, seen) in report.seen.iter().flat_map(|seen| seen.servers.iter()) {
                let entry = Entry { instance: name.clone(), server: server.clone() };
                if chosen.as_ref().is_none_or(|chosen| chosen.contains(&entry)) {
                    servers.push(server_view(&entry, seen, report, &state));
                }
            }
        }
        let revision = state.revision;
        let (untold, may_be_away) = (self.yet_to_join(&state, &reports), self.fleet.may_be_away());
        let instances = self.fleet.instances.iter().zip(reports.values());
        let instances = instances.map(|((name, instance), report)| {
            let mut view = instance_view(name, &instance.looks.client.address().to_string(), report, revision);
            view.agrees &= !untold.contains(name);
            view.may_be_away = may_be_away.contains(name);
            view
        });
        let farms = self.fleet.farms();
        let routes = farms.values().filter_map(|farm| {
            let asked = chosen.as_ref().is_none_or(|chosen| chosen.iter().any(|entry| farm.has(&entry.server)));
            asked.then(|| route_view(farm, state.routes.get(&farm.name), &reports)).flatten()
        });
        let asked = |hold: &&Hold| chosen.as_ref().is_none_or(|chosen| !chosen.is_disjoint(&hold.entries));
        let holds = state.holds.values().filter(asked);
        let noted = holds.filter_map(|hold| Some(format!("hold {}: {}", hold.id, self.note(hold, &state, &reports)?)));
        let picked = |server: &ServerRef, seen: &SeenServer| {
            selectors.is_empty()
                || selectors.iter().any(|selector| selector.picks(server, seen))
                || farms
                    .values()
                    .any(|farm| farm.has(server) && selectors.iter().any(|it| it.farm() == Some(&farm.name)))
        };
        let seen = reports.seen();
        let aside = skipped_lines(&seen, picked);
        let left = left_over(&state, &farms, &self.fleet.instances.keys().collect());
        let left = left.iter().filter(|_| chosen.is_none());
        let left = left.map(|(what, left)| format!("{what} is not configured any more, and the store has {left}"));
        let in_farm =
            |farm: &&Farm| chosen.as_ref().is_none_or(|chosen| chosen.iter().any(|entry| farm.has(&entry.server)));
        let doubles = farms.values().filter(in_farm).filter_map(|farm| {
            let layout = farm.layout(&seen).ok()?;
            let same = SameProcess::find(&layout, &seen).without_groups(layout.groups.values());
            Some(format!("farm {}: {}", farm.name, same.advice(&layout)?))
        });
        let trouble = self.record.trouble().map(str::to_owned).into_iter();
        let own = self.record.troubles.all().into_iter().map(|(about, words)| format!("{about}: {words}"));
        let rivals = self.fleet.rivals().into_iter().filter(|_| chosen.is_none());
        let rivals = rivals.map(|(name, text)| format!("HAProxy {name}: {text}"));
        let notes = trouble.chain(own).chain(rivals).chain(noted).chain(doubles).chain(aside).chain(left).collect();
        Ok(StatusView { instances: instances.collect(), servers, routes: routes.collect(), notes })
    }

    /// Every hold.
    pub async fn hold_views(&self) -> Vec<HoldView> {
        let state = self.record.state();
        let reports = self.fleet.reports();
        let names = self.line_names(&reports);
        let holds = state.holds.values();
        holds.map(|hold| self.view_of(hold, &state, (&reports, &names))).collect()
    }

    /// One hold.
    ///
    /// # Errors
    /// There is none of this number; perhaps not any more.
    pub async fn hold_view(&self, id: HoldId) -> Result<HoldView, EngineError> {
        let state = self.record.state();
        let reports = self.fleet.reports();
        let names = self.line_names(&reports);
        let hold = state.holds.get(&id).map(|hold| self.view_of(hold, &state, (&reports, &names)));
        hold.ok_or_else(|| EngineError::NotFound(Message::new(format!("there is no hold {id}, or it has ended"))))
    }

    /// Every run that is remembered, the latest last.
    pub async fn run_views(&self) -> Vec<RunView> {
        let state = self.record.state();
        let reports = self.fleet.reports();
        state.runs.values().map(|run| self.view_of_run(run, &state, &reports)).collect()
    }

    /// One run, also one that has ended long ago.
    ///
    /// # Errors
    /// There is none of this number.
    pub async fn run_view(&self, id: RunId) -> Result<RunView, EngineError> {
        let state = self.record.state();
        if let Some(run) = state.runs.get(&id) {
            return Ok(self.view_of_run(run, &state, &self.fleet.reports()));
        }
        let run = self.record.read(move |store| store.run(id)).await?;
        let run = run.map(|run| self.view_of_run(&run, &state, &self.fleet.reports()));
        run.ok_or_else(|| no_run(id))
    }

    fn view_of_run(&self, run: &Run, state: &State, reports: &Reports) -> RunView {
        let holds = state.holds.values().filter(|hold| hold.owner == Owner::Run(run.id));
        let not_reached = holds.filter_map(|hold| self.not_reached(hold, state, reports)).collect();
        RunView { not_reached, ..run_view(run, state, &self.memory(), self.clock.now()) }
    }

    /// The members of lines that have other names, of all that HAProxy has.
    fn line_names(&self, reports: &Reports) -> LineNames {
        let lines = reports.values().flat_map(|report| report.seen.iter().flat_map(|seen| seen.servers.keys()));
        LineNames::from_farms(lines, &self.fleet.farms())
    }

    fn view_of(&self, hold: &Hold, state: &State, (reports, names): (&Reports, &LineNames)) -> HoldView {
        let note = self.note(hold, state, reports);
        let away = self.fleet.aside_of(hold, reports);
        let without = hold.reach.without.union(&away).map(ToString::to_string).collect();
        HoldView { note, without, ..hold_view(hold, (reports, names), &self.memory(), self.clock.now()) }
    }

    /// What went wrong with a hold and what it does not reach, for people.
    pub(crate) fn note(&self, hold: &Hold, state: &State, reports: &Reports) -> Option<String> {
        let instances: BTreeSet<&InstanceName> = hold.entries.iter().map(|entry| &entry.instance).collect();
        let left = instances.into_iter().filter_map(|name| untold(hold, name, reports.get(name)?, state));
        let left: BTreeSet<String> = left.map(|why| why.words().to_owned()).collect();
        let notes = hold.note.iter().cloned().chain(not_there(hold, reports)).chain(overruled(hold, state));
        let notes =
            notes.chain(left).chain(unconfigured(hold, state, reports)).chain(self.not_reached(hold, state, reports));
        notes.reduce(|one, more| format!("{one}; {more}"))
    }

    /// A plan that is not carried out, as a run.
    pub fn plan_view(&self, run: &Run) -> RunView {
        let mut view = run_view(run, &State::default(), &Memory::default(), self.clock.now());
        view.state = RunStatus::Planned;
        view.next = None;
        view
    }
}

fn instance_view(name: &InstanceName, socket: &str, report: &InstanceReport, revision: u64) -> InstanceView {
    let refused = || report.refused.as_ref().map(|(_, words)| words.clone());
    let trouble = report.trouble.clone().or_else(refused);
    InstanceView {
        name: name.to_string(),
        socket: socket.to_owned(),
        reachable: report.reachable,
        trouble: trouble.or_else(|| report.untold.words()),
        pid: report.seen.as_ref().map(|seen| seen.pid),
        version: report.seen.as_ref().map(|seen| seen.version.clone()),
        level: report.level.map(SocketLevel::from),
        agrees: report.reachable && report.agreed >= revision && report.untold.is_empty(),
        sees_old: report.sees_old,
        may_be_away: false,
    }
}

fn route_view(farm: &Farm, stored: Option<&Route>, reports: &Reports) -> Option<RouteView> {
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
        [Some(ref side)] => LiveSide::Side(side.to_string()),
        _ => LiveSide::NotKnown,
    };
    (!keys.is_empty()).then(|| RouteView { farm: farm.name.to_string(), live, entries, kept: stored.is_some() })
}

fn server_view(entry: &Entry, seen: &SeenServer, report: &InstanceReport, state: &State) -> ServerView {
    let Entry { instance, server } = entry;
    let reachable = report.reachable;
    let off = report.seen.as_ref().and_then(|seen| seen.off.get(&server.backend)).copied();
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
        status: match off {
            _ if !reachable => "unknown".to_owned(),
            Some(Off::Disabled) => "DISABLED".to_owned(),
            Some(Off::Refuses) | None => seen.status.clone(),
        },
        admin: seen.admin.forced().into(),
        in_service: reachable && off.is_none() && seen.is_usable(),
        weight: seen.weight,
        in_flight: seen.load.in_flight(),
        scur: seen.load.scur,
        qcur: seen.load.qcur,
        idle: seen.load.idle,
        old: old.collect(),
        last_check: seen.last_check.clone(),
        tracks: seen.tracked.as_ref().map(ToString::to_string),
        backup: seen.backup,
        held_by: held_by(entry, seen, &holds, state)
            .into_iter()
            .chain(off.map(|off| OutBy::Backend(off).to_string()))
            .collect(),
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
    let text = |hold: &&Hold| match hold.stage {
        Stage::Shared { .. } => format!("{} (in service, by another weight)", hold.owner),
        _ => format!("{} ({})", hold.owner, hold.reason),
    };
    let mut texts: Vec<String> = holds.iter().map(text).collect();
    let set = |was: &Baseline| match was.overruled {
        Some(overruled) => Some(format!("left in {}, set outside teeter", overruled.state)),
        None => (was.state > AdminState::Ready).then(|| format!("{}, set outside teeter", was.state)),
    };
    texts.extend(state.baselines.get(entry).filter(|_| !holds.is_empty()).and_then(set));
    texts.extend(seen.out_by().iter().filter(|by| !ours(by)).map(ToString::to_string));
    texts
}

fn hold_view(hold: &Hold, (reports, line_names): (&Reports, &LineNames), memory: &Memory, now: Timestamp) -> HoldView {
    let remembered = memory.holds.get(&hold.id);
    let wait = remembered.and_then(|memory| memory.wait.clone());
    let (stage, left) = match hold.stage {
        Stage::Draining(_) => (HoldStage::Draining, 0),
        Stage::Stuck { .. } => (HoldStage::Stuck, 0),
        Stage::Out { left, .. } => (HoldStage::Out, left),
        Stage::Verifying(_) => (HoldStage::Verifying, 0),
        Stage::Shared { .. } => (HoldStage::Shared, 0),
        Stage::Verified { .. } => (HoldStage::Verified, 0),
    };
    HoldView {
        id: hold.id.0,
        owner: hold.owner.to_string(),
        reason: hold.reason.clone(),
        entries: hold.entries.iter().map(ToString::to_string).collect(),
        members: names(hold, reports, line_names),
        mode: hold.wanted_state().into(),
        stage,
        left,
        since: hold.since,
        expires: hold.expires,
        waiting: wait.as_ref().map(ToString::to_string),
        within_s: wait.as_ref().and_then(|wait| wait.within_s(now)),
        wait,
        in_flight: remembered.map(|memory| text(memory.watch.in_flight(hold))).unwrap_or_default(),
        note: None,
        without: Vec::new(),
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

/// The lines of a hold in HAProxys that are not configured any more, for people.
fn unconfigured(hold: &Hold, state: &State, reports: &Reports) -> Option<String> {
    let lines: Vec<&Entry> = hold.entries.iter().filter(|entry| !reports.contains_key(&entry.instance)).collect();
    let named: BTreeSet<&InstanceName> = lines.iter().map(|entry| &entry.instance).collect();
    let names = named.iter().map(|name| name.as_str()).collect::<Vec<_>>().join(", ");
    let first = named.first()?;
    let lines = lines.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    Some(format!(
        "HAProxy {names}{} is not configured any more: {lines} cannot be told anything until it is configured again; where \
         it is gone, `teeter forget --haproxy {first}` forgets it",
        last_socket(first, state.baselines.iter())
    ))
}

/// The lines of a hold that HAProxy does not have, for people.
fn not_there(hold: &Hold, reports: &Reports) -> Option<String> {
    let missing = hold.entries.iter().filter(|entry| matches!(reports.find(entry), Found::Gone));
    let gone: Vec<String> = missing.map(|entry| format!("{entry} {}", gone(entry))).collect();
    (!gone.is_empty()).then(|| gone.join(", "))
}

/// What a hold keeps out: a member by its name where all its lines are held, otherwise line by line, and a line with its
/// HAProxy where another one has it, too, and it is not held there.
fn names<'a>(hold: &'a Hold, reports: &'a Reports, line_names: &'a LineNames) -> Vec<String> {
    let member = |line: &'a ServerRef| hold.names.other(line).unwrap_or_else(|| line_names.of_line(line));
    let mut members: BTreeMap<&MemberName, (bool, Vec<&Entry>)> = BTreeMap::new();
    for entry in &hold.entries {
        members.entry(member(&entry.server)).or_insert((true, Vec::new())).1.push(entry);
    }
    let mut free: BTreeSet<&ServerRef> = BTreeSet::new();
    // Each line once: a hold may have a thousand members, and HAProxy ten thousand lines.
    for (name, report) in reports {
        let lines = report.seen.iter().flat_map(|seen| {
            // A backend that is switched off gets no traffic, whatever its lines are.
            seen.servers.keys().filter(|line| !seen.is_disabled(&line.backend))
        });
        for line in lines {
            let Some((whole, held)) = members.get_mut(member(line)) else { continue };
            if !held.iter().any(|entry| entry.server == *line && entry.instance == *name) {
                *whole = false;
                free.insert(line);
            }
        }
    }
    let line = |entry: &Entry| match free.contains(&entry.server) {
        true => entry.to_string(),
        false => entry.server.to_string(),
    };
    let of = |(member, (whole, held)): (&MemberName, (bool, Vec<&Entry>))| match whole {
        true => vec![member.to_string()],
        false => held.iter().map(|entry| line(entry)).collect::<BTreeSet<_>>().into_iter().collect(),
    };
    members.into_iter().flat_map(of).collect()
}

fn changed(Changed { what, before, after }: Changed) -> ChangedView {
    ChangedView { what, before, after }
}

impl From<Event> for EventView {
    fn from(event: Event) -> Self {
        let caller = event.caller.map(|caller| CallerView {
            uid: caller.uid,
            gid: caller.gid,
            pid: caller.pid,
            user: caller.user,
            command: caller.command,
            exe: caller.exe,
            login: caller.login.map(|login| LoginView { uid: login.uid, user: login.user }),
        });
        Self {
            id: event.id,
            at: event.at,
            kind: event.kind,
            text: event.text,
            run: event.run.map(|id| id.0),
            hold: event.hold.map(|id| id.0),
            caller,
            changed: event.changed.into_iter().map(changed).collect(),
        }
    }
}
