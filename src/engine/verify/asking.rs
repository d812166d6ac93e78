//! teeter's requests to the members of a run while they take traffic.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::engine::Engine;
use crate::engine::memory::{Probing, put};
use crate::engine::verify::judge::MustShow;
use crate::engine::verify::probing::{Target, ask};
use crate::farm::{MemberName, RunId};
use crate::plan::verify::ProbeResult;
use crate::plan::{Run, RunState, Step};
use crate::platform::lock;

impl Engine {
    /// Starts the requests of runs that are at a step with requests, and drops the answers of steps that are over.
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
            // At the end of the run all members must have the deployed version; before that, they only must be healthy.
            let wanted = matches!(run.current(), Some(Step::AskAll { .. })) && run.rollback.is_none();
            let must_show = MustShow::in_traffic(run, wanted);
            for member in groups.iter().flat_map(|group| run.members(group)) {
                let results = Arc::clone(&probing.results);
                if !member.has_address() {
                    put(&results, &member.name, ProbeResult::Passed { version: None });
                    continue;
                }
                probing.tasks.entry(member.name.clone()).or_insert_with(|| {
                    let target = Target { address: member.address.clone(), probe: probe.clone() };
                    let asking = ask(Arc::clone(self), member.name.clone(), target, must_show.clone(), results);
                    self.platform.spawn(asking).abort_handle()
                });
            }
            memory.run(run.id).asking = Some(probing);
        }
    }

    /// The answers of members since the run's present step began.
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
