//! The runs of one farm, in short.

use jiff::Timestamp;

use super::drains::{drain_end, took_ms};
use super::run::{failure, flip_view};
use crate::api::{DrainSummaryView, FarmRuns, RunStatus, RunSummaryView};
use crate::engine::Engine;
use crate::engine::error::EngineError;
use crate::farm::FarmName;
use crate::plan::Run;
use crate::state::DrainRecord;
use crate::store::{DrainQuery, RunQuery};

impl Engine {
    /// The latest runs of a farm that were started since then, with their drains.
    ///
    /// # Errors
    /// The farm is not configured and has no run, or the store cannot be read.
    pub async fn farm_runs(&self, farm: FarmName, since: Option<Timestamp>) -> Result<FarmRuns, EngineError> {
        // One more than the answer has shows whether there are more.
        let query = RunQuery { farm: farm.clone(), since, limit: MOST_RUNS + 1 };
        let read = self.record.read(move |store| {
            let mut runs = store.runs(&query)?;
            let more = runs.len() > MOST_RUNS;
            runs.truncate(MOST_RUNS);
            // A farm that is no longer configured may still have runs.
            let known = !runs.is_empty() || !store.runs(&RunQuery { since: None, limit: 1, ..query })?.is_empty();
            let with_drains = |run: &Run| Ok(summary(run, &store.drains(&DrainQuery::OfRun(run.id))?));
            Ok((runs.iter().map(with_drains).collect::<Result<Vec<_>, _>>()?, more, known))
        });
        let (runs, more, known) = read.await?;
        if !known {
            self.fleet.farm(&farm)?;
        }
        Ok(FarmRuns { farm: farm.to_string(), since, runs, more })
    }
}

fn summary(run: &Run, drains: &[DrainRecord]) -> RunSummaryView {
    let (why, failure) = failure(run).unzip();
    RunSummaryView {
        id: run.id.0,
        strategy: run.plan.strategy.into(),
        version: run.plan.version.clone(),
        state: RunStatus::from(&run.state),
        why: why.or_else(|| run.rollback.clone()),
        failure,
        by: run.by.clone(),
        started: run.started,
        finished: run.finished,
        flips: run.flips.iter().map(flip_view).collect(),
        drains: drains.iter().map(drain_summary).collect(),
    }
}

fn drain_summary(drain: &DrainRecord) -> DrainSummaryView {
    DrainSummaryView {
        group: drain.group.as_ref().map(ToString::to_string),
        took_ms: took_ms(drain),
        outcome: drain_end(drain.outcome),
        left: drain.left,
    }
}

/// The most runs of an answer.
const MOST_RUNS: usize = 500;
