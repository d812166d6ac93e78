//! Looks at one HAProxy, and what the observer learns from each.

use std::sync::Arc;
use std::time::Duration;

use super::super::drift::Drifts;
use super::super::look::{Look, look_at, look_at_all};
use super::super::old_workers::{self, LookCause};
use super::super::order::Order;
use super::super::stick_tables::StickTables;
use super::Observer;
use super::agree::Refusals;
use crate::farm::{Off, Process};
use crate::haproxy::Error;

impl Observer {
    /// Looks at HAProxy. `false`: the process that answered is leaving; another one will answer soon.
    pub(super) async fn look(&mut self, order: &Order) -> Result<bool, Error> {
        let known = self.process.clone();
        let began = self.clock.mark();
        let pause = FULL_LOOKS.max(self.full_look_took * 20);
        if order.joins_anywhere && self.full_look_at.is_none_or(|at| began.duration_since(at) >= pause) {
            self.scope.everything();
        }
        if self.scope.is_whole() {
            self.full_look_at = Some(began);
        }
        let backends = self.scope.backends(order, self.report.agreed, began);
        let mut part = (!self.scope.is_whole() && known.is_some()).then_some(&backends);
        let is_same = |look: &Look| known.as_ref().is_some_and(|known| look.info.is_of(known));
        let found = match (part, self.report.seen.as_deref()) {
            (Some(part), Some(seen)) => look_at(&self.client, part, &seen.backends, &order.keys).await?.filter(is_same),
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
        let replaced = !is_same(&look);
        if replaced {
            self.reload_since = None;
            // The earlier process has taken its states with it.
            self.report.agreed = 0;
            self.report.withheld = Arc::default();
            self.report.started_verifications = Arc::default();
            self.drifts = Drifts::default();
            self.off.clear();
            self.unchecked.clear();
            self.files.forget();
            self.refusals = Refusals::default();
            self.stick_tables = StickTables::default();
        }
        let is_full = self.scope.is_whole();
        self.scope.taken();
        self.failed_looks = 0;
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
        // After the look at the new process: a request that it does not have is in an old one by now.
        let cause = match (replaced, is_full) {
            (true, _) => LookCause::Replaced,
            (false, true) => LookCause::Requested,
            (false, false) => LookCause::Regular,
        };
        self.old_workers.look(seen.pid, cause, &backends, self.clock.mark()).await;
        old_workers::add_to(&mut seen, &self.old_workers.known(), part);
        for backend in &self.off {
            seen.off.entry(backend.clone()).or_insert(Off::Refuses);
        }
        seen.before = order.states_without_holds();
        self.unchecked.retain(|server| seen.servers.get(server).is_some_and(|now| !now.op.is_up()));
        if self.report.seen.as_ref().is_none_or(|before| replaced || !before.servers.has_lines_of(&seen.servers)) {
            self.report.lines += 1;
        }
        self.report.old = self.old_workers.known();
        self.report.sees_old = self.old_workers.can_see();
        self.report.seen = Some(Arc::new(seen));
        self.unread.answered(self.clock.mark());
        self.report.reachable = true;
        self.report.trouble = self.old_workers.trouble().cloned();
        if !self.old_workers.is_unsure(self.clock.mark()) {
            self.report.sample += 1;
        }
        self.report.at = self.clock.now();
        self.look_took = began.elapsed();
        if part.is_none() {
            self.full_look_took = self.look_took;
        }
        Ok(true)
    }
}

/// The shortest time between two looks at all backends while lines may join a hold: HAProxy does not report `add
/// server`.
const FULL_LOOKS: Duration = Duration::from_secs(1);
