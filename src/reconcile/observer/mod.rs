//! The observer and reconciler of one HAProxy: it looks, compares with the order, sends the difference and looks again.
//!
//! It acts on the present state, not on events: after a reload, a crash or a failed connection the next look finds the
//! difference, and the same code corrects it.

mod agree;
mod kill;
mod look;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::{Notify, mpsc, oneshot, watch};
use tokio::time::Instant;

use self::agree::Refusals;
use super::drift::{Drift, Drifts};
use super::look::ExpectedProcess;
use super::map_files::MapFiles;
use super::old_workers::OldWorkers;
use super::order::Order;
use super::pace::{PollReason, UnchangedLooks, pace};
use super::report::InstanceReport;
use super::scope::Scope;
use super::session_list::SessionListCheck;
use super::stick_tables::StickTables;
use super::unread::UnreadCommands;
use super::{Refresh, Setup};
use crate::farm::{InstanceName, WantedMaps};
use crate::haproxy::commands::Info;
use crate::haproxy::{BackendName, Client, Error, Master, ServerRef};
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
    look_took: Duration,
    /// When the last look at all backends began.
    full_look_at: Option<Instant>,
    /// How long the last look at all backends took.
    full_look_took: Duration,
    /// Looks in a row that got no answer, or an answer of a process that is leaving.
    failed_looks: u32,
    session_list: SessionListCheck,
    stick_tables: StickTables,
    /// The process that answered last.
    process: Option<Info>,
    unchanged: UnchangedLooks,
    /// When the last commands that end sessions were sent.
    killed_at: Option<Instant>,
    drifts: Drifts,
    unread: UnreadCommands,
    /// Backends of this process that have refused commands because they are shut down.
    off: BTreeSet<BackendName>,
    /// Servers that were set to down for new checks, and that no check has found healthy since.
    unchecked: BTreeSet<ServerRef>,
    files: MapFiles,
    refusals: Refusals,
    old_workers: OldWorkers,
    /// Notified when the master reports that a reload has begun.
    reloaded: Arc<Notify>,
    /// When a reload began that has not replaced the process yet.
    reload_since: Option<Instant>,
    /// The maps that this HAProxy was last confirmed to have.
    confirmed_maps: Arc<WantedMaps>,
    /// How many rounds the observer has begun.
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
            look_took: Duration::ZERO,
            full_look_at: None,
            full_look_took: Duration::ZERO,
            failed_looks: 0,
            session_list: SessionListCheck::default(),
            stick_tables: StickTables::default(),
            process: None,
            unchanged: UnchangedLooks::default(),
            killed_at: None,
            drifts: Drifts::default(),
            unread: if setup.resumes { UnreadCommands::Unanswered } else { UnreadCommands::None },
            off: BTreeSet::new(),
            unchecked: BTreeSet::new(),
            files: MapFiles::new(setup.maps.clone()),
            refusals: Refusals::default(),
            old_workers: OldWorkers::new(ends.master),
            reloaded: ends.reloaded,
            reload_since: None,
            confirmed_maps: Arc::default(),
            rounds: ends.rounds,
        }
    }

    pub(super) async fn run(mut self) {
        let mut requests: Vec<oneshot::Sender<()>> = Vec::new();
        loop {
            self.rounds.fetch_add(1, Ordering::Relaxed);
            let order = self.orders.borrow_and_update().clone();
            let reason = match self.round(&order).await {
                Ok(reason) => reason,
                Err(error) => self.note_silence(&error),
            };
            let holds_something = order.joins_later || !order.wanted.is_empty() || !order.maps.is_empty();
            let reason = match reason {
                // An instance that answers again must not serve for long before it gets the order.
                PollReason::Answer(tries) if holds_something => PollReason::Answer(tries.min(TRIES_WITH_HOLDS)),
                other => other,
            };
            let reloads = holds_something && self.reload_since.is_some_and(|since| since.elapsed() < RELOAD_TAKES);
            let reason = if reloads { PollReason::Reload } else { reason };
            self.report.order = order.revision;
            self.reports.send_replace(self.report.clone());
            self.nudge.notify_one();
            for done in requests.drain(..) {
                // A requester that is gone needs no answer.
                let _ = done.send(());
            }
            tokio::select! {
                // A new order has priority over requested looks, and they have priority over the next regular look.
                biased;
                changed = self.orders.changed() => if changed.is_err() { return },
                Some(Refresh { backends, done }) = self.refresh.recv() => {
                    self.scope.add(backends);
                    requests.push(done);
                    while let Ok(Refresh { backends, done }) = self.refresh.try_recv() {
                        self.scope.add(backends);
                        requests.push(done);
                    }
                }
                () = self.reloaded.notified() => self.reload_since = Some(self.clock.mark()),
                () = tokio::time::sleep(pace(reason, self.look_took)) => {}
            }
        }
    }

    async fn round(&mut self, order: &Order) -> Result<PollReason, Error> {
        if !self.look(order).await? {
            return Ok(self.leaving_process());
        }
        let Some(seen) = self.report.seen.clone() else { return Ok(self.leaving_process()) };
        let order = &order.without(&seen.off);
        let mut drifts = self.drifts.find(&order.wanted, &seen);
        drifts.extend(self.drifts.find_in_maps(&order.maps, &seen.maps));
        let mut started = (*self.report.started_verifications).clone();
        started.retain(|server, verification| {
            order
                .wanted
                .get(server)
                .is_some_and(|wanted| wanted.new_checks_since.is_some_and(|due| due <= *verification))
        });
        self.report.started_verifications = Arc::new(started);
        let (withheld, file_changes) = self.withheld_maps(order, &seen).await;
        drifts.extend(file_changes.into_iter().map(|(map, what)| Drift::File { map, what }));
        self.report_drifts(drifts);
        if let Some(reason) = self.make_agree(order, withheld, seen).await? {
            return Ok(reason);
        }
        if let (Some(seen), Some(process)) = (&mut self.report.seen, &self.process) {
            let process = ExpectedProcess { client: &self.client, process };
            let is_same = self.stick_tables.ask(process, &order.draining, seen, self.clock.mark()).await?
                && self.session_list.ask(process, &self.old_workers, &order.draining, seen).await?;
            if !is_same {
                self.scope.everything();
                return Ok(PollReason::Answer(0));
            }
        }
        self.kill(order).await?;
        match self.poll_reason(order) {
            PollReason::Held | PollReason::Nothing if self.report.withheld.waits() => Ok(PollReason::Checks),
            reason => Ok(reason),
        }
    }

    /// Adds changes made outside teeter to the report.
    fn report_drifts(&mut self, drifts: Vec<Drift>) {
        if !drifts.is_empty() {
            self.report.drifts = Arc::new(self.report.drifts.iter().cloned().chain(drifts).collect());
        }
    }

    /// HAProxy has refused a change, in these words.
    fn note_refusal(&mut self, order: &Order, words: String) -> PollReason {
        tracing::warn!(instance = %self.name, "{words}");
        self.report.refused = Some((order.revision, words));
        self.scope.everything();
        PollReason::AfterRefusal
    }

    /// The process that answers is leaving. The state is unknown until another process answers.
    fn leaving_process(&mut self) -> PollReason {
        self.failed_looks = self.failed_looks.saturating_add(1);
        if self.failed_looks > LEAVING_TRIES {
            self.report.reachable = false;
            self.report.trouble = Some("only a process that is stopping answers".to_owned());
        }
        PollReason::Answer(0)
    }

    /// HAProxy does not answer.
    fn note_silence(&mut self, error: &Error) -> PollReason {
        if self.report.reachable {
            tracing::warn!(instance = %self.name, "{}", chain(error));
        }
        self.report.reachable = false;
        self.report.trouble = Some(chain(error));
        self.scope.everything();
        self.failed_looks = self.failed_looks.saturating_add(1);
        PollReason::Answer(self.failed_looks)
    }

    /// What the observer waits for after a round in which HAProxy agreed.
    fn poll_reason(&mut self, order: &Order) -> PollReason {
        if !order.draining.is_empty() {
            let seen = self.report.seen.as_deref();
            let load = |server| seen.and_then(|seen| seen.servers.get(server)).map_or(0, |seen| seen.load.in_flight());
            let in_flight = order.draining.iter().flat_map(|draining| &draining.servers).map(load).sum();
            return self.unchanged.add(&order.draining, in_flight);
        }
        self.unchanged.clear();
        if order.wanted.values().any(|server| server.new_checks_since.is_some() || !server.held) {
            PollReason::Checks
        } else if order.wanted.is_empty() && order.maps.is_empty() && order.watched.is_empty() {
            PollReason::Nothing
        } else {
            PollReason::Held
        }
    }
}

/// If the order has holds or maps, a HAProxy that does not answer is tried again after 200 ms at most.
const TRIES_WITH_HOLDS: u32 = 2;

/// How long after the beginning of a reload the observer looks for the new process at the fastest rate.
const RELOAD_TAKES: Duration = Duration::from_secs(2);

/// A reload ends within some tenths of a second; the observer looks at a process that is leaving every 50 ms.
const LEAVING_TRIES: u32 = 20;
