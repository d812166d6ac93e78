//! A run in an invented world: what the machine asks for is done as the engine does it, with no HAProxy behind it.

use super::*;
use crate::state::{Effects, Observed, State};

/// A world that does what the machine says, one obstacle at a time.
pub(super) struct World {
    pub(super) run: Run,
    pub(super) state: State,
    pub(super) confirmation: Confirmation,
    pub(super) not_up: BTreeMap<Entry, String>,
    pub(super) answers: BTreeMap<MemberName, ProbeResult>,
    pub(super) figures: Option<Figures>,
    pub(super) stays: Option<usize>,
    pub(super) last_of: Option<String>,
    pub(super) now: i64,
    /// The sides that the route was switched to, in order.
    pub(super) switched: Vec<Side>,
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
            counted_by: BTreeMap::new(),
            bake: None,
            caller: CallerState::Never,
            attended: None,
            leaving: false,
            paused: false,
            down: BTreeSet::new(),
            remarks: Vec::new(),
            rollback: None,
            times: BTreeMap::new(),
            reach: Default::default(),
        };
        Self {
            run,
            state: State { next_hold: 1, ..State::default() },
            confirmation: Confirmation::Agreed,
            not_up: BTreeMap::new(),
            answers: BTreeMap::new(),
            figures: Some(Figures::default()),
            stays: None,
            last_of: None,
            now: 0,
            switched: Vec::new(),
        }
    }

    pub(super) fn tick(&mut self) -> Option<Wait> {
        let facts = self.facts();
        let outcome = handle_tick(&self.run, &facts, at(self.now));
        self.take(outcome)
    }

    pub(super) fn facts(&self) -> Facts<'_> {
        Facts {
            holds: &self.state.holds,
            confirmation: self.confirmation.clone(),
            live: self.state.live(&self.run.plan.farm),
            not_up: self.not_up.clone(),
            answers: self.answers.clone(),
            figures: self.figures.clone(),
            past: Counted::default(),
            all: Counts::default(),
            stays: self.stays,
            last_of: self.last_of.clone(),
        }
    }

    /// Stores what the machine wants, as the engine does.
    pub(super) fn take(&mut self, outcome: Outcome) -> Option<Wait> {
        let (run, actions) = match outcome {
            Outcome::Wait(wait) => return Some(wait),
            Outcome::Rest => return None,
            Outcome::Go(run, actions) => (*run, actions),
        };
        let Effects { run, changes, .. } =
            self.state.effects(&self.run, run, actions, &Observed::default(), at(self.now));
        self.state.apply(&changes, self.state.next_revision());
        self.run = run;
        let live = self.state.live(&self.run.plan.farm).filter(|live| self.switched.last() != Some(live));
        self.switched.extend(live);
        None
    }

    pub(super) fn set_stages(&mut self, stage: &Stage) {
        let moving = self.state.holds.values_mut().filter(|hold| !matches!(hold.stage, Stage::Shared { .. }));
        moving.for_each(|hold| hold.stage = stage.clone());
    }

    /// Lets every step succeed until the run waits for work or ends.
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
                (Some(Step::Verify { .. }), Some(_)) => self.set_stages(&Stage::Verified { at: at(self.now) }),
                _ => {}
            }
        }
        panic!("the run does not settle: {:?}", self.run);
    }

    pub(super) fn out(&self) -> BTreeSet<MemberName> {
        let out = self.state.holds.values().filter(|hold| !matches!(hold.stage, Stage::Shared { .. }));
        out.flat_map(Hold::members).cloned().collect()
    }

    pub(super) fn report(&mut self, report: WorkReport) -> Result<(), Illegal> {
        let outcome = handle_report(&self.run, None, report, at(self.now))?;
        self.take(outcome);
        Ok(())
    }

    pub(super) fn abort(&mut self) {
        let outcome = handle_abort(&self.run, &self.facts(), at(self.now));
        self.take(outcome);
    }
}
