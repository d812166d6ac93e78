//! What a plan will do, step by step: the servers that carry the traffic, what happens, and how long that may take.
//!
//! Like the machine, the forecast reads the steps of the plan only; a test compares it with what a run does.

use std::collections::BTreeSet;

use super::forecast_text::{does, names};
use super::machine::ANSWER_TAKES;
use super::run_plan::Plan;
use super::step::Step;
use crate::farm::{GroupName, MemberName, Side, Span, natural};

/// The forecast of a plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Forecast {
    /// The servers of the farm that are deployed to or carry traffic.
    pub servers: usize,
    /// The servers that carry the traffic before the first step, in natural order.
    pub before: Vec<MemberName>,
    /// Each step.
    pub steps: Vec<StepForecast>,
    /// The time that passes in any case: settling and watching. Work, drains and verifications come on top.
    pub least: Span,
    /// The sum of all deadlines; work has none.
    pub most: Span,
}

/// The forecast of one step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StepForecast {
    /// What the step does, in a sentence; and which servers carry the traffic, if that changes.
    pub does: String,
    /// How many servers carry the traffic once the step has done its change.
    pub carry: usize,
}

/// Makes the forecast of a plan; these members can take traffic now.
pub fn forecast(plan: &Plan, in_service: &BTreeSet<MemberName>) -> Forecast {
    let mut traffic = Traffic { plan, ready: in_service.iter().collect(), side: plan.live.clone() };
    let planned = plan.groups.values().flatten().map(|member| &member.name);
    let servers = planned.chain(in_service).collect::<BTreeSet<_>>().len();
    let mut carriers = traffic.carriers();
    let before = carriers.iter().map(|member| (*member).clone()).collect();
    let (mut least, mut most) = (Span::default(), Span::default());
    let mut steps = Vec::new();
    for step in &plan.steps {
        traffic.follow(step);
        let now = traffic.carriers();
        let mut text = does(plan, step);
        if now != carriers {
            let who = match now.len() {
                1 => format!("{} carries", names(now.iter().copied())),
                all if all == servers => "all servers carry".to_owned(),
                _ => format!("{} carry", names(now.iter().copied())),
            };
            text.push_str(&format!("; {who} the traffic"));
        }
        carriers = now;
        let (shortest, longest) = takes(plan, step);
        (least, most) = (least.plus(shortest), most.plus(longest));
        steps.push(StepForecast { does: text, carry: carriers.len() });
    }
    Forecast { servers, before, steps, least, most }
}

/// Who may get requests while the plan is carried out.
struct Traffic<'a> {
    plan: &'a Plan,
    /// Members that HAProxy may send requests.
    ready: BTreeSet<&'a MemberName>,
    /// The side that the route leads to, if the farm has one.
    side: Side,
}

impl<'a> Traffic<'a> {
    /// Makes the change of a step.
    fn follow(&mut self, step: &'a Step) {
        match step {
            Step::Out { group, switch } => {
                self.leave(group);
                self.switch(switch.as_ref());
            }
            Step::Flip { release, hold, switch } => {
                release.iter().for_each(|group| self.come(group));
                hold.iter().for_each(|group| self.leave(group));
                self.switch(switch.as_ref());
            }
            Step::Share { group, .. } => self.come(group),
            Step::In { group, switch } => {
                self.come(group);
                self.switch(switch.as_ref());
            }
            Step::Ask { .. }
            | Step::Drain { .. }
            | Step::Work { .. }
            | Step::Settle { .. }
            | Step::Verify { .. }
            | Step::Bake { .. }
            | Step::AskAll { .. } => {}
        }
    }

    fn come(&mut self, group: &GroupName) {
        self.ready.extend(members(self.plan, group));
    }

    fn leave(&mut self, group: &GroupName) {
        for member in members(self.plan, group) {
            self.ready.remove(member);
        }
    }

    fn switch(&mut self, to: Option<&Side>) {
        if let Some(side) = to {
            self.side = side.clone();
        }
    }

    /// The members that carry the traffic, in natural order.
    fn carriers(&self) -> Vec<&'a MemberName> {
        let leads_to = |member: &MemberName| match &self.side {
            Side::Group(group) if !self.plan.flip.route.is_empty() => {
                self.plan.groups.get(group).into_iter().flatten().any(|planned| planned.name == *member)
            }
            _ => true,
        };
        let mut carriers: Vec<&MemberName> = self.ready.iter().copied().filter(|member| leads_to(member)).collect();
        carriers.sort_by(|one, other| natural(one.as_str(), other.as_str()));
        carriers
    }
}

fn members<'a>(plan: &'a Plan, group: &GroupName) -> impl Iterator<Item = &'a MemberName> + use<'a> {
    plan.groups.get(group).into_iter().flatten().map(|member| &member.name)
}

/// The shortest and the longest time of a step, as far as its settings say. Work and confirmations of HAProxy count as
/// nothing.
fn takes(plan: &Plan, step: &Step) -> (Span, Span) {
    let none = Span::default();
    let verify = plan.verify.deadline.plus(plan.verify.warm_up.as_ref().map_or(none, |warm_up| warm_up.deadline));
    match step {
        Step::Ask { .. } => (none, ANSWER_TAKES),
        Step::Drain { .. } => (none, plan.drain.deadline),
        Step::Settle { takes, .. } | Step::Bake { takes: Some(takes), .. } => (*takes, *takes),
        Step::Bake { takes: None, .. } => plan.bake.as_ref().map_or((none, none), |bake| (bake.takes, bake.takes)),
        Step::Verify { .. } => (none, verify),
        Step::In { .. } | Step::AskAll { .. } => (none, plan.verify.deadline),
        Step::Out { .. } | Step::Work { .. } | Step::Flip { .. } | Step::Share { .. } => (none, none),
    }
}
