//! Documents for the tests of pages.

use jiff::{SignedDuration, Timestamp};

use crate::api::{DrainEnd, DrainSummaryView, FarmRuns, FlipMeans, FlipView, RunStatus, RunStrategy, RunSummaryView};

/// A document of the interface, as clients get it.
pub(super) fn document<T: serde::de::DeserializeOwned>(name: &str) -> T {
    let text = std::fs::read_to_string(format!("tests/api-documents/{name}.json")).unwrap();
    serde_json::from_str(&text).unwrap()
}

/// Runs of all strategies, with all ends.
pub(super) fn many_runs(count: u32) -> FarmRuns {
    let start: Timestamp = "2026-11-01T08:00:00Z".parse().unwrap();
    let strategies = [RunStrategy::SeeSaw, RunStrategy::Rolling, RunStrategy::BlueGreen, RunStrategy::Flip];
    let states = [RunStatus::Done, RunStatus::Done, RunStatus::RolledBack, RunStatus::Aborted, RunStatus::Failed];
    let run = |index: u32| {
        let state = states[index as usize % 7 % 5].clone();
        let started = start.checked_add(SignedDuration::from_hours(i64::from(index) * 9)).unwrap();
        let ended = started.checked_add(SignedDuration::from_secs(i64::from(40 + index * 7))).unwrap();
        let drain = |part: u32| DrainSummaryView {
            group: Some("a".to_owned()),
            took_ms: u64::from((index * 311 + part * 97) % 9000),
            outcome: if state == RunStatus::Failed { DrainEnd::Stuck } else { DrainEnd::Empty },
            left: 0,
        };
        RunSummaryView {
            id: u64::from(index) + 1,
            strategy: strategies[index as usize % 4].clone(),
            version: Some(format!("v{index}")),
            why: (state == RunStatus::Failed).then(|| "the work on group a failed: exit code 1".to_owned()),
            finished: Some(ended).filter(|_| state != RunStatus::Failed),
            state: state.clone(),
            failure: None,
            by: "alice".to_owned(),
            started,
            flips: vec![FlipView { step: 4, at: started, took_ms: 0.4, mode: FlipMeans::Route }],
            drains: (0..2).map(drain).collect(),
        }
    };
    FarmRuns { farm: "web".to_owned(), since: Some(start), runs: (0..count).rev().map(run).collect(), more: false }
}
