//! Works out the changes of the state that the actions of a run's step need: holds, routes and baselines.

use std::collections::BTreeSet;

use jiff::Timestamp;

use super::{Change, NewEvent, Observed, State, event};
use crate::farm::{
    AfterVerify, Emptying, Entry, FlipOrder, GroupName, Hold, HoldId, Owner, Route, SeenServer, Side, Stage,
};
use crate::haproxy::AdminState;
use crate::plan::machine::Action;
use crate::plan::watch::Bake;
use crate::plan::{Run, RunState, Undo};

/// The changes of the store that a run's actions need.
#[derive(Debug, Clone)]
pub struct Effects {
    /// The run after the actions, to be stored in the same transaction.
    pub run: Run,
    /// The changes beside the run.
    pub changes: Vec<Change>,
    /// The run's notes, as events.
    pub events: Vec<NewEvent>,
}

impl State {
    /// Works out the changes that actions need. `before` is the run that the machine got, `run` is the run that the
    /// machine returned with the actions.
    pub fn effects(
        &self,
        before: &Run,
        run: Run,
        actions: Vec<Action>,
        observed: &Observed<'_>,
        now: Timestamp,
    ) -> Effects {
        let watches = actions.iter().any(|action| matches!(action, Action::Watch(_)));
        let mut working = Working {
            state: self,
            observed,
            now,
            route: self.routes.get(&run.plan.farm).cloned(),
            next_hold: self.next_hold,
            effects: Effects { run, changes: Vec::new(), events: Vec::new() },
        };
        actions.into_iter().for_each(|action| working.add(action));
        let mut effects = working.effects;
        effects.run.record_step_times(before, now);
        let goes_on = matches!(effects.run.state, RunState::Running | RunState::Aborting);
        if effects.run.cursor == before.cursor && goes_on && (watches || !effects.changes.is_empty()) {
            effects.run.step.acted = Some(self.next_revision());
        }
        effects
    }
}

/// The effects of the actions so far, and the input.
pub(super) struct Working<'a> {
    pub(super) state: &'a State,
    pub(super) observed: &'a Observed<'a>,
    pub(super) now: Timestamp,
    /// The stored route of the run's farm, as the actions so far leave it.
    pub(super) route: Option<Route>,
    /// The number of the next new hold.
    pub(super) next_hold: u64,
    pub(super) effects: Effects,
}

impl Working<'_> {
    fn add(&mut self, action: Action) {
        match action {
            Action::Note(text) => {
                let run = Some(self.effects.run.id);
                self.effects.events.push(event(self.now, "run.note", text, run, None));
            }
            Action::Switch(side) => self.switch(side),
            Action::Hold(group) => self.hold(group),
            Action::DrainAgain(group) => self.drain_again(group),
            Action::Share { group, with, share } => self.share(&group, &with, share),
            Action::Watch(control) => {
                let look = |entry: &Entry| self.observed.look(entry);
                self.effects.run.bake = Some(Bake::begin(&self.effects.run, *control, look));
            }
            Action::Harden(group) => self.harden(&group),
            Action::Park(group) => self.park(&group),
            Action::Release(group) => self.release(&group),
            Action::Verify { group, then, versions } => self.verify(&group, then, versions),
            Action::Undo => self.undo(),
        }
    }

    /// The run's hold on a group, as stored.
    pub(super) fn held(&self, group: &GroupName) -> Option<Hold> {
        self.effects.run.holds.get(group).and_then(|id| self.state.holds.get(id)).cloned()
    }

    /// Stores a hold with the revision of this change.
    pub(super) fn put(&mut self, hold: Hold) {
        let hold = Hold { revision: self.state.next_revision(), ..hold };
        self.effects.changes.push(Change::PutHold(Box::new(hold)));
    }

    /// Removes a hold. If HAProxy refuses the step, the undo stores the hold again.
    pub(super) fn drop_hold(&mut self, hold: Hold) {
        self.effects.changes.push(Change::DropHold(hold.id));
        self.effects.run.step.undo.push(Undo::Put(Box::new(hold)));
    }

    fn switch(&mut self, side: Side) {
        let run = &self.effects.run;
        let before = self.state.route_of(run, self.observed);
        let route = self.state.switched(run, &before, side);
        self.route = Some(route.clone());
        self.effects.run.step.undo.push(Undo::Switch(Box::new(before)));
        self.effects.changes.push(Change::PutRoute(Box::new(route)));
    }

    fn hold(&mut self, group: GroupName) {
        // A side on standby has a hold already; the new one replaces it.
        if let Some(before) = self.held(&group) {
            self.drop_hold(before);
        }
        let hold = self.new_hold(&group, self.route.as_ref());
        self.next_hold += 1;
        self.effects.changes.extend(self.state.new_baselines(&hold.entries, self.observed));
        let was_down = |entry: &&Entry| match self.state.baselines.get(*entry) {
            Some(was) => was.down,
            None => self.observed.server(entry).is_some_and(SeenServer::is_down),
        };
        let down: BTreeSet<Entry> = hold.entries.iter().filter(was_down).cloned().collect();
        let run = &mut self.effects.run;
        run.step.undo.push(Undo::Drop(hold.id));
        // The leader may change at this moment: lines that were DOWN when the run began count, too.
        let before = if run.plan.roles { run.down.clone() } else { &run.down - &hold.entries };
        run.down = &before | &down;
        run.holds.insert(group, hold.id);
        self.effects.changes.push(Change::PutHold(Box::new(hold)));
    }

    /// A group's hold, from the beginning of its drain ladder.
    pub(super) fn new_hold(&self, group: &GroupName, route: Option<&Route>) -> Hold {
        let run = &self.effects.run;
        let entries: BTreeSet<Entry> = run.members(group).flat_map(|member| &member.entries).cloned().collect();
        let purpose = if run.leaves_standby() { "standby of" } else { "deploy of" };
        let ladder = run.ladder(group, route);
        Hold {
            id: HoldId(self.next_hold),
            owner: Owner::Run(run.id),
            reason: format!("{purpose} {}", run.plan.farm),
            selectors: vec![format!("farm:{}/{group}", run.plan.farm)],
            entries: self.observed.with_trackers(&entries),
            since: self.now,
            expires: None,
            stage: ladder.begin(self.now),
            ladder,
            first_out: run.plan.flip.order == FlipOrder::Gap,
            revision: self.state.next_revision(),
            note: None,
            reach: run.reach.clone(),
            names: Default::default(),
        }
    }

    fn drain_again(&mut self, group: GroupName) {
        let Some(hold) = self.held(&group) else {
            // The group was brought back at the deadline. It goes out again, by its own step if the plan has one,
            // because that step first counts the members in service.
            match self.effects.run.own_out_step(&group) {
                Some(at) => self.effects.run.cursor = at,
                None => self.hold(group),
            }
            return;
        };
        // Lines that another user had taken over go out again.
        let planned = self.effects.run.members(&group).flat_map(|member| member.entries.iter().cloned()).collect();
        let entries = &self.observed.with_trackers(&planned) | &hold.entries;
        let stage = match entries == hold.entries {
            true => {
                Stage::Draining(Emptying { mode: hold.wanted_state(), since: self.now, killed: None, hardened: true })
            }
            false => hold.ladder.begin(self.now),
        };
        self.effects.changes.extend(self.state.new_baselines(&entries, self.observed));
        self.put(Hold { stage, entries, note: None, ..hold });
    }

    fn harden(&mut self, group: &GroupName) {
        let Some(hold) = self.held(group) else { return };
        let ladder = self.effects.run.ladder(group, self.route.as_ref());
        let stage =
            Stage::Draining(Emptying { mode: hold.wanted_state(), since: self.now, killed: None, hardened: true });
        self.put(Hold { stage, ladder, ..hold });
    }

    fn park(&mut self, group: &GroupName) {
        let Some(hold) = self.held(group) else { return };
        let mode = if hold.wanted_state() == AdminState::Maint { AdminState::Maint } else { hold.ladder.last };
        self.put(Hold { stage: Stage::Out { mode, at: self.now, left: 0 }, ..hold });
    }

    fn release(&mut self, group: &GroupName) {
        if let Some(hold) = self.held(group) {
            self.drop_hold(hold);
        }
    }

    fn verify(&mut self, group: &GroupName, then: AfterVerify, versions: BTreeSet<String>) {
        let Some(hold) = self.held(group) else { return };
        self.take_from_left_out(&hold);
        let stage = hold.verification(self.now, self.effects.run.plan.verify.deadline, then, versions);
        self.put(Hold { stage, note: None, ..hold });
    }

    /// Lines that an earlier run has left out, under holds that this run has taken over, belong to the group from the
    /// group's verification on. Until then they stay in maintenance, whatever the state of the group is.
    fn take_from_left_out(&mut self, group: &Hold) {
        let run = &self.effects.run;
        let taken_over =
            |hold: &&Hold| hold.owner == Owner::Run(run.id) && !run.holds.values().any(|id| *id == hold.id);
        let holds = self.state.holds.values().filter(taken_over);
        let holds: Vec<&Hold> = holds.filter(|hold| !hold.entries.is_disjoint(&group.entries)).collect();
        for hold in holds {
            match &hold.entries - &group.entries {
                rest if rest.is_empty() => self.effects.changes.push(Change::DropHold(hold.id)),
                rest => self.put(Hold { entries: rest, ..hold.clone() }),
            }
        }
    }

    fn undo(&mut self) {
        for undo in std::mem::take(&mut self.effects.run.step.undo) {
            match undo {
                Undo::Put(hold) => self.put(*hold),
                Undo::Drop(id) => self.effects.changes.push(Change::DropHold(id)),
                Undo::Switch(route) => self.effects.changes.push(Change::PutRoute(route)),
            }
        }
    }
}
