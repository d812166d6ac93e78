//! Asking members on behalf of a run, while they are in traffic.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::engine::Engine;
use crate::engine::memory::{Probing, put};
use crate::engine::verify::judge::MustShow;
use crate::engine::verify::probing::ask;
use crate::farm::{MemberName, RunId};
use crate::plan::verify::ProbeResult;
use crate::plan::{Run, RunState, Step};
use crate::platform::lock;

impl Engine {
    /// Begins to ask where a run is at a step that asks, and forgets the answers of steps that are over.
    pub(crate) fn ask_for_runs<'a>(self: &Arc<Self>, runs: impl Iterator<Item = &'a Run>) {
        let mut memory = self.memory();
        let earlier = memory.runs.iter_mut().filter_map(|(id, run)| Some((*id, run.asking.take()?)));
        let mut earlier: BTreeMap<RunId, Probing> = earlier.collect();
        for run in runs.filter(|run| run.state == RunState::Running) {
            let Some(probe) = &run.plan.verify.http else { continue };
            let groups = match run.current() {
                Some(Step::Ask { group }) => std::slice::from_ref(group),
                Some(Step::AskAll { groups }) => &groups[..],
                _ => continue,
            };
            let before = earlier.remove(&run.id).filter(|probing| probing.since == run.step.since);
            let mut probing = before.unwrap_or_else(|| Probing::new(run.step.since));
            // At the end everybody must run what was deployed; before, only be well.
            let wanted = matches!(run.current(), Some(Step::AskAll { .. })) && run.rollback.is_none();
            let must_show = MustShow::in_traffic(run, wanted);
            for member in groups.iter().flat_map(|group| run.members(group)) {
                let results = Arc::clone(&probing.results);
                if !member.has_address() {
                    put(&results, &member.name, ProbeResult::Passed { version: None });
                    continue;
                }
                probing.tasks.entry(member.name.clone()).or_insert_with(|| {
                    let target = (member.address.clone(), probe.clone());
                    let asked = ask(Arc::clone(self), member.name.clone(), target, must_show.clone(), results);
                    self.platform.spawn(asked).abort_handle()
                });
            }
            memory.run(run.id).asking = Some(probing);
        }
    }

    /// What members have answered since the run's present step began.
    pub(crate) fn answers(&self, run: &Run) -> BTreeMap<MemberName, ProbeResult> {
        let memory = self.memory();
        let probing = memory
            .runs
            .get(&run.id)
            .and_then(|run| run.asking.as_ref())
            .filter(|probing| probing.since == run.step.since);
        probing.map(|probing| lock(&probing.results).clone()).unwrap_or_default()
    }
}
