//! The observer and reconciler of one HAProxy: looks, compares with what is wanted, acts, looks again.
//!
//! It is driven by levels, not by edges: after a reload, a crash or a failed connection the next look finds what
//! differs, and the same code puts it right.

mod agree;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::{Notify, mpsc, oneshot, watch};
use tokio::time::Instant;

use self::agree::Refusals;
use super::drift::{Drift, Drifts};
use super::look::{Look, look_at, look_at_all};
use super::map_files::MapFiles;
use super::old_workers::{self, OldWorkers};
use super::order::Order;
use super::pace::{PollReason, UnchangedLooks, pace};
use super::report::InstanceReport;
use super::scope::Scope;
use super::session_list::SessionListCheck;
use super::stick_tables::StickTables;
use super::unread::UnreadCommands;
use super::{Refresh, Setup};
use crate::farm::{InstanceName, Off, Process, WantedMaps};
use crate::haproxy::commands::{Info, SetCommand, ShutdownSessions};
use crate::haproxy::{BackendName, Client, Error, Line, Master, ServerRef};
use crate::platform::{Clock, chain};

/// The ends of an observer's channels to its [`super::Instance`], and what both use.
pub(super) struct Ends {
    pub(super) client: Arc<Client>,
    pub(super) master: Option<Arc<Master>>,
    pub(super) orders: watch::Receiver<Order>,
    pub(super) reports: watch::Sender<InstanceReport>,
    pub(super) refresh: mpsc::Receiver<Refresh>,
    /// Notified when the master reports that a reload has begun.
    pub(super) reloaded: Arc<Notify>,
    /// How many rounds the observer has begun.
    pub(super) rounds: Arc<AtomicU64>,
}

pub(super) struct Observer {
    name: InstanceName,
    client: Arc<Client>,
    clock: Clock,
    orders: watch::Receiver<Order>,
    reports: watch::Sender<InstanceReport>,
    refresh: mpsc::Receiver<Refresh>,
    nudge: Arc<Notify>,
    report: InstanceReport,
    scope: Scope,
    /// How long the last look took.
    took: Duration,
    /// When everything was looked at last.
    widely: Option<Instant>,
    /// How long that took.
    widely_took: Duration,
    tries: u32,
    emptied: SessionListCheck,
    sticking: StickTables,
    /// What the process that is seen last said of itself.
    process: Option<Info>,
    unchanged: UnchangedLooks,
    killed: Option<Instant>,
    drifts: Drifts,
    late: UnreadCommands,
    /// Backends of this process that have refused orders because they are shut down.
    off: BTreeSet<BackendName>,
    /// Servers that were set down to be checked afresh, and that no check has found well since.
    set_down: BTreeSet<ServerRef>,
    files: MapFiles,
    refusals: Refusals,
    old: OldWorkers,
    /// The master says that a reload has begun.
    reloaded: Arc<Notify>,
    /// Since when the process is expected to be replaced.
    hurry: Option<Instant>,
    /// The maps that HAProxy was last read back to have.
    turned: Arc<WantedMaps>,
    /// How often it has gone round.
    rounds: Arc<AtomicU64>,
}

impl Observer {
    pub(super) fn new(name: InstanceName, ends: Ends, first: InstanceReport, setup: &Setup) -> Self {
        Self {
            name,
            client: ends.client,
            clock: setup.maps.platform.clock,
            orders: ends.orders,
            reports: ends.reports,
            refresh: ends.refresh,
            nudge: Arc::clone(&setup.nudge),
            report: first,
            scope: Scope::new(),
            took: Duration::ZERO,
            widely: None,
            widely_took: Duration::ZERO,
            tries: 0,
            emptied: SessionListCheck::default(),
            sticking: StickTables::default(),
            process: None,
            unchanged: UnchangedLooks::default(),
            killed: None,
            drifts: Drifts::default(),
            late: if setup.resumes { UnreadCommands::Unanswered } else { UnreadCommands::None },
            off: BTreeSet::new(),
            set_down: BTreeSet::new(),
            files: MapFiles::new(setup.maps.clone()),
            refusals: Refusals::default(),
            old: OldWorkers::new(ends.master),
            reloaded: ends.reloaded,
            hurry: None,
            turned: Arc::default(),
            rounds: ends.rounds,
        }
    }

    pub(super) async fn run(mut self) {
        let mut asked: Vec<oneshot::Sender<()>> = Vec::new();
        loop {
            self.rounds.fetch_add(1, Ordering::Relaxed);
            let order = self.orders.borrow_and_update().clone();
            let waiting = match self.round(&order).await {
                Ok(waiting) => waiting,
                Err(error) => self.lost(&error),
            };
            // Nothing is at stake where nothing is held or turned.
            let at_stake = order.follows || !order.wanted.is_empty() || !order.maps.is_empty();
            let waiting = match waiting {
                // An instance that answers again must not serve for long before it gets the order.
                PollReason::Answer(tries) if at_stake => PollReason::Answer(tries.min(AT_STAKE)),
                other => other,
            };
            let hurry = at_stake && self.hurry.is_some_and(|since| since.elapsed() < RELOAD_TAKES);
            let waiting = if hurry { PollReason::Reload } else { waiting };
            self.report.order = order.revision;
            self.reports.send_replace(self.report.clone());
            self.nudge.notify_one();
            asked.drain(..).for_each(|asked| asked.send(()).unwrap_or_default());
            tokio::select! {
                // A change of what is wanted goes before looks, and looks before the passing of time.
                biased;
                changed = self.orders.changed() => if changed.is_err() { return },
                Some((backends, done)) = self.refresh.recv() => {
                    self.scope.add(backends);
                    asked.push(done);
                    while let Ok((backends, done)) = self.refresh.try_recv() {
                        self.scope.add(backends);
                        asked.push(done);
                    }
                }
                () = self.reloaded.notified() => self.hurry = Some(self.clock.mark()),
                () = tokio::time::sleep(pace(waiting, self.took)) => {}
            }
        }
    }

    async fn round(&mut self, order: &Order) -> Result<PollReason, Error> {
        if !self.look(order).await? {
            return Ok(self.leaving());
        }
        let Some(seen) = self.report.seen.clone() else { return Ok(self.leaving()) };
        let order = &order.without(&seen.off);
        let mut drifts = self.drifts.find(&order.wanted, &seen);
        drifts.extend(self.drifts.find_in_maps(&order.maps, &seen.maps));
        let mut begun = (*self.report.begun).clone();
        begun.retain(|server, proof| {
            order.wanted.get(server).is_some_and(|wanted| wanted.afresh.is_some_and(|due| due <= *proof))
        });
        self.report.begun = Arc::new(begun);
        let (untold, changed) = self.untold(order, &seen).await;
        drifts.extend(changed.into_iter().map(|(map, what)| Drift::File { map, what }));
        self.found(drifts);
        if let Some(waiting) = self.make_agree(order, untold, seen).await? {
            return Ok(waiting);
        }
        if let (Some(seen), Some(process)) = (&mut self.report.seen, &self.process) {
            let told = (&*self.client, process);
            let same = self.sticking.ask(told, &order.draining, seen, self.clock.mark()).await?
                && self.emptied.ask(told, &self.old, &order.draining, seen).await?;
            if !same {
                self.scope.everything();
                return Ok(PollReason::Answer(0));
            }
        }
        self.kill(order).await?;
        match self.waiting(order) {
            PollReason::Held | PollReason::Nothing if self.report.untold.waits() => Ok(PollReason::Checks),
            waiting => Ok(waiting),
        }
    }

    /// Reports what others have changed.
    fn found(&mut self, drifts: Vec<Drift>) {
        if !drifts.is_empty() {
            self.report.drifts = Arc::new(self.report.drifts.iter().cloned().chain(drifts).collect());
        }
    }

    fn refused(&mut self, order: &Order, words: String) -> PollReason {
        tracing::warn!(instance = %self.name, "{words}");
        self.report.refused = Some((order.revision, words));
        self.scope.everything();
        PollReason::AfterRefusal
    }

    /// The process that answers is leaving. Until another one does, nothing is known.
    fn leaving(&mut self) -> PollReason {
        self.tries = self.tries.saturating_add(1);
        if self.tries > LEAVING_TRIES {
            self.report.reachable = false;
            self.report.trouble = Some("only a process that is stopping answers".to_owned());
        }
        PollReason::Answer(0)
    }

    /// Looks. `false`: the process that answered is leaving; another will answer soon.
    async fn look(&mut self, order: &Order) -> Result<bool, Error> {
        let known = self.process.clone();
        let began = self.clock.mark();
        let pause = WIDELY.max(self.widely_took * 20);
        if order.spreads && self.widely.is_none_or(|at| began.duration_since(at) >= pause) {
            self.scope.everything();
        }
        if self.scope.is_whole() {
            self.widely = Some(began);
        }
        let backends = self.scope.backends(order, self.report.agreed, began);
        let mut part = (!self.scope.is_whole() && known.is_some()).then_some(&backends);
        let ours = |look: &Look| known.as_ref().is_some_and(|known| look.info.is_of(known));
        let found = match (part, self.report.seen.as_deref()) {
            (Some(part), Some(seen)) => look_at(&self.client, part, &seen.backends, &order.keys).await?.filter(ours),
            _ => None,
        };
        let look = match found {
            Some(look) => look,
            None => {
                part = None;
                look_at_all(&self.client, &order.keys).await?
            }
        };
        if look.stopping {
            return Ok(false);
        }
        let replaced = !ours(&look);
        if replaced {
            self.hurry = None;
            // Whatever was set or begun was in the memory of another process.
            self.report.agreed = 0;
            self.report.untold = Arc::default();
            self.report.begun = Arc::default();
            self.drifts = Drifts::default();
            self.off.clear();
            self.set_down.clear();
            self.files.forget();
            self.refusals = Refusals::default();
            self.sticking = StickTables::default();
        }
        let surely = self.scope.is_whole();
        self.scope.taken();
        self.tries = 0;
        self.report.level = look.level.or(self.report.level);
        let before = self.report.seen.as_deref();
        let process = Process::first_seen(&look.info, self.clock.now());
        self.process = Some(look.info.clone());
        let mut seen = look.onto(before, part);
        seen.started = match before {
            Some(before) if !replaced => before.started,
            Some(before) => process.following(&before.process()).started,
            None => process.started,
        };
        // After the new process: what it does not have any more is in an old one by now.
        self.old.look(seen.pid, (replaced, surely), &backends, self.clock.mark()).await;
        old_workers::add_to(&mut seen, &self.old.known(), part);
        for backend in &self.off {
            seen.off.entry(backend.clone()).or_insert(Off::Refuses);
        }
        seen.before = order.before();
        self.set_down.retain(|server| seen.servers.get(server).is_some_and(|now| !now.op.is_up()));
        if self.report.seen.as_ref().is_none_or(|before| replaced || !before.servers.has_lines_of(&seen.servers)) {
            self.report.lines += 1;
        }
        self.report.old = self.old.known();
        self.report.sees_old = self.old.can_see();
        self.report.seen = Some(Arc::new(seen));
        self.late.answered(self.clock.mark());
        self.report.reachable = true;
        self.report.trouble = self.old.trouble().cloned();
        if !self.old.is_unsure(self.clock.mark()) {
            self.report.sample += 1;
        }
        self.report.at = self.clock.now();
        self.took = began.elapsed();
        if part.is_none() {
            self.widely_took = self.took;
        }
        Ok(true)
    }

    fn lost(&mut self, error: &Error) -> PollReason {
        if self.report.reachable {
            tracing::warn!(instance = %self.name, "{}", chain(error));
        }
        self.report.reachable = false;
        self.report.trouble = Some(chain(error));
        self.scope.everything();
        self.tries = self.tries.saturating_add(1);
        PollReason::Answer(self.tries)
    }

    fn note_begun(&mut self, order: &Order, steps: &[crate::farm::BatchStep]) {
        let mut begun = (*self.report.begun).clone();
        for step in
            steps.iter().filter(|step| step.changes.iter().any(|change| matches!(change, SetCommand::Health(_))))
        {
            let Some(server) = step.server() else { continue };
            let wanted = order.wanted.get(server);
            // What was DOWN before is not waited for.
            if wanted.is_none_or(|wanted| !wanted.down) {
                self.set_down.insert(server.clone());
            }
            if let Some(proof) = wanted.and_then(|wanted| wanted.afresh) {
                begun.insert(server.clone(), proof);
            }
        }
        self.report.begun = Arc::new(begun);
    }

    /// Ends the sessions that are to be ended, once a second while there are any: a request may be assigned in the
    /// moment of the first command.
    async fn kill(&mut self, order: &Order) -> Result<(), Error> {
        if order.kill.is_empty() {
            self.killed = None;
            return Ok(());
        }
        let Some(seen) = &self.report.seen else { return Ok(()) };
        let recently = self.killed.is_some_and(|at| at.elapsed() < Duration::from_secs(1));
        let busy = |server: &&ServerRef| seen.servers.get(server).is_some_and(|seen| seen.load.in_flight() > 0);
        let targets: Vec<&ServerRef> = order.kill.iter().filter(busy).collect();
        if recently || targets.is_empty() {
            return Ok(());
        }
        for targets in targets.chunks(KILLS_A_LINE) {
            let mut line = Line::new();
            for server in targets {
                let _ = line.push(&ShutdownSessions { server: (*server).clone() });
            }
            self.client.send(&line).await?;
        }
        self.old.kill(&order.kill).await?;
        self.killed = Some(self.clock.mark());
        Ok(())
    }

    fn waiting(&mut self, order: &Order) -> PollReason {
        if !order.draining.is_empty() {
            let seen = self.report.seen.as_deref();
            let load = |server| seen.and_then(|seen| seen.servers.get(server)).map_or(0, |seen| seen.load.in_flight());
            let in_flight = order.draining.iter().flat_map(|draining| &draining.servers).map(load).sum();
            return self.unchanged.add(&order.draining, in_flight);
        }
        self.unchanged.clear();
        if order.wanted.values().any(|server| server.afresh.is_some() || !server.held) {
            PollReason::Checks
        } else if order.wanted.is_empty() && order.maps.is_empty() && order.watched.is_empty() {
            PollReason::Nothing
        } else {
            PollReason::Held
        }
    }
}

/// While something is to be told, one that does not answer is tried again after 200 ms at most.
const AT_STAKE: u32 = 2;

/// How long after a reload has begun the new process is looked for in haste.
const RELOAD_TAKES: Duration = Duration::from_secs(2);

/// How often everything is looked at while lines may join a hold: HAProxy reports no `add server`.
const WIDELY: Duration = Duration::from_secs(1);

const KILLS_A_LINE: usize = 4;

/// A reload is over in some tenths of a second; a look at a process that leaves is repeated every 50 ms.
const LEAVING_TRIES: u32 = 20;
