//! Bringing servers back by hand, and asking what is still on them.

use crate::engine::fleet::reports::Found;
use crate::engine::fleet::reports::Reports;
use crate::engine::fleet::select::found;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;

use crate::api::SessionView;
use crate::engine::error::{EngineError, Message};

use crate::engine::fleet::targets::LookDepth;

use crate::engine::record::ledger::Ledger;
use crate::engine::{Engine, Requester};
use crate::farm::{
    AfterVerify, Baseline, Entry, Hold, HoldId, InstanceName, Ladder, Lines, OnDeadline, Owner, Reach, Selector, Span,
    Stage, Stays,
};
use crate::haproxy::commands::{Session, SessionBytes, ShowSession, ShowSessions};
use crate::haproxy::{AdminState, Line};
use crate::platform::chain;

use crate::state::{Change, State, asked, event};

/// Servers to be brought back.
#[derive(Debug, Clone)]
pub struct ReleaseOrder {
    /// Which.
    pub selectors: Vec<Selector>,
    /// Whether they must show first that they are well.
    pub verify: bool,
    /// How long they may take to show that, where it is not what their farm says.
    pub deadline: Option<Span>,
    /// Whether they come back, too, where they run another version than those in service.
    pub force: bool,
    /// Whether what somebody else has put in maintenance or drain comes back, too.
    pub take_over: bool,
    /// Whose holds; the caller's where `None`.
    pub owner: Option<String>,
    /// HAProxys that may be away.
    pub without: BTreeSet<InstanceName>,
}

impl Engine {
    /// Ends the caller's holds on servers, and those of runs that have ended.
    ///
    /// # Errors
    /// Nothing matched, nothing is held, or what is held belongs to somebody else.
    pub async fn release(self: &Arc<Self>, order: ReleaseOrder, by: &Requester) -> Result<Vec<HoldId>, EngineError> {
        let reports = self.fleet.look_for(&order.selectors, LookDepth::Known).await;
        if order.verify && !order.force {
            // What is not known any more has no version.
            let named = self.fleet.resolve(&order.selectors, &reports).unwrap_or_default();
            self.refuse_other_versions(&named, &reports).await?;
        }
        let mut ledger = self.record.begin(by).await?;
        let without = self.fleet.away_among(&order.without, &reports)?;
        let entries = reports.with_trackers(&self.resolve_held(&order.selectors, &ledger.state, &reports)?);
        let entries = self.can_be_told(entries, &ledger.state)?;
        let now = self.clock.now();
        let owner = Owner::Operator(order.owner.clone().unwrap_or_else(|| by.caller.person().to_owned()));
        let on_them: Vec<Hold> =
            ledger.state.holds.values().filter(|hold| !hold.entries.is_disjoint(&entries)).cloned().collect();
        let (mine, others): (Vec<Hold>, Vec<Hold>) =
            on_them.into_iter().partition(|hold| may_release(hold, &owner, &ledger.state));
        let taken = match order.take_over {
            true => take_over(&entries, &ledger, &self.fleet.reports()),
            false => Taken::default(),
        };
        if mine.is_empty() && taken.baselines.is_empty() {
            return Err(nothing_to_release(&others, &owner, &set_by_others(&entries, &reports)));
        }
        if order.verify {
            let needed = mine.iter().flat_map(|hold| {
                let back = hold.entries.intersection(&entries).map(|entry| &entry.instance);
                back.filter(|name| !hold.reach.without.contains(*name))
            });
            self.fleet.refuse_without(needed.cloned().collect(), &order.without, &reports)?;
        }
        let (mut events, mut ids) = (Vec::new(), Vec::new());
        let mut changes: Vec<Change> = taken.baselines;
        let undo: Vec<Change> = mine.iter().map(|hold| Change::PutHold(Box::new(hold.clone()))).collect();
        let (mut next, revision) = (ledger.state.next_hold, ledger.next_revision());
        let fresh = taken_hold(HoldId(next), &order, (&owner, &without), taken.free.clone(), taken.mode, now);
        let first = mine.first().unwrap_or(&fresh).clone();
        if !taken.free.is_empty() {
            let text = if order.verify { "to come back when well" } else { "brought back without a proof" };
            let lines: Vec<String> = taken.free.iter().map(ToString::to_string).collect();
            let text = format!("{}: taken over from whoever had set it outside teeter, {text}", lines.join(", "));
            events.push(asked(event(now, "hold.taken_over", text, None, Some(HoldId(next))), &by.caller));
        }
        if order.verify && !taken.free.is_empty() {
            next += 1;
            let takes = order.deadline.unwrap_or_else(|| self.verify_deadline(&fresh, &ledger.state));
            let stage = fresh.verification(now, takes, AfterVerify::Release, BTreeSet::new());
            ids.push(fresh.id);
            changes.push(Change::PutHold(Box::new(Hold { stage, revision, ..fresh })));
        }
        for hold in mine {
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
            let text = if order.verify { "to come back when well" } else { "released without a proof" };
            let lines: Vec<String> = back.iter().map(ToString::to_string).collect();
            let happened = event(now, "hold.released", format!("{}: {text}", lines.join(", ")), None, Some(hold.id));
            events.push(asked(happened, &by.caller));
            if order.verify {
                let takes = order.deadline.unwrap_or_else(|| self.verify_deadline(&hold, &ledger.state));
                let stage = hold.verification(now, takes, AfterVerify::Release, BTreeSet::new());
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
            // A HAProxy that does not answer now is told as soon as it does.
            let there = entries.into_iter().filter(|entry| reports.get(&entry.instance).is_some_and(|it| it.reachable));
            self.confirm(revision, &Hold { entries: there.collect(), ..first }, undo).await?;
        }
        Ok(ids)
    }

    /// Finds every line that the selectors name: those of HAProxy, and those that are held and that it does not have
    /// any more, or not there.
    fn resolve_held(
        &self,
        selectors: &[Selector],
        state: &State,
        reports: &Reports,
    ) -> Result<BTreeSet<Entry>, EngineError> {
        let (seen, farms) = (reports.seen(), self.fleet.farms());
        let there = Lines::new(&farms, &seen);
        let mut entries = BTreeSet::new();
        for selector in selectors {
            let named = |hold: &Hold, entry: &Entry| {
                let typed = hold.selectors.len() == 1 && hold.selectors.iter().all(|typed| typed == selector.as_str());
                typed || selector.may_name(entry)
            };
            let lines = state.holds.values().flat_map(|hold| hold.entries.iter().map(move |entry| (hold, entry)));
            // A server may have another address by now than the one by which it was taken out.
            let moved = |hold: &Hold| selector.host().is_some() && hold.selectors == [selector.as_str()];
            let away = lines.filter(|(hold, entry)| moved(hold) || !matches!(reports.find(entry), Found::Here(_)));
            let away: BTreeSet<Entry> =
                away.filter(|(hold, entry)| named(hold, entry)).map(|(_, entry)| entry.clone()).collect();
            match found(selector, &there, reports) {
                Ok(found) => entries.extend(found),
                Err(error) if away.is_empty() => return Err(error),
                Err(_) => {}
            }
            entries.extend(away);
        }
        if entries.is_empty() { self.fleet.resolve(selectors, reports) } else { Ok(entries) }
    }

    /// The sessions that are still on servers.
    ///
    /// # Errors
    /// Nothing matched, or HAProxy does not answer or refuses.
    pub async fn sessions(&self, selectors: &[Selector]) -> Result<Vec<SessionView>, EngineError> {
        let (reports, entries) = self.fleet.read_for(selectors).await;
        let entries = entries?;
        reports.require_answer(&entries)?;
        let mut views = Vec::new();
        for (name, instance) in &self.fleet.instances {
            let mine: BTreeMap<(&str, &str), &Entry> = entries
                .iter()
                .filter(|entry| entry.instance == *name)
                .map(|entry| ((entry.server.backend.as_str(), entry.server.server.as_str()), entry))
                .collect();
            if mine.is_empty() {
                continue;
            }
            let unreachable = |error: &crate::haproxy::Error| match error.refusal() {
                Some(_) => EngineError::NotPermitted(Message::new(chain(error))),
                None => EngineError::Unreachable(chain(error)),
            };
            let looks = &instance.looks;
            let sessions = looks.sessions().await;
            let sessions = sessions.as_ref().as_ref().map_err(unreachable)?;
            let is_there = |session: &Session| mine.contains_key(&(session.backend.as_str(), session.server.as_str()));
            let there: Vec<Session> = sessions.iter().filter(|session| is_there(session)).cloned().collect();
            let mut line = Line::new();
            let asks: Vec<ShowSession> =
                there.iter().take(DETAILED).map(|session| ShowSession { id: session.id.clone() }).collect();
            let slots: Vec<_> = asks.iter().map(|ask| line.push(ask)).collect();
            let answers = looks.client.send(&line).await.map_err(|error| unreachable(&error))?;
            let mut bytes = slots.into_iter().zip(&asks).map(|(slot, ask)| answers.read(slot, ask).ok().flatten());
            views.extend(there.into_iter().map(|session| view(name, session, None, bytes.next().flatten())));
            // One that ends while it is asked has nothing left to show.
            let old = reports.get(name).map(|report| Arc::clone(&report.old)).unwrap_or_default();
            for (worker, master) in old.iter().zip(std::iter::repeat(&looks.master)) {
                let Some(master) = master else { continue };
                let sessions = master.ask_worker(worker.pid, &ShowSessions).await.unwrap_or_default();
                views.extend(sessions.into_iter().filter(is_there).map(|it| view(name, it, Some(worker.pid), None)));
            }
        }
        Ok(views)
    }
}

fn view(instance: &InstanceName, session: Session, old_pid: Option<u32>, bytes: Option<SessionBytes>) -> SessionView {
    SessionView {
        instance: instance.to_string(),
        server: format!("{}/{}", session.backend, session.server),
        old_pid,
        id: session.id.to_string(),
        client: session.source,
        frontend: session.frontend,
        age: session.age,
        bytes_in: bytes.map(|bytes| bytes.request),
        bytes_out: bytes.map(|bytes| bytes.response),
    }
}

/// A hold of one's own may be released, and one that a run has left behind; a run that goes on needs its holds.
fn may_release(hold: &Hold, owner: &Owner, state: &State) -> bool {
    match &hold.owner {
        Owner::Run(id) => state.runs.get(id).is_none_or(|run| !run.is_active()),
        other => other == owner,
    }
}

/// What is taken over from somebody else.
#[derive(Default)]
struct Taken {
    /// What the servers are to be once nobody holds them.
    baselines: Vec<Change>,
    /// Lines that no hold has.
    free: BTreeSet<Entry>,
    /// The strictest state that they are in.
    mode: AdminState,
}

/// Lines that somebody else has put in maintenance or drain, with what they are in.
fn set_by_others(entries: &BTreeSet<Entry>, reports: &Reports) -> BTreeMap<Entry, AdminState> {
    let state = |entry: &Entry| reports.server(entry).map(|server| server.admin.forced());
    let set = entries.iter().filter_map(|entry| Some((entry.clone(), state(entry)?)));
    set.filter(|(_, state)| *state > AdminState::Ready).collect()
}

fn take_over(entries: &BTreeSet<Entry>, ledger: &Ledger, reports: &Reports) -> Taken {
    let mut taken = Taken::default();
    let held = |entry: &Entry| ledger.state.holds.values().any(|hold| hold.entries.contains(entry));
    for (entry, was) in
        ledger.state.baselines.iter().filter(|(entry, was)| entries.contains(*entry) && was.state > AdminState::Ready)
    {
        let was = Baseline { state: AdminState::Ready, overruled: None, ..was.clone() };
        taken.baselines.push(Change::PutBaseline(entry.clone(), was));
    }
    let observed = reports.observed();
    for (entry, state) in set_by_others(entries, reports).into_iter().filter(|(entry, _)| !held(entry)) {
        let Some(server) = observed.server(&entry) else { continue };
        let origin = observed.origin(&entry);
        let was = Baseline { state: AdminState::Ready, origin, ..server.baseline() };
        taken.baselines.push(Change::PutBaseline(entry.clone(), was));
        taken.mode = taken.mode.max(state);
        taken.free.insert(entry);
    }
    taken
}

/// The hold under which lines that nobody has held show that they are well.
fn taken_hold(
    id: HoldId,
    order: &ReleaseOrder,
    (owner, without): (&Owner, &BTreeSet<InstanceName>),
    entries: BTreeSet<Entry>,
    mode: AdminState,
    now: Timestamp,
) -> Hold {
    let ladder = Ladder {
        first: mode,
        last: mode,
        grace: Span::default(),
        deadline: Span::default(),
        on_deadline: OnDeadline::Fail,
        stays: Stays::None,
        idle: false,
    };
    Hold {
        id,
        owner: owner.clone(),
        reason: "taken over from outside teeter".to_owned(),
        selectors: order.selectors.iter().map(ToString::to_string).collect(),
        entries,
        since: now,
        expires: None,
        ladder,
        stage: Stage::Out { mode, at: now, left: 0 },
        first_out: false,
        revision: 0,
        note: None,
        reach: Reach { without: without.clone(), ..Reach::default() },
        names: Default::default(),
    }
}

fn nothing_to_release(others: &[Hold], owner: &Owner, set: &BTreeMap<Entry, AdminState>) -> EngineError {
    match others.first() {
        None if !set.is_empty() => {
            let lines: Vec<String> = set.iter().map(|(entry, state)| format!("{entry} is in {state}")).collect();
            let names: BTreeSet<String> = set.keys().map(|entry| entry.server.to_string()).collect();
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            let text = format!("no hold of teeter is on these servers, and {}, set outside teeter", lines.join(", "));
            let hint = format!(
                "`teeter ready {} --take-over` brings them back once they are healthy (on HAProxy's socket `{}` does so at \
                 once, unverified)",
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

/// Sessions whose bytes are asked for: each costs a command.
const DETAILED: usize = 20;
