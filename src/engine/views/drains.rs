//! The drains of a run, and the estimate for the one that goes on.

use std::sync::Arc;
use std::time::Duration;

use crate::api::{DrainEnd, DrainView, EstimateView, RunView};
use crate::engine::Engine;
use crate::engine::error::EngineError;
use crate::engine::memory::KnownDrains;
use crate::engine::views::watches::watch_view;
use crate::plan::{Estimate, Run, RunState, Step};
use crate::state::{DrainOutcome, DrainRecord};
use crate::store::DrainQuery;

impl Engine {
    /// The view with the run's drains and, while it drains, an estimate. `revision` is that of the run's state.
    pub(super) async fn with_drains(&self, view: RunView, run: &Run, revision: u64) -> Result<RunView, EngineError> {
        let known = self.known_drains(run, revision).await?;
        let drains = known.of_run.iter().map(drain_view).collect();
        let watches = known.watches.iter().map(watch_view).chain(view.watches).collect();
        let elapsed = self.clock.now().duration_since(run.step.since);
        let estimate = Estimate::new(&known.earlier, Duration::try_from(elapsed).unwrap_or_default());
        Ok(RunView { drains, watches, estimate: estimate.map(estimate_view), ..view })
    }

    /// The drains in the store. A view of an active run is read again and again: the store is asked once a revision.
    async fn known_drains(&self, run: &Run, revision: u64) -> Result<Arc<KnownDrains>, EngineError> {
        let remembered = self
            .memory()
            .runs
            .get(&run.id)
            .and_then(|run| run.drains.clone())
            .filter(|known| known.revision == revision);
        if let Some(known) = remembered {
            return Ok(known);
        }
        let drains_now = matches!((&run.state, run.current()), (RunState::Running, Some(Step::Drain { .. })));
        let (id, farm) = (run.id, run.plan.farm.clone());
        let read = self.record.read(move |store| {
            let of_run = store.drains(&DrainQuery::OfRun(id))?;
            let watches = store.watches(id)?;
            let of_farm = if drains_now { store.drains(&DrainQuery::OfFarm(farm))? } else { Vec::new() };
            let earlier = of_farm.iter().filter(|drain| drain.is_typical()).map(length).collect();
            Ok(KnownDrains { revision, of_run, watches, earlier })
        });
        let known = Arc::new(read.await?);
        if run.is_active() {
            self.memory().run(run.id).drains = Some(Arc::clone(&known));
        }
        Ok(known)
    }
}

/// How long a drain took, in milliseconds.
pub(super) fn took_ms(drain: &DrainRecord) -> u64 {
    u64::try_from(length(drain).as_millis()).unwrap_or(u64::MAX)
}

fn length(drain: &DrainRecord) -> Duration {
    Duration::try_from(drain.ended.duration_since(drain.began)).unwrap_or_default()
}

fn drain_view(drain: &DrainRecord) -> DrainView {
    DrainView {
        took_ms: took_ms(drain),
        group: drain.group.as_ref().map(ToString::to_string),
        servers: drain.members.iter().map(ToString::to_string).collect(),
        began: drain.began,
        outcome: drain_end(drain.outcome),
        left: drain.left,
        in_flight: drain.curve.points().to_vec(),
    }
}

pub(super) fn drain_end(outcome: DrainOutcome) -> DrainEnd {
    match outcome {
        DrainOutcome::Empty => DrainEnd::Empty,
        DrainOutcome::WentOn => DrainEnd::WentOn,
        DrainOutcome::Stuck => DrainEnd::Stuck,
        DrainOutcome::Restored => DrainEnd::Restored,
    }
}

/// In whole seconds. The spread is rounded outwards, so that it still holds what it held.
fn estimate_view(estimate: Estimate) -> EstimateView {
    let up = |time: Duration| time.as_secs() + u64::from(time.subsec_nanos() > 0);
    EstimateView {
        median_s: estimate.median.as_secs_f64().round() as u64,
        low_s: estimate.low.as_secs(),
        high_s: up(estimate.high),
        drains: estimate.drains,
    }
}
