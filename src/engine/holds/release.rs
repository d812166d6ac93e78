//! Bringing servers back on an operator's request.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::engine::error::{EngineError, Message};
use crate::engine::fleet::reports::{Found, Reports};
use crate::engine::fleet::select::find_lines;
use crate::engine::fleet::targets::LookDepth;
use crate::engine::holds::take_over::{Taken, hold_of_taken, lines_out, take_over};
use crate::engine::{Engine, Requester};
use crate::farm::{AfterVerify, Entry, Hold, HoldId, InstanceName, Lines, Owner, Reach, Selector, Span};
use crate::haproxy::AdminState;
use crate::state::{Change, State, asked, event};

/// Servers to be brought back.
#[derive(Debug, Clone)]
pub struct ReleaseOrder {
    /// The servers to bring back.
    pub selectors: Vec<Selector>,
    /// Whether they are verified first.
    pub verify: bool,
    /// How long the verification may take; `None` for the deadline of their farm.
    pub deadline: Option<Span>,
    /// Whether they come back even if they run another version than the servers in service.
    pub force: bool,
    /// Whether servers that were put in maintenance or drain outside teeter come back, too.
    pub take_over: bool,
    /// The user whose holds end; `None` for the caller.
    pub owner: Option<String>,
    /// HAProxys that may be away.
    pub without: BTreeSet<InstanceName>,
}

impl Engine {
    /// Ends the caller's holds on servers, and those of runs that have ended.
    ///
    /// # Errors
    /// Nothing matched, nothing is held, or the holds belong to another user.
    pub async fn release(self: &Arc<Self>, order: ReleaseOrder, by: &Requester) -> Result<Vec<HoldId>, EngineError> {
        let reports = self.fleet.look_for(&order.selectors, LookDepth::Known).await;
        if order.verify && !order.force {
            // Servers that HAProxy does not have any more have no version.
            let named = self.fleet.resolve(&order.selectors, &reports).unwrap_or_default();
            self.refuse_other_versions(&named, &reports).await?;
        }
        let mut ledger = self.record.begin(by).await?;
        let without = self.fleet.away_among(&order.without, &reports)?;
        let entries = reports.with_trackers(&self.resolve_held(&order.selectors, &ledger.state, &reports)?);
        let entries = self.configured_lines(entries, &ledger.state)?;
        let now = self.clock.now();
        let owner = Owner::Operator(order.owner.clone().unwrap_or_else(|| by.caller.person().to_owned()));
        let on_them: Vec<Hold> =
            ledger.state.holds.values().filter(|hold| !hold.entries.is_disjoint(&entries)).cloned().collect();
        let (released, others): (Vec<Hold>, Vec<Hold>) =
            on_them.into_iter().partition(|hold| may_release(hold, &owner, &ledger.state));
        let taken = match order.take_over {
            true => take_over(&entries, &ledger, &self.fleet.reports()),
            false => Taken::default(),
        };
        if released.is_empty() && taken.baselines.is_empty() {
            return Err(nothing_to_release(&others, &owner, &lines_out(&entries, &reports)));
        }
        if order.verify {
            let needed = released.iter().flat_map(|hold| {
                let back = hold.entries.intersection(&entries).map(|entry| &entry.instance);
                back.filter(|name| !hold.reach.without.contains(*name))
            });
            self.fleet.refuse_without(needed.cloned().collect(), &order.without, &reports)?;
        }
        let (mut events, mut ids) = (Vec::new(), Vec::new());
        let mut changes: Vec<Change> = taken.baselines.clone();
        let undo: Vec<Change> = released.iter().map(|hold| Change::PutHold(Box::new(hold.clone()))).collect();
        let (mut next, revision) = (ledger.state.next_hold, ledger.next_revision());
        let fresh = hold_of_taken(HoldId(next), &order, &owner, &without, &taken, now);
        let first = released.first().unwrap_or(&fresh).clone();
        if !taken.free.is_empty() {
            let text = if order.verify { "to come back when healthy" } else { "brought back unverified" };
            let lines: Vec<String> = taken.free.iter().map(ToString::to_string).collect();
            let text = format!("{}: taken over, as it was set outside teeter, {text}", lines.join(", "));
            events.push(asked(event(now, "hold.taken_over", text, None, Some(HoldId(next))), &by.caller));
        }
        if order.verify && !taken.free.is_empty() {
            next += 1;
            let deadline = order.deadline.unwrap_or_else(|| self.verify_deadline(&fresh, &ledger.state));
            let stage = fresh.verification(now, deadline, AfterVerify::Release, BTreeSet::new());
            ids.push(fresh.id);
            changes.push(Change::PutHold(Box::new(Hold { stage, revision, ..fresh })));
        }
        for hold in released {
            let (back, stay): (BTreeSet<Entry>, BTreeSet<Entry>) =
                hold.entries.iter().cloned().partition(|entry| entries.contains(entry));
            let mut id = hold.id;
            if !stay.is_empty() {
                let reach = hold.reach.skipping(&back);
                let stays = Hold { entries: stay.clone(), reach, revision, ..hold.clone() };
                changes.push(Change::PutHold(Box::new(stays)));
                id = HoldId(next);
                next += 1;
            }
            let text = if order.verify { "to come back when healthy" } else { "released unverified" };
            let lines: Vec<String> = back.iter().map(ToString::to_string).collect();
            let happened = event(now, "hold.released", format!("{}: {text}", lines.join(", ")), None, Some(hold.id));
            events.push(asked(happened, &by.caller));
            if order.verify {
                let deadline = order.deadline.unwrap_or_else(|| self.verify_deadline(&hold, &ledger.state));
                let stage = hold.verification(now, deadline, AfterVerify::Release, BTreeSet::new());
                changes.push(Change::PutHold(Box::new(Hold {
                    id,
                    entries: back,
                    stage,
                    note: None,
                    revision,
                    reach: Reach { without: &hold.reach.without | &without, ..hold.reach.skipping(&stay) },
                    ..hold
                })));
                ids.push(id);
            } else if id == hold.id {
                changes.push(Change::DropHold(id));
            }
        }
        let revision = ledger.write(changes, events).await?;
        self.fleet.publish(&ledger.state);
        drop(ledger);
        self.fleet.nudge.notify_one();
        if !order.verify {
            // A HAProxy that does not answer now gets the change as soon as it does.
            let answers = |entry: &Entry| reports.get(&entry.instance).is_some_and(|report| report.reachable);
            let entries = entries.into_iter().filter(answers).collect();
            self.confirm(revision, &Hold { entries, ..first }, undo).await?;
        }
        Ok(ids)
    }

    /// Finds every line that the selectors name: lines of HAProxy, and held lines that HAProxy does not have any more
    /// or has at another address.
    fn resolve_held(
        &self,
        selectors: &[Selector],
        state: &State,
        reports: &Reports,
    ) -> Result<BTreeSet<Entry>, EngineError> {
        let (seen, farms) = (reports.seen(), self.fleet.farms());
        let lines = Lines::new(&farms, &seen);
        let mut entries = BTreeSet::new();
        for selector in selectors {
            let named = |hold: &Hold, entry: &Entry| {
                let typed = hold.selectors.len() == 1 && hold.selectors.iter().all(|typed| typed == selector.as_str());
                typed || selector.may_name(entry)
            };
            let held = state.holds.values().flat_map(|hold| hold.entries.iter().map(move |entry| (hold, entry)));
            // A server may have another address by now than that by which it was taken out.
            let moved = |hold: &Hold| selector.host().is_some() && hold.selectors == [selector.as_str()];
            let unseen = held.filter(|(hold, entry)| moved(hold) || !matches!(reports.find(entry), Found::Here(_)));
            let unseen: BTreeSet<Entry> =
                unseen.filter(|(hold, entry)| named(hold, entry)).map(|(_, entry)| entry.clone()).collect();
            match find_lines(selector, &lines, reports) {
                Ok(found) => entries.extend(found),
                Err(error) if unseen.is_empty() => return Err(error),
                Err(_) => {}
            }
            entries.extend(unseen);
        }
        if entries.is_empty() { self.fleet.resolve(selectors, reports) } else { Ok(entries) }
    }
}

/// Whether `owner` may release a hold: its own, or a hold that an ended run has left behind. A run that goes on needs
/// its holds.
fn may_release(hold: &Hold, owner: &Owner, state: &State) -> bool {
    match &hold.owner {
        Owner::Run(id) => state.runs.get(id).is_none_or(|run| !run.is_active()),
        other => other == owner,
    }
}

/// Why no hold on the servers can be released. `out` are those that HAProxy has in maintenance or drain.
fn nothing_to_release(others: &[Hold], owner: &Owner, out: &BTreeMap<Entry, AdminState>) -> EngineError {
    match others.first() {
        None if !out.is_empty() => {
            let lines: Vec<String> = out.iter().map(|(entry, state)| format!("{entry} is in {state}")).collect();
            let names: BTreeSet<String> = out.keys().map(|entry| entry.server.to_string()).collect();
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            let text = format!("no hold of teeter is on these servers, and {}, set outside teeter", lines.join(", "));
            let hint = format!(
                "`teeter ready {} --take-over` brings them back once they are healthy (on HAProxy's socket `{}` does \
                 so at once, unverified)",
                names.join(" "),
                names.iter().map(|name| format!("set server {name} state ready")).collect::<Vec<_>>().join(";")
            );
            EngineError::NotFound(Message::new(text).hint(hint))
        }
        None => {
            let text = Message::new("there is no hold on these servers");
            EngineError::NotFound(text.hint("`teeter holds` lists every hold"))
        }
        Some(Hold { owner: Owner::Run(id), .. }) => {
            let hint =
                format!("`teeter show {id}` shows its state, `teeter abort {id}` brings back the healthy servers");
            EngineError::Busy(Message::new(format!("held by run {id}, which has not ended")).hint(hint))
        }
        Some(hold) => {
            let text = format!("held by {} ({}) and not by {owner}", hold.owner, hold.reason);
            let hint = format!("`teeter ready --owner {} …` releases another user's hold", hold.owner);
            EngineError::Busy(Message::new(text).hint(hint))
        }
    }
}
