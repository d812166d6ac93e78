//! Taking servers out on an operator's request.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use crate::engine::error::EngineError;
use crate::engine::fleet::reach::Reached;
use crate::engine::fleet::targets::LookDepth;
use crate::engine::holds::guard::OutagePolicy;
use crate::engine::{Engine, Requester};
use crate::farm::{
    Entry, Hold, HoldId, InstanceName, Ladder, Owner, Reach, Seen, Selector, Span, Stays, other_lines_of,
};
use crate::haproxy::AdminState;
use crate::plan::machine::Confirmation;
use crate::platform::chain;
use crate::state::{Change, asked, event};

/// Servers to be taken out.
#[derive(Debug, Clone)]
pub struct HoldOrder {
    /// The servers to take out.
    pub selectors: Vec<Selector>,
    /// The reason, which is shown with the hold.
    pub reason: String,
    /// After what time the hold ends by itself; `None` for never.
    pub expires_in: Option<Span>,
    /// The state that the drain ladder begins with: drain or maint.
    pub mode: AdminState,
    /// The grace; with one the ladder ends in maintenance.
    pub grace: Option<Span>,
    /// The deadline, if it is not the farm's.
    pub deadline: Option<Span>,
    /// The policy at the deadline, if it is not the farm's.
    pub on_deadline: Option<crate::farm::OnDeadline>,
    /// Wait until HAProxy has closed its idle connections to them, even if the farm's settings do not ask for that.
    pub idle: bool,
    /// What must be left in service.
    pub outage: OutagePolicy,
    /// HAProxys that may be away.
    pub without: BTreeSet<InstanceName>,
}

impl Engine {
    /// Takes servers out. On return HAProxy has confirmed the change; emptying goes on in the background.
    ///
    /// # Errors
    /// Nothing matched, a guard refused, HAProxy refused or does not answer. Nothing has changed then.
    pub async fn hold(self: &Arc<Self>, order: HoldOrder, by: &Requester) -> Result<HoldId, EngineError> {
        let reports = self.fleet.look_for(&order.selectors, LookDepth::Sure).await;
        let concerned = self.fleet.concerned(&order.selectors, &reports);
        let Reached { reports, without } =
            self.fleet.reached(reports, &order.without, |name| concerned.contains(name))?;
        let named = self.fleet.resolve(&order.selectors, &reports)?;
        let entries = reports.with_trackers(&named);
        reports.require_admin(&entries)?;
        let mut ledger = self.record.begin(by).await?;
        self.guard_outage(&entries, order.outage, &ledger, &reports)?;
        let now = self.clock.now();
        let owner = Owner::Operator(by.caller.person().to_owned());
        let before = ledger.state.holds.values().find(|hold| hold.owner == owner && hold.entries == entries).cloned();
        let ladder = self.ladder(&order, &entries);
        let hold = Hold {
            id: before.as_ref().map_or(HoldId(ledger.state.next_hold), |hold| hold.id),
            owner,
            reason: order.reason.clone(),
            selectors: order.selectors.iter().map(ToString::to_string).collect(),
            since: before.as_ref().map_or(now, |hold| hold.since),
            expires: order.expires_in.map(|span| span.after(now)),
            stage: ladder.begin(now),
            ladder,
            first_out: false,
            revision: ledger.next_revision(),
            note: still_reached(&entries, &reports.seen()),
            entries,
            reach: Reach::following(without.clone()),
            names: Default::default(),
        };
        // Not the reports from before the lock: they may show the effect of a hold that has ended since.
        let mut changes = ledger.state.new_baselines(&hold.entries, &self.fleet.reports().observed());
        changes.push(Change::PutHold(Box::new(hold.clone())));
        let lines: Vec<String> = hold.entries.iter().map(ToString::to_string).collect();
        let missing = without.iter().map(|name| format!(" (without HAProxy {name}, which does not answer)"));
        let missing: String = missing.collect();
        let text = format!("{} {}{missing}: {}", order.mode, lines.join(", "), order.reason);
        let happened = asked(event(now, "hold.created", text, None, Some(hold.id)), &by.caller);
        let revision = ledger.write(changes, vec![happened]).await?;
        self.fleet.publish(&ledger.state);
        drop(ledger);
        let undo = before.map_or(Change::DropHold(hold.id), |before| Change::PutHold(Box::new(before)));
        self.confirm(revision, &hold, vec![undo]).await?;
        Ok(hold.id)
    }

    /// Waits until HAProxy has confirmed a change; writes `undo` if it refuses or does not answer.
    pub(crate) async fn confirm(&self, revision: u64, hold: &Hold, undo: Vec<Change>) -> Result<(), EngineError> {
        let confirmation = || {
            let reports = self.fleet.reports();
            reports.confirmation(
                revision,
                hold.entries.iter(),
                &BTreeSet::new(),
                &self.fleet.without_for_hold(hold, &reports),
            )
        };
        let mut ticks = self.fleet.ticks();
        let agreed = async {
            loop {
                ticks.borrow_and_update();
                match confirmation() {
                    Confirmation::Agreed => return Ok(()),
                    Confirmation::Refused(words) => return Err(EngineError::Refused(words)),
                    Confirmation::Pending { .. } => {
                        let _ = ticks.changed().await;
                    }
                }
            }
        };
        let error = match tokio::time::timeout(CONFIRMATION_TAKES, agreed).await {
            Ok(Ok(())) => return Ok(()),
            Ok(Err(error)) => error,
            Err(_) => {
                let (silent, trouble) = match confirmation() {
                    Confirmation::Pending { instances, trouble } => (instances, trouble.unwrap_or_default()),
                    Confirmation::Agreed | Confirmation::Refused(_) => (Vec::new(), String::new()),
                };
                let silent: Vec<&str> = silent.iter().map(InstanceName::as_str).collect();
                EngineError::Unreachable(format!(
                    "HAProxy {} did not confirm within {CONFIRMATION_TAKES:?}; taken back. {trouble}",
                    silent.join(", ")
                ))
            }
        };
        let mut ledger = self.record.lock().await;
        let happened = event(self.clock.now(), "hold.undone", chain(&error), None, Some(hold.id));
        ledger.write(undo, vec![happened]).await?;
        self.fleet.publish(&ledger.state);
        Err(error)
    }

    /// The drain ladder of an order; what the order does not set is as in the farm's settings.
    fn ladder(&self, order: &HoldOrder, entries: &BTreeSet<Entry>) -> Ladder {
        let farms = self.fleet.farms();
        let farm_of = |entry: &Entry| farms.values().find(|farm| farm.has(&entry.server));
        let drain = entries.iter().find_map(farm_of).map(|farm| farm.settings.drain).unwrap_or_default();
        Ladder {
            first: order.mode,
            last: if order.grace.is_some() { AdminState::Maint } else { order.mode },
            grace: order.grace.unwrap_or_default(),
            deadline: order.deadline.unwrap_or(drain.deadline),
            on_deadline: order.on_deadline.unwrap_or(drain.on_deadline),
            stays: Stays::Sticky,
            idle: order.idle || drain.idle,
        }
    }
}

/// The note of a hold if lines of other names, which stay in service, still lead requests to its processes.
fn still_reached(entries: &BTreeSet<Entry>, seen: &BTreeMap<InstanceName, &Seen>) -> Option<String> {
    let lines: BTreeSet<String> = other_lines_of(entries, seen).iter().map(|entry| entry.server.to_string()).collect();
    let lines = lines.into_iter().collect::<Vec<_>>();
    (!lines.is_empty()).then(|| {
        format!(
            "{} stays in service at the same address and port: requests still come through it; `teeter drain {} \
             --reason TEXT` takes it out, too",
            lines.join(" and "),
            lines.join(" ")
        )
    })
}

const CONFIRMATION_TAKES: Duration = Duration::from_secs(10);
