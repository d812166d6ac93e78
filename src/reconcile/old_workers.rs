//! The worker processes that reloads have left behind. They accept no new clients, but go on serving the old ones, also
//! on servers that are held in the new process. Only the master's socket shows them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use crate::farm::{Load, Seen};
use crate::haproxy::commands::{
    CountAssigned, ProxyId, ShowSessions, ShowStat, ShutdownSession, StatKind, StatRow, Worker,
};
use crate::haproxy::{BackendName, Error, Master, ServerRef};
use crate::platform::chain;

/// A worker that a reload has replaced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct OldWorker {
    pub(crate) pid: u32,
    /// The time since its start.
    pub(crate) age: Duration,
    /// The numbers of its backends.
    ids: BTreeMap<BackendName, ProxyId>,
    /// Requests in flight on each server that has any.
    pub(crate) in_flight: BTreeMap<ServerRef, u64>,
    /// Requests of each backend that have no server yet.
    pub(crate) between: BTreeMap<BackendName, u64>,
}

/// Why the observer looks at old workers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LookCause {
    /// Another process answers than before.
    Replaced,
    /// A look at all backends.
    Requested,
    /// A look at some backends.
    Regular,
}

/// The old workers of one HAProxy, as far as they are known.
#[derive(Debug)]
pub(crate) struct OldWorkers {
    master: Option<Arc<Master>>,
    known: Arc<Vec<OldWorker>>,
    /// When the master was asked last.
    asked: Option<Instant>,
    /// When another process began to answer, if the master has not been asked about the earlier one since.
    due: Option<Instant>,
    trouble: Option<String>,
}

impl OldWorkers {
    pub(crate) fn new(master: Option<Arc<Master>>) -> Self {
        Self { master, known: Arc::default(), asked: None, due: None, trouble: None }
    }

    /// The old workers, as last seen.
    pub(crate) fn known(&self) -> Arc<Vec<OldWorker>> {
        Arc::clone(&self.known)
    }

    /// The problem with the master's socket, if there is one.
    pub(crate) fn trouble(&self) -> Option<&String> {
        self.trouble.as_ref()
    }

    /// Whether teeter can see old workers.
    pub(crate) fn can_see(&self) -> bool {
        self.master.is_some() && self.trouble.is_none()
    }

    /// Whether there may be old workers that are not counted. Then no server counts as drained; but a master that stays
    /// away does not stop drains for ever, and is reported as a problem of its own.
    pub(crate) fn is_unsure(&self, now: Instant) -> bool {
        let due = self.due.is_some_and(|since| now.duration_since(since) < MASTER_TAKES);
        self.trouble.is_some() && (due || !self.known.is_empty())
    }

    /// Looks at the old workers, if there may be any. Known ones are looked at as often as the new process is. The
    /// process with the id `serving` is not an old one, although the master lists it as one after a failed reload.
    pub(crate) async fn look(
        &mut self,
        serving: u32,
        cause: LookCause,
        backends: &BTreeSet<BackendName>,
        now: Instant,
    ) {
        let Some(master) = self.master.clone() else { return };
        if cause == LookCause::Replaced {
            self.due = Some(now);
        }
        let is_needed = cause != LookCause::Regular || self.due.is_some() || !self.known.is_empty();
        let was_recent = self.asked.is_some_and(|at| now.duration_since(at) < AGAIN);
        if !is_needed && was_recent {
            return;
        }
        self.asked = Some(now);
        let workers = match master.workers().await {
            Ok(workers) => workers,
            Err(error) => {
                // The known ones may still be there, and count until the master answers.
                self.trouble = Some(format!("processes that a reload left behind are not seen: {}", chain(&error)));
                return;
            }
        };
        (self.trouble, self.due) = (None, None);
        let all = backends.is_empty() || backends.len() > ONE_BY_ONE;
        let mut seen = Vec::new();
        for worker in workers.into_iter().filter(|worker| worker.old && worker.pid != serving) {
            let known = self.known.iter().find(|known| known.pid == worker.pid && known.age <= worker.uptime);
            match look_at(&master, &worker, if all { None } else { Some(backends) }, known).await {
                Ok(worker) => seen.push(worker),
                // It has ended meanwhile.
                Err(error) if error.refusal().is_some() => {}
                Err(error) => {
                    self.trouble = Some(format!("process {} that a reload left behind: {}", worker.pid, chain(&error)));
                    seen.extend(known.cloned());
                }
            }
        }
        self.known = Arc::new(seen);
    }

    /// The number of requests that old workers have assigned to each server, including those that no counter shows.
    pub(crate) async fn assigned(&self) -> Result<BTreeMap<ServerRef, u64>, Error> {
        let mut all = BTreeMap::new();
        let Some(master) = &self.master else { return Ok(all) };
        for worker in self.known.iter() {
            match master.ask_worker(worker.pid, &CountAssigned).await {
                Ok(requests) => requests.into_iter().for_each(|(server, more)| *all.entry(server).or_default() += more),
                // It has ended.
                Err(error) if error.refusal().is_some() => {}
                Err(error) => return Err(error),
            }
        }
        Ok(all)
    }

    /// Ends the sessions on these servers.
    pub(crate) async fn kill(&self, servers: &BTreeSet<ServerRef>) -> Result<(), Error> {
        let Some(master) = &self.master else { return Ok(()) };
        let busy = |worker: &&OldWorker| worker.in_flight.keys().any(|server| servers.contains(server));
        for worker in self.known.iter().filter(busy) {
            for session in master.ask_worker(worker.pid, &ShowSessions).await? {
                let (Ok(backend), Ok(server)) = (session.backend.parse(), session.server.parse()) else { continue };
                if servers.contains(&ServerRef { backend, server }) {
                    match master.ask_worker(worker.pid, &ShutdownSession { id: session.id }).await {
                        // It has ended by itself.
                        Err(error) if error.refusal().is_none() => return Err(error),
                        _ => {}
                    }
                }
            }
        }
        Ok(())
    }
}

/// Adds the requests of old workers to the load of each server.
pub(crate) fn add_to(seen: &mut Seen, old: &[OldWorker], looked_at: Option<&BTreeSet<BackendName>>) {
    // The load of other servers is from an earlier look, and already has these requests.
    let fresh = |server: &ServerRef| looked_at.is_none_or(|backends| backends.contains(&server.backend));
    let all = old.iter().flat_map(|worker| &worker.in_flight);
    for (server, requests) in all.filter(|(server, _)| fresh(server)) {
        if let Some(server) = seen.servers.get_mut(server) {
            server.load.old += requests;
        }
    }
}

async fn look_at(
    master: &Master,
    worker: &Worker,
    backends: Option<&BTreeSet<BackendName>>,
    known: Option<&OldWorker>,
) -> Result<OldWorker, Error> {
    let kind = StatKind::BackendsAndServers;
    let mut ids = known.map_or_else(BTreeMap::new, |known| known.ids.clone());
    let mut rows: Vec<StatRow> = Vec::new();
    let all = ShowStat { backend: None, kind };
    match backends.filter(|_| !ids.is_empty()) {
        None => {
            rows = master.ask_worker(worker.pid, &all).await?;
            let found = rows.iter().filter(|row| row.is_backend());
            ids = found.filter_map(|row| Some((row.pxname.parse().ok()?, row.iid))).collect();
        }
        // An old worker may have another configuration, without some of these backends.
        Some(backends) => {
            for id in backends.iter().filter_map(|backend| ids.get(backend)) {
                rows.extend(master.ask_worker(worker.pid, &ShowStat { backend: Some(*id), kind }).await?);
            }
        }
    }
    let (mut in_flight, mut between) = (BTreeMap::new(), BTreeMap::<BackendName, u64>::new());
    // `Quirk::LeavingWorkerHasNoCounters`: no row at all, while it still lists its sessions.
    if ids.is_empty() {
        for session in master.ask_worker(worker.pid, &ShowSessions).await? {
            if let (Ok(backend), Ok(server)) = (session.backend.parse(), session.server.parse()) {
                *in_flight.entry(ServerRef { backend, server }).or_default() += 1;
            }
        }
    }
    for row in &rows {
        let Ok(backend) = row.pxname.parse::<BackendName>() else { continue };
        if row.is_backend() {
            *between.entry(backend).or_default() += row.scur;
            continue;
        }
        let Ok(server) = row.svname.parse() else { continue };
        let load = Load { scur: row.scur, qcur: row.qcur, served: row.served.unwrap_or_default(), ..Load::default() };
        if load.in_flight() > 0 {
            in_flight.insert(ServerRef { backend, server }, load.in_flight());
        }
    }
    for (server, requests) in &in_flight {
        if let Some(without_server) = between.get_mut(&server.backend) {
            *without_server = without_server.saturating_sub(*requests);
        }
    }
    between.retain(|_, requests| *requests > 0);
    Ok(OldWorker { pid: worker.pid, age: worker.uptime, ids, in_flight, between })
}

/// Notifies `reloaded` of the beginning of each reload, as long as an observer has it.
pub(crate) async fn watch(master: Arc<Master>, reloaded: std::sync::Weak<Notify>) {
    loop {
        let ended = master.reloaded().await;
        let Some(reloaded) = reloaded.upgrade() else { return };
        if ended.is_ok() {
            reloaded.notify_one();
        }
        drop(reloaded);
        tokio::time::sleep(CONNECT_AGAIN).await;
    }
}

/// More backends than this are asked for all at once.
const ONE_BY_ONE: usize = 4;

/// How long drains wait for a master that does not answer; a reload takes much less.
const MASTER_TAKES: Duration = Duration::from_secs(10);

/// The time between two looks while no old worker is known: a reload is noticed by the id of the new process, so these
/// looks only find a missed one.
const AGAIN: Duration = Duration::from_secs(2);

/// The pause before the next connection: the master reloads, or has closed an idle connection.
const CONNECT_AGAIN: Duration = Duration::from_millis(500);
