//! The status: HAProxys, servers, routes and notes; and views of runs and events.

use std::collections::BTreeSet;

use crate::api::{
    CallerView, ChangedView, EventView, ForecastView, InstanceView, LiveSide, LoginView, OldProcessView,
    RouteEntryView, RouteView, RunStatus, RunView, ServerView, SocketLevel, StatusView,
};
use crate::engine::Engine;
use crate::engine::error::EngineError;
use crate::engine::fleet::reports::Reports;
use crate::engine::memory::Memory;
use crate::engine::record::ledger::no_run;
use crate::engine::record::troubles::STORE;
use crate::engine::retired::left_over::left_over;
use crate::engine::runs::ended::with_kept_halves;
use crate::engine::views::places::{Places, mixed_versions};
use crate::engine::views::run::run_view;
use crate::engine::views::run_servers::run_servers;
use crate::farm::{
    Baseline, Entry, Farm, Hold, InstanceName, Layout, Off, OutBy, Owner, Route, RunId, SameProcess, SeenServer,
    Selector, Stage, skipped_lines,
};
use crate::haproxy::{AdminState, ServerRef};
use crate::plan::{Run, forecast};
use crate::reconcile::InstanceReport;
use crate::state::{Changed, Event, State};

impl Engine {
    /// The state of HAProxy now, with the holds on each server; of all servers if no selector is given.
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
        let farms = self.fleet.farms();
        let in_farm =
            |farm: &&Farm| chosen.as_ref().is_none_or(|chosen| chosen.iter().any(|entry| farm.has(&entry.server)));
        let seen = reports.seen();
        let layouts: Vec<(&Farm, Layout)> = farms
            .values()
            .filter(in_farm)
            .filter_map(|farm| Some((farm, with_kept_halves(farm, farm.layout(&seen).ok()?, &state))))
            .collect();
        let places = Places::new(&layouts, &state);
        let mut servers = Vec::new();
        for (name, report) in &reports {
            for (server, seen) in report.seen.iter().flat_map(|seen| seen.servers.iter()) {
                let entry = Entry { instance: name.clone(), server: server.clone() };
                if chosen.as_ref().is_none_or(|chosen| chosen.contains(&entry)) {
                    servers.push(places.complete(&entry, server_view(&entry, seen, report, &state)));
                }
            }
        }
        let revision = state.revision;
        let (withheld, may_be_away) = (self.yet_to_join(&state, &reports), self.fleet.may_be_away());
        let instances = self.fleet.instances.iter().zip(reports.values());
        let instances = instances.map(|((name, instance), report)| {
            let mut view = instance_view(name, &instance.looks.client.address().to_string(), report, revision);
            view.agrees &= !withheld.contains(name);
            view.may_be_away = may_be_away.contains(name);
            view
        });
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
                || farms.values().any(|farm| {
                    farm.has(server) && selectors.iter().any(|selector| selector.farm() == Some(&farm.name))
                })
        };
        let skipped = skipped_lines(&seen, picked);
        let left = left_over(&state, &farms, &self.fleet.instances.keys().collect());
        let left = left.iter().filter(|_| chosen.is_none());
        let left = left.map(|(what, left)| format!("{what} is not configured any more, and the store has {left}"));
        let doubles = layouts.iter().filter_map(|(farm, layout)| {
            let same = SameProcess::find(layout, &seen).without_groups(layout.groups.values());
            Some(format!("farm {}: {}", farm.name, same.advice(layout)?))
        });
        let mixed = layouts.iter().filter_map(|(farm, layout)| mixed_versions(farm, layout, &places, &state, &seen));
        let trouble = self.record.trouble().map(str::to_owned).into_iter();
        let own = self.record.troubles.all().into_iter().map(|(about, words)| format!("{about}: {words}"));
        let rivals = self.fleet.rivals().into_iter().filter(|_| chosen.is_none());
        let rivals = rivals.map(|(name, text)| format!("HAProxy {name}: {text}"));
        let notes = trouble
            .chain(own)
            .chain(rivals)
            .chain(noted)
            .chain(doubles)
            .chain(mixed)
            .chain(skipped)
            .chain(left)
            .collect();
        Ok(StatusView { instances: instances.collect(), servers, routes: routes.collect(), notes })
    }

    /// The active runs, and the `latest` of all that are remembered; the latest last.
    pub async fn run_views(&self, latest: usize) -> Vec<RunView> {
        let state = self.record.state();
        let reports = self.fleet.reports();
        let earlier = state.runs.len().saturating_sub(latest);
        let runs = state.runs.values().enumerate().filter(|(at, run)| *at >= earlier || run.is_active());
        runs.map(|(_, run)| self.view_of_run(run, &state, &reports)).collect()
    }

    /// One run, also one that has ended long ago.
    ///
    /// # Errors
    /// There is none of this number.
    pub async fn run_view(&self, id: RunId) -> Result<RunView, EngineError> {
        let state = self.record.state();
        if let Some(run) = state.runs.get(&id) {
            let reports = self.fleet.reports();
            let servers = if run.is_active() { run_servers(run, &reports) } else { Vec::new() };
            let view = RunView { servers, ..self.view_of_run(run, &state, &reports) };
            return self.with_drains(view, run, state.revision).await;
        }
        let run = self.record.read(move |store| store.run(id)).await?.ok_or_else(|| no_run(id))?;
        self.with_drains(self.view_of_run(&run, &state, &self.fleet.reports()), &run, state.revision).await
    }

    fn view_of_run(&self, run: &Run, state: &State, reports: &Reports) -> RunView {
        let holds = state.holds.values().filter(|hold| hold.owner == Owner::Run(run.id));
        let not_reached = holds.filter_map(|hold| self.not_reached(hold, state, reports)).collect();
        let view = run_view(run, state, &self.memory(), self.clock.now());
        // A run whose next change cannot be stored waits without knowing it.
        let cannot_store = || {
            let store = self.record.troubles.all().into_iter().find(|(about, _)| *about == STORE);
            store.filter(|_| run.is_active()).map(|(about, words)| format!("{about}: {words}"))
        };
        RunView { not_reached, waiting: view.waiting.or_else(cannot_store), ..view }
    }

    /// A plan that is not carried out, as a run, with what to expect of it.
    pub fn plan_view(&self, run: &Run) -> RunView {
        let reports = self.fleet.reports();
        let serves =
            |entries: &[Entry]| entries.iter().any(|entry| reports.server(entry).is_some_and(SeenServer::is_usable));
        let planned = run.plan.groups.values().flatten().map(|member| (&member.name, member.entries.as_slice()));
        let skipped = run.plan.skipped_lines.iter().map(|(member, entries)| (member, entries.as_slice()));
        let in_service = planned.chain(skipped).filter(|(_, entries)| serves(entries));
        let expected = forecast(&run.plan, &in_service.map(|(member, _)| member.clone()).collect());
        let mut view = run_view(run, &State::default(), &Memory::default(), self.clock.now());
        view.state = RunStatus::Planned;
        view.next = None;
        for (step, expected) in view.steps.iter_mut().zip(expected.steps) {
            (step.does, step.carry) = (Some(expected.does), Some(expected.carry));
        }
        view.forecast = Some(ForecastView {
            servers: expected.servers,
            before: expected.before.iter().map(ToString::to_string).collect(),
            least_s: expected.least.duration().as_secs(),
            most_s: expected.most.duration().as_secs(),
        });
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
        trouble: trouble.or_else(|| report.withheld.text()),
        pid: report.seen.as_ref().map(|seen| seen.pid),
        version: report.seen.as_ref().map(|seen| seen.version.clone()),
        level: report.level.map(SocketLevel::from),
        agrees: report.agrees(revision),
        sees_old: report.sees_old,
        may_be_away: false,
        looked: report.seen.is_some().then_some(report.at),
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
        requests: Some(seen.load.stot),
        idle: seen.load.idle,
        old: old.collect(),
        last_check: seen.last_check.clone(),
        tracks: seen.tracked.as_ref().map(ToString::to_string),
        backup: seen.backup,
        held_by: held_by(entry, seen, &holds, state)
            .into_iter()
            .chain(off.map(|off| OutBy::Backend(off).to_string()))
            .collect(),
        farm: None,
        group: None,
        member: None,
        version: None,
        holds: holds.iter().map(|hold| hold.id.0).collect(),
        holders: holds.iter().map(|hold| hold.owner.to_string()).collect(),
    }
}

/// What keeps a server out. A state that a hold has set, on the server or on the server that it tracks, counts as the
/// hold.
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
