//! One process: its servers, and how a change of one reaches those that track it.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::sync::Arc;

use tokio::sync::{Semaphore, watch};
use tokio::time::Instant;

use super::maps::Map;
use super::server::{Counters, Op, Server, admin};
use super::setup::{BackendSetup, Route, Series, ServerSetup, Setup};
use super::stick::Stuck;
use super::traffic::Stream;

/// The place of a server: the index of its backend, and its own index there.
pub(super) type At = (usize, usize);

#[derive(Debug)]
pub(super) struct Worker {
    pub(super) pid: u32,
    pub(super) setup: Arc<Setup>,
    pub(super) started: Instant,
    /// A reload has replaced it.
    pub(super) stopping: bool,
    /// The number of reloads since it was started.
    pub(super) reloads: u32,
    pub(super) backends: Vec<Backend>,
    pub(super) maps: Maps,
    pub(super) streams: BTreeMap<u64, Stream>,
    /// The number of its connections to the stats socket.
    pub(super) cli: usize,
    pub(super) seats: Arc<Semaphore>,
    /// Dropped when it ends, which ends its connections.
    pub(super) life: watch::Sender<()>,
    pub(super) requests: u64,
}

#[derive(Debug)]
pub(super) struct Backend {
    pub(super) setup: BackendSetup,
    pub(super) servers: Vec<Server>,
    /// Its `scur` counts a request as soon as the backend is chosen.
    pub(super) counters: Counters,
    /// Requests that wait for any server.
    pub(super) queue: VecDeque<u64>,
    /// The stick table, by client.
    pub(super) table: BTreeMap<u64, Stuck>,
    pub(super) changed: Instant,
}

/// Maps by the names of their files.
pub(super) type Maps = BTreeMap<String, Map>;

/// Reads the files of the maps that a configuration names.
pub(super) fn read_maps(setup: &Setup) -> io::Result<Maps> {
    let mut maps = Maps::new();
    for frontend in &setup.frontends {
        let (Route::Map { file, .. } | Route::Canary { file, .. } | Route::Pin { file, .. }) = &frontend.route else {
            continue;
        };
        if let Entry::Vacant(place) = maps.entry(file.display().to_string()) {
            place.insert(Map::read(file)?);
        }
    }
    Ok(maps)
}

impl Worker {
    /// A new process, with the maps as it has read them.
    pub(super) fn start(setup: &Arc<Setup>, maps: Maps, pid: u32, now: Instant) -> io::Result<Self> {
        let backends = setup.backends.iter().map(|backend| Backend {
            setup: backend.clone(),
            servers: backend.servers.iter().map(|server| Server::new(&begun(backend, server), now)).collect(),
            counters: Counters::default(),
            queue: VecDeque::new(),
            table: BTreeMap::new(),
            changed: now,
        });
        let mut worker = Self {
            pid,
            setup: Arc::clone(setup),
            started: now,
            stopping: false,
            reloads: 0,
            backends: backends.collect(),
            maps,
            streams: BTreeMap::new(),
            cli: 0,
            seats: Arc::new(Semaphore::new(setup.cli_connections)),
            life: watch::channel(()).0,
            requests: 0,
        };
        worker.connect_trackers()?;
        worker.spread_checks(now);
        Ok(worker)
    }

    fn connect_trackers(&mut self) -> io::Result<()> {
        let all: Vec<At> = self.places().collect();
        for at in all {
            let Some(tracked) = self.server(at).setup.track.clone() else { continue };
            let missing = || io::Error::other(format!("no server {tracked} to track"));
            let place = self.find(&tracked).map_err(|_| missing())?;
            self.server_mut(at).track = Some(place);
            self.server_mut(place).trackers.push(at);
            self.server_mut(place).is_referenced = true;
            let inherited = inherited(self.server(place).admin);
            if inherited != 0 {
                self.server_mut(at).admin |= inherited;
                self.server_mut(at).op = Op::Stopped;
                self.server_mut(at).health = 0;
            }
        }
        Ok(())
    }

    /// Spreads the first checks over the shortest interval.
    fn spread_checks(&mut self, now: Instant) {
        let intervals = self.backends.iter().flat_map(|backend| &backend.servers);
        let intervals: Vec<_> = intervals.filter_map(|server| server.check.as_ref().map(|check| check.inter)).collect();
        let (Some(shortest), Ok(count)) = (intervals.iter().min().copied(), u32::try_from(intervals.len())) else {
            return;
        };
        let checks = self.backends.iter_mut().flat_map(|backend| &mut backend.servers);
        for (number, check) in (0..).zip(checks.filter_map(|server| server.check.as_mut())) {
            check.due = now + shortest * number / count;
        }
    }

    /// The place of every server.
    pub(super) fn places(&self) -> impl Iterator<Item = At> + use<> {
        let sizes: Vec<_> = self.backends.iter().map(|backend| backend.servers.len()).collect();
        sizes.into_iter().enumerate().flat_map(|(backend, size)| (0..size).map(move |server| (backend, server)))
    }

    /// Every server that is not deleted, with its place.
    pub(super) fn all(&self) -> impl Iterator<Item = (At, &Server)> {
        let backends = self.backends.iter().enumerate();
        backends.flat_map(|(number, backend)| {
            let there = backend.servers.iter().enumerate().filter(|(_, server)| !server.is_deleted);
            there.map(move |(place, server)| ((number, place), server))
        })
    }

    /// The place in its backend of every server that is not deleted.
    pub(super) fn servers_of(&self, backend: usize) -> Vec<usize> {
        let servers = self.backends[backend].servers.iter().enumerate();
        servers.filter(|(_, server)| !server.is_deleted).map(|(place, _)| place).collect()
    }

    pub(super) fn server(&self, (backend, server): At) -> &Server {
        &self.backends[backend].servers[server]
    }

    pub(super) fn server_mut(&mut self, (backend, server): At) -> &mut Server {
        &mut self.backends[backend].servers[server]
    }

    pub(super) fn backend(&self, name: &str) -> Option<usize> {
        self.backends.iter().position(|backend| backend.setup.name == name)
    }

    /// The place of `BACKEND/SERVER`, or the words with which HAProxy refuses it.
    pub(super) fn find(&self, name: &str) -> Result<At, &'static str> {
        let (backend, server) = name.split_once('/').ok_or("Require 'backend/server'.\n")?;
        let backend = self.backend(backend).ok_or("No such backend.\n")?;
        let servers = &self.backends[backend].servers;
        let server = servers.iter().position(|line| line.setup.name == server && !line.is_deleted);
        let server = server.ok_or("No such server.\n")?;
        Ok((backend, server))
    }

    /// Sets and clears bits of the administrative state of a line, and the inherited bits of the lines that track it.
    pub(super) fn administer(&mut self, at: At, set: u32, clear: u32, now: Instant) {
        let server = self.server_mut(at);
        let (before, was_maint) = (server.admin, server.in_maint());
        server.admin = (before | set) & !clear;
        let (after, is_maint) = (server.admin, server.in_maint());
        if before == after {
            return;
        }
        server.changed = now;
        match (was_maint, is_maint) {
            (false, true) => {
                server.paused |= server.check.is_some();
                server.health = 0;
                if server.op != Op::Stopped {
                    server.counters.downs += 1;
                }
                server.op = Op::Stopped;
            }
            (true, false) => self.leave_maint(at),
            _ => {}
        }
        let (set, clear) = (inherited(after), inherited(before) & !inherited(after));
        for tracker in self.server(at).trackers.clone() {
            self.administer(tracker, set, clear, now);
        }
        let went_down = !was_maint && is_maint;
        self.after_change(at, went_down, now);
    }

    /// Sets the administrative state, as `set server … state` and agents do. `false`: there is no such state.
    pub(super) fn set_state(&mut self, at: At, state: &str, now: Instant) -> bool {
        let (set, clear) = match state {
            "ready" => (0, admin::FORCED_MAINT | admin::FORCED_DRAIN),
            "drain" => (admin::FORCED_DRAIN, admin::FORCED_MAINT),
            "maint" => (admin::FORCED_MAINT, admin::FORCED_DRAIN),
            _ => return false,
        };
        // The first change has all its effects before the second.
        if set != 0 {
            self.administer(at, set, 0, now);
        }
        self.administer(at, 0, clear, now);
        true
    }

    /// Leaves maintenance: the line is up at once, before any check, unless its agent or the line that it tracks is
    /// down.
    fn leave_maint(&mut self, at: At) {
        let tracked = self.server(at).track.map(|tracked| self.server(tracked).op);
        let server = self.server_mut(at);
        if server.is_checked() {
            server.paused = false;
            server.health = server.rise;
        }
        let agent_says_no = server.has_agent() && server.agent.as_ref().is_some_and(|agent| agent.health == 0);
        if tracked != Some(Op::Stopped) && !agent_says_no {
            server.op = tracked.unwrap_or(Op::Running);
        }
    }

    /// Sets the operational state. In maintenance this has no effect.
    pub(super) fn operate(&mut self, at: At, op: Op, now: Instant) {
        let server = self.server_mut(at);
        if server.in_maint() || server.op == op {
            return;
        }
        server.op = op;
        server.changed = now;
        if op == Op::Stopped {
            server.counters.downs += 1;
        }
        for tracker in self.server(at).trackers.clone() {
            self.operate(tracker, op, now);
        }
        self.after_change(at, op == Op::Stopped, now);
    }

    fn after_change(&mut self, at: At, went_down: bool, now: Instant) {
        if went_down {
            self.redistribute(at, now);
            if self.server(at).setup.shutdown_on_down {
                self.kill_streams(at, now);
            }
        } else if self.server(at).in_drain() {
            self.redistribute(at, now);
        } else if self.server(at).is_usable() {
            self.work_off(at, now);
        }
        let backend = &mut self.backends[at.0];
        backend.changed = now;
        // Up to 2.6, requests of a backend without usable servers go on waiting.
        if backend.usable().next().is_none() && self.setup.series >= Series::V3_0 {
            for id in std::mem::take(&mut backend.queue) {
                self.finish(id, Some(503), now);
            }
        }
    }
}

/// The setup of a server in a new process. A disabled backend has no checks.
fn begun(backend: &BackendSetup, server: &ServerSetup) -> ServerSetup {
    let server = server.clone();
    if backend.disabled { ServerSetup { check: None, agent: None, ..server } } else { server }
}

/// The bits that lines inherit from the line that they track.
fn inherited(bits: u32) -> u32 {
    let maint = if bits & admin::MAINT == 0 { 0 } else { admin::INHERITED_MAINT };
    let drain = if bits & admin::DRAIN == 0 { 0 } else { admin::INHERITED_DRAIN };
    maint | drain
}
