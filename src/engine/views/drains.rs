//! The drains of a run, and the estimate for the one that goes on.

use std::time::Duration;

use crate::api::{DrainView, EstimateView, RunView};
use crate::engine::Engine;
use crate::engine::error::EngineError;
use crate::plan::{Estimate, Run, RunState, Step};
use crate::state::{DrainOutcome, DrainRecord};
use crate::store::DrainQuery;

impl Engine {
    /// The view with the run's drains and, while it drains, an estimate.
    pub(super) async fn with_drains(&self, view: RunView, run: &Run) -> Result<RunView, EngineError> {
        let (id, farm) = (run.id, run.plan.farm.clone());
        let drains = self.record.read(move |store| store.drains(&DrainQuery::OfRun(id))).await?;
        let drains = drains.into_iter().map(drain_view).collect();
        if !matches!((&run.state, run.current()), (RunState::Running, Some(Step::Drain { .. }))) {
            return Ok(RunView { drains, ..view });
        }
        let earlier = self.record.read(move |store| store.drains(&DrainQuery::OfFarm(farm))).await?;
        let lengths: Vec<Duration> = earlier.iter().filter(|drain| drain.is_typical()).map(length).collect();
        let elapsed = self.clock.now().duration_since(run.step.since);
        let estimate = Estimate::new(&lengths, Duration::try_from(elapsed).unwrap_or_default());
        Ok(RunView { drains, estimate: estimate.map(estimate_view), ..view })
    }
}

fn length(drain: &DrainRecord) -> Duration {
    Duration::try_from(drain.ended.duration_since(drain.began)).unwrap_or_default()
}

fn drain_view(drain: DrainRecord) -> DrainView {
    DrainView {
        took_ms: u64::try_from(length(&drain).as_millis()).unwrap_or(u64::MAX),
        group: drain.group.map(|group| group.to_string()),
        servers: drain.members.iter().map(ToString::to_string).collect(),
        began: drain.began,
        outcome: match drain.outcome {
            DrainOutcome::Empty => "empty",
            DrainOutcome::WentOn => "went on",
            DrainOutcome::Stuck => "stuck",
            DrainOutcome::Restored => "restored",
        }
        .to_owned(),
        left: drain.left,
        in_flight: drain.curve.points().to_vec(),
    }
}

fn estimate_view(estimate: Estimate) -> EstimateView {
    EstimateView {
        median_s: estimate.median.as_secs(),
        low_s: estimate.low.as_secs(),
        high_s: estimate.high.as_secs(),
        drains: estimate.drains,
    }
}
