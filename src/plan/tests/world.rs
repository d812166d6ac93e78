//! A run, carried out in an invented world as the engine would.

use super::*;

/// A world that does what the machine says, one obstacle at a time.
pub(super) struct World {
    pub(super) run: Run,
    pub(super) holds: BTreeMap<HoldId, Hold>,
    pub(super) confirmation: Confirmation,
    pub(super) not_up: BTreeMap<Entry, String>,
    pub(super) answers: BTreeMap<MemberName, ProbeResult>,
    pub(super) figures: Option<Figures>,
    pub(super) stays: Option<usize>,
    pub(super) last_of: Option<String>,
    pub(super) next: u64,
    pub(super) now: i64,
    /// Where the route was turned to, in order.
    pub(super) turned: Vec<Side>,
}

/// The same farm with a route.
pub(super) const ROUTE: &str = "members = [\"app/*\", \"api/*\"]\nhalves = \"auto\"\n[flip]\n\
    route = { map = \"/m\", key = \"web\", all = \"app\", a = \"app_a\", b = \"app_b\" }\n";

impl World {
    pub(super) fn new() -> Self {
        Self::of(HALVES)
    }

    pub(super) fn of(settings: &str) -> Self {
        Self::carrying_out(planned(settings, &seen(4, &[]), &[]).unwrap())
    }

    pub(super) fn carrying_out(plan: Plan) -> Self {
        let run = Run {
            id: RunId(7),
            plan,
            cursor: 0,
            step: StepState { since: at(0), acted: None, undo: Vec::new() },
            state: RunState::Running,
            by: "ann".into(),
            started: at(0),
            finished: None,
            holds: BTreeMap::new(),
            versions: BTreeMap::new(),
            flips: Vec::new(),
            left_out: BTreeMap::new(),
            passed: BTreeMap::new(),
            counted: BTreeMap::new(),
            bake: None,
            caller: CallerState::Never,
            attended: None,
            leaving: false,
            paused: false,
            down: BTreeSet::new(),
            remarks: Vec::new(),
            rollback: None,
            reach: Default::default(),
        };
        Self {
            run,
            holds: BTreeMap::new(),
            confirmation: Confirmation::Agreed,
            not_up: BTreeMap::new(),
            answers: BTreeMap::new(),
            figures: Some(Figures { before: Counts::default(), now: Counts::default() }),
            stays: None,
            last_of: None,
            next: 1,
            now: 0,
            turned: Vec::new(),
        }
    }

    pub(super) fn tick(&mut self) -> Option<Wait> {
        let facts = self.facts();
        let outcome = handle_tick(&self.run, &facts, at(self.now));
        self.take(outcome)
    }

    pub(super) fn facts(&self) -> Facts<'_> {
        Facts {
            holds: &self.holds,
            confirmation: self.confirmation.clone(),
            live: self.turned.last().cloned(),
            not_up: self.not_up.clone(),
            answers: self.answers.clone(),
            figures: self.figures,
            stays: self.stays,
            last_of: self.last_of.clone(),
        }
    }

    /// Carries out what the machine wants, as the engine would.
    pub(super) fn take(&mut self, outcome: Outcome) -> Option<Wait> {
        let (run, actions) = match outcome {
            Outcome::Wait(wait) => return Some(wait),
            Outcome::Rest => return None,
            Outcome::Go(run, actions) => (*run, actions),
        };
        let (stood, acts) = (run.cursor == self.run.cursor, actions.iter().any(|a| !matches!(a, Action::Note(_))));
        self.run = run;
        for action in actions {
            match action {
                Action::Hold(group) => {
                    let before = self.run.holds.get(&group).and_then(|id| self.holds.remove(id));
                    self.run.step.undo.extend(before.map(|hold| Undo::Put(Box::new(hold))));
                    let members: Vec<Entry> =
                        self.run.members(&group).flat_map(|member| member.entries.clone()).collect();
                    let id = HoldId(self.next);
                    self.next += 1;
                    let stage =
                        Stage::Draining { mode: AdminState::Drain, since: at(self.now), killed: None, hardened: false };
                    self.holds.insert(id, hold(id.0, Owner::Run(self.run.id), members, stage));
                    self.run.holds.insert(group, id);
                    self.run.step.undo.push(Undo::Drop(id));
                }
                Action::Release(group) => {
                    let gone = self.run.holds.get(&group).and_then(|id| self.holds.remove(id));
                    self.run.step.undo.extend(gone.map(|hold| Undo::Put(Box::new(hold))));
                }
                Action::Prove { group, then, versions } => {
                    let hold = self.holds.get_mut(&self.run.holds[&group]).unwrap();
                    let phase = ProofPhase::Probes { mode: AdminState::Maint };
                    hold.stage =
                        Stage::Proving { since: at(self.now), until: at(self.now + 60), phase, then, versions };
                }
                Action::Share { group, with, .. } if self.run.plan.flip.route.is_empty() => {
                    for group in [group, with] {
                        let members: Vec<Entry> =
                            self.run.members(&group).flat_map(|member| member.entries.clone()).collect();
                        let id = *self.run.holds.entry(group).or_insert(HoldId(self.next));
                        self.next += 1;
                        let shared =
                            hold(id.0, Owner::Run(self.run.id), members, Stage::Shared { weights: BTreeMap::new() });
                        let before = self.holds.insert(id, shared);
                        let undo = before.map_or(Undo::Drop(id), |before| Undo::Put(Box::new(before)));
                        self.run.step.undo.push(undo);
                    }
                }
                Action::Share { group, .. } => {
                    let gone = self.run.holds.get(&group).and_then(|id| self.holds.remove(id));
                    self.run.step.undo.extend(gone.map(|hold| Undo::Put(Box::new(hold))));
                }
                Action::Park(group) => {
                    let hold = self.holds.get_mut(&self.run.holds[&group]).unwrap();
                    hold.stage = Stage::Out { mode: hold.wants(), at: at(self.now), left: 0 };
                }
                Action::Undo => {
                    for undo in std::mem::take(&mut self.run.step.undo) {
                        match undo {
                            Undo::Put(hold) => drop(self.holds.insert(hold.id, *hold)),
                            Undo::Drop(id) => drop(self.holds.remove(&id)),
                            Undo::Turn(_) => {}
                        }
                    }
                }
                Action::Turn(side) => {
                    self.turned.push(side);
                }
                Action::DrainAgain(_) | Action::Note(_) | Action::Watch | Action::Harden(_) => {}
            }
        }
        if stood && acts && self.run.state == RunState::Running {
            self.run.step.acted = Some(1);
        }
        None
    }

    pub(super) fn set_stages(&mut self, stage: &Stage) {
        let moving = self.holds.values_mut().filter(|hold| !matches!(hold.stage, Stage::Shared { .. }));
        moving.for_each(|hold| hold.stage = stage.clone());
    }

    /// Lets everything go well until the run waits for work or ends.
    pub(super) fn settle(&mut self) {
        for _ in 0..40 {
            let waiting = self.tick();
            match (self.run.current(), waiting) {
                (Some(Step::Work { .. }) | None, _) => return,
                _ if self.run.state != RunState::Running => return,
                (Some(Step::Settle { .. }), Some(_)) => self.now += 5,
                (Some(Step::Bake { .. }), Some(_)) => self.now += 301,
                (Some(Step::Drain { .. }), Some(_)) => {
                    self.set_stages(&Stage::Out { mode: AdminState::Maint, at: at(self.now), left: 0 });
                }
                (Some(Step::Verify { .. }), Some(_)) => self.set_stages(&Stage::Proven { at: at(self.now) }),
                _ => {}
            }
        }
        panic!("the run does not settle: {:?}", self.run);
    }

    pub(super) fn out(&self) -> BTreeSet<MemberName> {
        let out = self.holds.values().filter(|hold| !matches!(hold.stage, Stage::Shared { .. }));
        out.flat_map(Hold::members).cloned().collect()
    }

    pub(super) fn report(&mut self, report: Report) -> Result<(), Illegal> {
        let outcome = handle_report(&self.run, None, report, at(self.now))?;
        self.take(outcome);
        Ok(())
    }

    pub(super) fn abort(&mut self) {
        let outcome = handle_abort(&self.run, &self.facts(), at(self.now));
        self.take(outcome);
    }
}
