//! Carrying out what the machine of `plan` says about runs.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use super::Engine;
use super::baking::{begin_bake, figures};
use super::error::EngineError;
use super::facts::{confirmation, maps_of, not_up, seen_server, with_trackers};
use super::holds::baselines;
use super::ledger::Ledger;
use super::route::{ladder, stands_by, stored_route, turned};
use super::share::Sharing;
use super::stays::{last_of, stays, took_out};
use crate::farm::{Entry, FlipOrder, GroupName, Hold, HoldId, InstanceName, Owner, Route, SeenServer, Stage};
use crate::haproxy::AdminState;
use crate::plan::machine::{self, Action, Confirmation, Facts, Outcome};
use crate::plan::roles;
use crate::plan::{Flipped, Plan, Run, RunState, Step, Undo, Wait, not_deployed_to};
use crate::reconcile::InstanceReport;
use crate::state::{Caller, Change, NewEvent, asked, event};

impl Engine {
    /// Lets every run take the step that it can take now. Whether any did.
    pub(super) async fn step_runs(
        self: &Arc<Self>,
        ledger: &mut Ledger,
        reports: &BTreeMap<InstanceName, InstanceReport>,
        now: Timestamp,
    ) -> Result<bool, EngineError> {
        if !self.store.holds_lease() {
            return Ok(false);
        }
        let mut changed = false;
        let active = ledger.state.runs.values().filter(|run| run.is_active());
        let active: Vec<Run> = active.filter_map(|run| self.taken_up(run, reports, now)).collect();
        self.ask_for_runs(active.iter());
        for run in active {
            let facts = self.facts(&run, ledger, reports);
            let outcome = machine::handle_tick(&run, &facts, now);
            changed |= self.carry_out(ledger, &run, outcome, reports, None).await?;
        }
        Ok(changed)
    }

    /// The run as this teeterd has it to drive: not before it has seen what the run is about, and with what a step waits
    /// for counted from then on. While no teeterd was there nobody could confirm or answer. What is not teeter's to do
    /// goes on without it: the caller's work, and the watch after a flip.
    fn taken_up(&self, run: &Run, reports: &BTreeMap<InstanceName, InstanceReport>, now: Timestamp) -> Option<Run> {
        let instances: BTreeSet<&InstanceName> = entries(&run.plan).map(|entry| &entry.instance).collect();
        let aside = self.aside_of_run(run, reports);
        let unseen =
            |name: &InstanceName| reports.get(name).filter(|report| report.seen.is_none() && !aside.contains(name));
        let (instances, troubles): (Vec<_>, Vec<_>) =
            instances.into_iter().filter_map(|name| Some((name.clone(), unseen(name)?.trouble.clone()))).unzip();
        let mut memory = self.memory();
        if run.state == RunState::Running && !instances.is_empty() {
            let trouble = troubles.into_iter().flatten().next();
            memory.run_waits.insert(run.id, Wait::Confirmation { instances, trouble });
            return None;
        }
        let from = *memory.taken_up.entry(run.id).or_insert(now);
        let mut run = run.clone();
        if !matches!(run.current(), Some(Step::Work { .. } | Step::Bake { .. })) {
            run.step.since = run.step.since.max(from);
        }
        Some(run)
    }

    /// What the machine is told about a run.
    pub(super) fn facts<'a>(
        &self,
        run: &Run,
        ledger: &'a Ledger,
        reports: &BTreeMap<InstanceName, InstanceReport>,
    ) -> Facts<'a> {
        let aside = self.aside_of_run(run, reports);
        let pending = |revision| confirmation(revision, entries(&run.plan), &maps_of(&run.plan), reports, &aside);
        Facts {
            holds: &ledger.state.holds,
            confirmation: run.step.acted.map_or(Confirmation::Agreed, pending),
            live: ledger.state.live(&run.plan.farm),
            not_up: lines_not_up(run, ledger, reports, &aside),
            answers: self.answers(run),
            figures: figures(run, reports),
            stays: stays(run, &ledger.state, reports),
            last_of: last_of(run, reports),
        }
    }

    /// Stores the run that the machine gave back, together with what its actions mean. Whether there was anything.
    pub(super) async fn carry_out(
        &self,
        ledger: &mut Ledger,
        before: &Run,
        outcome: Outcome,
        reports: &BTreeMap<InstanceName, InstanceReport>,
        by: Option<(&Caller, String)>,
    ) -> Result<bool, EngineError> {
        let (run, actions) = match outcome {
            Outcome::Wait(wait) => {
                self.memory().run_waits.insert(before.id, wait);
                return Ok(false);
            }
            Outcome::Rest => return Ok(false),
            Outcome::Go(run, actions) => (*run, actions),
        };
        self.memory().run_waits.remove(&run.id);
        let now = self.clock.now();
        let watches = actions.contains(&Action::Watch);
        let (mut run, changes, mut events) = self.translate(run, actions, ledger, reports, now);
        if let (Some(flipped), true) = (flipped(before, reports, now), run.cursor > before.cursor) {
            if let Some(event) = events.first_mut() {
                let took = Duration::from_micros(flipped.took).as_secs_f64() * 1000.0;
                event.text = format!("{} (commands took {took:.2} ms from the first to the last reply)", event.text);
            }
            run.flips.push(flipped);
        }
        if before.is_active() && run.state == RunState::Done {
            let held = |entry: &Entry| ledger.state.holds.values().any(|hold| hold.entries.contains(entry));
            let serves = |entry: &Entry| !held(entry) && seen_server(entry, reports).is_some_and(SeenServer::is_usable);
            let left = not_deployed_to(&run, serves);
            events.extend(left.iter().map(|text| event(now, "run.remark", text.clone(), Some(run.id), None)));
            run.remarks.extend(left);
        }
        if let Some((caller, what)) = by {
            events.insert(0, asked(event(now, "run.asked", what, Some(run.id), None), caller));
        }
        if events.is_empty() && !changes.is_empty() {
            let step = run.current().map(ToString::to_string).unwrap_or_default();
            events.push(event(now, "run.step", step, Some(run.id), None));
        }
        let goes_on = matches!(run.state, RunState::Running | RunState::Aborting);
        let acts = !changes.is_empty() || watches;
        if run.cursor == before.cursor && goes_on && acts {
            run.step.acted = Some(ledger.next_revision());
        }
        let changes = std::iter::once(Change::PutRun(Box::new(run))).chain(changes).collect();
        self.write(ledger, changes, events).await?;
        self.publish(ledger);
        self.nudge.notify_one();
        Ok(true)
    }

    /// What the machine's actions mean for the store.
    pub(super) fn translate(
        &self,
        mut run: Run,
        actions: Vec<Action>,
        ledger: &Ledger,
        reports: &BTreeMap<InstanceName, InstanceReport>,
        now: Timestamp,
    ) -> (Run, Vec<Change>, Vec<NewEvent>) {
        let (mut changes, mut events) = (Vec::new(), Vec::new());
        let mut next_hold = ledger.state.next_hold;
        let put = |hold| Change::PutHold(Box::new(Hold { revision: ledger.next_revision(), ..hold }));
        let mut route_now = ledger.state.routes.get(&run.plan.farm).cloned();
        let mut actions = VecDeque::from(actions);
        while let Some(action) = actions.pop_front() {
            let held = |group: &GroupName| run.holds.get(group).and_then(|id| ledger.state.holds.get(id)).cloned();
            match action {
                Action::Note(text) => events.push(event(now, "run.note", text, Some(run.id), None)),
                Action::Turn(side) => {
                    let before = stored_route(&run, ledger, reports);
                    let route = turned(&run, &before, side, ledger);
                    route_now = Some(route.clone());
                    run.step.undo.push(Undo::Turn(Box::new(before)));
                    changes.push(Change::PutRoute(Box::new(route)));
                }
                Action::Hold(group) => {
                    // A side that stood by until now is held by this run, and by another hold from here on.
                    if let Some(before) = held(&group) {
                        changes.push(Change::DropHold(before.id));
                        run.step.undo.push(Undo::Put(Box::new(before)));
                    }
                    let hold = hold_of(&run, &group, HoldId(next_hold), route_now.as_ref(), ledger, reports, now);
                    next_hold += 1;
                    changes.extend(baselines(&hold.entries, ledger, reports));
                    run.step.undo.push(Undo::Drop(hold.id));
                    let down = |entry: &&Entry| match ledger.state.baselines.get(*entry) {
                        Some(was) => was.down,
                        None => seen_server(entry, reports).is_some_and(SeenServer::is_down),
                    };
                    let down: BTreeSet<Entry> = hold.entries.iter().filter(down).cloned().collect();
                    // Who leads may change in just this moment: what was DOWN when the run began counts, too.
                    let before = if run.plan.roles { run.down.clone() } else { &run.down - &hold.entries };
                    run.down = &before | &down;
                    run.holds.insert(group, hold.id);
                    changes.push(Change::PutHold(Box::new(hold)));
                }
                Action::DrainAgain(group) => {
                    if let Some(hold) = held(&group) {
                        // Those that somebody else had taken over are taken out again.
                        let planned = run.members(&group).flat_map(|member| member.entries.iter().cloned()).collect();
                        let entries: BTreeSet<Entry> = &with_trackers(&planned, reports) | &hold.entries;
                        let stage = match entries == hold.entries {
                            true => Stage::Draining { mode: hold.wants(), since: now, killed: None, hardened: true },
                            false => hold.ladder.begin(now),
                        };
                        changes.extend(baselines(&entries, ledger, reports));
                        changes.push(put(Hold { stage, entries, note: None, ..hold }));
                    } else {
                        // It was brought back at the deadline: out again, and by its own step where that asks who stays.
                        match took_out(&run, &group) {
                            Some((at, true)) => run.cursor = at,
                            _ => actions.push_front(Action::Hold(group)),
                        }
                    }
                }
                Action::Share { group, with, share } => {
                    let given = Sharing { run: &run, group: &group, with: &with, share };
                    let (more, undo, holds) = given.changes(next_hold, ledger, reports, now);
                    next_hold += u64::try_from(holds.len()).unwrap_or_default();
                    changes.extend(more);
                    run.step.undo.extend(undo);
                    run.holds.extend(holds);
                }
                Action::Watch => {
                    run.bake = Some(begin_bake(&run, reports));
                }
                Action::Harden(group) => {
                    if let Some(hold) = held(&group) {
                        let ladder = ladder(&run, &group, route_now.as_ref());
                        let stage = Stage::Draining { mode: hold.wants(), since: now, killed: None, hardened: true };
                        changes.push(put(Hold { stage, ladder, ..hold }));
                    }
                }
                Action::Park(group) => {
                    if let Some(hold) = held(&group) {
                        let mode = if hold.wants() == AdminState::Maint { AdminState::Maint } else { hold.ladder.last };
                        let stage = Stage::Out { mode, at: now, left: 0 };
                        changes.push(put(Hold { stage, ..hold }));
                    }
                }
                Action::Release(group) => {
                    if let Some(hold) = held(&group) {
                        changes.push(Change::DropHold(hold.id));
                        run.step.undo.push(Undo::Put(Box::new(hold)));
                    }
                }
                Action::Prove { group, then, versions } => {
                    if let Some(hold) = held(&group) {
                        changes.extend(no_more_left_out(&run, &hold, ledger));
                        let stage = hold.proof(now, run.plan.verify.deadline, then, versions);
                        changes.push(put(Hold { stage, note: None, ..hold }));
                    }
                }
                Action::Undo => {
                    for undo in std::mem::take(&mut run.step.undo) {
                        changes.push(match undo {
                            Undo::Put(hold) => put(*hold),
                            Undo::Drop(id) => Change::DropHold(id),
                            Undo::Turn(route) => Change::PutRoute(route),
                        });
                    }
                }
            }
        }
        (run, changes, events)
    }
}

/// A group's hold, from the beginning of its ladder.
pub(super) fn hold_of(
    run: &Run,
    group: &GroupName,
    id: HoldId,
    route: Option<&Route>,
    ledger: &Ledger,
    reports: &BTreeMap<InstanceName, InstanceReport>,
    now: Timestamp,
) -> Hold {
    let entries: BTreeSet<Entry> = run.members(group).flat_map(|member| &member.entries).cloned().collect();
    let standby = stands_by(run);
    let ladder = ladder(run, group, route);
    Hold {
        id,
        owner: Owner::Run(run.id),
        reason: format!("{} {}", if standby { "standby of" } else { "deploy of" }, run.plan.farm),
        selectors: vec![format!("farm:{}/{group}", run.plan.farm)],
        entries: with_trackers(&entries, reports),
        since: now,
        expires: None,
        stage: ladder.begin(now),
        ladder,
        first_out: run.plan.flip.order == FlipOrder::Gap,
        revision: ledger.next_revision(),
        note: None,
        reach: run.reach.clone(),
        names: Default::default(),
    }
}

/// What a run before has left out and this one has taken over is this group's from its proof on: until then it stays in
/// maintenance, whatever the group is in.
fn no_more_left_out(run: &Run, group: &Hold, ledger: &Ledger) -> Vec<Change> {
    let taken_over = |hold: &&Hold| hold.owner == Owner::Run(run.id) && !run.holds.values().any(|id| *id == hold.id);
    let holds = ledger.state.holds.values().filter(taken_over).filter(|hold| !hold.entries.is_disjoint(&group.entries));
    let rest = holds.map(|hold| match &hold.entries - &group.entries {
        none if none.is_empty() => Change::DropHold(hold.id),
        entries => Change::PutHold(Box::new(Hold { entries, revision: ledger.next_revision(), ..hold.clone() })),
    });
    rest.collect()
}

pub(super) fn entries(plan: &Plan) -> impl Iterator<Item = &Entry> {
    plan.groups.values().flatten().flat_map(|member| &member.entries)
}

/// Lines of the plan that nobody holds and that take no traffic, though they should: some are DOWN by design, and some are
/// in HAProxys that may be away, and are.
fn lines_not_up(
    run: &Run,
    ledger: &Ledger,
    reports: &BTreeMap<InstanceName, InstanceReport>,
    aside: &BTreeSet<InstanceName>,
) -> BTreeMap<Entry, String> {
    let held = |entry: &Entry| ledger.state.holds.values().any(|hold| hold.entries.contains(entry));
    let there = entries(&run.plan).filter(|entry| !aside.contains(&entry.instance));
    let free: Vec<&Entry> = there.filter(|entry| !held(entry)).collect();
    let down: BTreeMap<Entry, String> =
        free.iter().filter_map(|entry| Some(((*entry).clone(), not_up(entry, reports)?))).collect();
    let excused = roles::excused(
        free,
        (&run.down, run.plan.leader),
        |entry| run.member_of(entry),
        |entry| !down.contains_key(entry),
    );
    let excused: BTreeSet<Entry> = excused.into_keys().cloned().collect();
    down.into_iter().filter(|(entry, _)| !excused.contains(entry)).collect()
}

/// How the step's change was measured, where the step is a flip: the window in which both sides may have been given
/// requests.
fn flipped(run: &Run, reports: &BTreeMap<InstanceName, InstanceReport>, now: Timestamp) -> Option<Flipped> {
    let Some(Step::Flip { turn, .. }) = run.current() else { return None };
    let revision = run.step.acted?;
    let took = reports.values().filter_map(|report| report.took.filter(|(of, _)| *of >= revision));
    let took = took.map(|(_, took)| took).max()?;
    let took = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
    Some(Flipped { step: run.cursor, at: now, took, route: turn.is_some() })
}

/// Why a run waits, where it is at a hold: the hold's own reason.
pub(super) fn wait_of(run: &Run, memory: &super::memory::Memory) -> Option<Wait> {
    match memory.run_waits.get(&run.id)? {
        Wait::Hold => {
            let holds = run.holds.values().filter_map(|id| memory.holds.get(id)?.wait.clone());
            Some(holds.max_by_key(|wait| wait.until()).unwrap_or(Wait::Hold))
        }
        wait => Some(wait.clone()),
    }
}
