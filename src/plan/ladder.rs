//! The drain ladder of each group of a plan, and the groups that a plan keeps ready to come back.

use super::run::Run;
use super::step::Step;
use super::strategy::Strategy;
use crate::farm::{DrainSettings, GroupName, Ladder, Route, Side, Stays, Sticky};
use crate::haproxy::AdminState;

impl Run {
    /// The drain ladder of a group that goes out now. Behind a route no new client comes, so the servers stay ready
    /// until nothing is in flight. A side on standby then goes to drain and no further: its checks go on, and it can be
    /// back at once.
    pub fn ladder(&self, group: &GroupName, route: Option<&Route>) -> Ladder {
        let DrainSettings { grace, deadline, on_deadline, idle } = self.plan.drain;
        let (sticky, side) = (self.plan.flip.sticky(), Side::Group(group.clone()));
        let out_of_standby =
            matches!(self.current(), Some(Step::Out { .. })) && self.plan.strategy == Strategy::BlueGreen;
        let (first, last, stays) = match route {
            // The side on standby has no clients, and HAProxy does not have to check it while it is worked on.
            _ if out_of_standby => (AdminState::Maint, AdminState::Maint, Stays::None),
            None if sticky == Sticky::Break => (AdminState::Maint, AdminState::Maint, Stays::None),
            None if self.is_watched(group) => (AdminState::Drain, AdminState::Drain, Stays::Sticky),
            None => (AdminState::Drain, AdminState::Maint, Stays::Sticky),
            Some(route) => {
                let stays = match sticky {
                    _ if !route.can_keep(&side) => Stays::None,
                    Sticky::Break => Stays::None,
                    Sticky::Honour => Stays::Sticky,
                    Sticky::Pin => Stays::All,
                };
                let comes_back = self.leaves_standby() || self.is_watched(group);
                (AdminState::Ready, if comes_back { AdminState::Drain } else { AdminState::Maint }, stays)
            }
        };
        Ladder { first, last, grace, deadline, on_deadline, stays, idle }
    }

    /// Whether the servers that the current step takes out go on standby: they stay ready to come back, and are not
    /// worked on.
    pub fn leaves_standby(&self) -> bool {
        self.plan.strategy.leaves_standby() && !matches!(self.current(), Some(Step::Out { .. }))
    }

    /// Whether a watch is still to come for which the group must be ready to come back: until then it goes to drain and
    /// no further.
    fn is_watched(&self, group: &GroupName) -> bool {
        let later = self.plan.steps.iter().skip(self.cursor + 1);
        let mut later = later.take_while(|step| !matches!(step, Step::Drain { group: drained } if drained == group));
        later.any(|step| matches!(step, Step::Bake { old, .. } if old.contains(group)))
    }

    /// The step before the current one that took a group out, where that step did nothing else. `None` where a flip
    /// took it out.
    pub fn own_out_step(&self, group: &GroupName) -> Option<usize> {
        let takes_out = |step: &Step| match step {
            Step::Out { group: out, .. } => out == group,
            Step::Flip { hold, .. } => hold.contains(group),
            _ => false,
        };
        let at = self.plan.steps.iter().take(self.cursor).rposition(takes_out)?;
        matches!(self.plan.steps.get(at), Some(Step::Out { .. })).then_some(at)
    }

    /// Whether the step after this one, not counting the caller's work, is a flip that takes other groups out: then the
    /// members that come in carry the traffic of the farm by themselves.
    pub fn flips_next(&self) -> bool {
        let mut later = self.plan.steps.iter().skip(self.cursor + 1);
        let next = later.find(|step| !matches!(step, Step::Work { .. }));
        matches!(next, Some(Step::Flip { hold, .. }) if !hold.is_empty())
    }
}
