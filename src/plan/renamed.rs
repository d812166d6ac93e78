//! Runs whose HAProxy has been renamed.

use super::members::PlannedMember;
use super::run::{Run, StepState, Undo};
use super::watch::Bake;
use crate::farm::{Entry, Renamed};

impl Run {
    /// The run with the new name of that HAProxy.
    #[must_use]
    pub fn renamed(&self, name: Renamed<'_>) -> Self {
        let mut run = self.clone();
        for member in run.plan.groups.values_mut().flatten() {
            *member = PlannedMember { entries: name.entries(&member.entries), ..member.clone() };
        }
        for lines in run.plan.skipped_lines.values_mut() {
            *lines = name.entries::<Vec<Entry>>(lines.iter());
        }
        run.counted = name.keys(&self.counted);
        run.counted_by = name.by_instance(&self.counted_by);
        run.bake = self.bake.as_ref().map(|bake| Bake {
            from: name.keys(&bake.from),
            old: name.keys(&bake.old),
            processes: name.by_instance(&bake.processes),
            ..bake.clone()
        });
        run.down = name.entries(&self.down);
        run.reach = name.reach(&self.reach);
        let undo = self.step.undo.iter().map(|undo| match undo {
            Undo::Put(hold) => Undo::Put(Box::new(name.hold(hold))),
            Undo::Switch(route) => Undo::Switch(Box::new(name.route(route))),
            Undo::Drop(id) => Undo::Drop(*id),
        });
        run.step = StepState { undo: undo.collect(), ..self.step.clone() };
        run
    }
}
