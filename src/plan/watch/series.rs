//! What both sides of a watch had counted over time, in a bounded number of points.

use serde::{Deserialize, Serialize};

use super::verdict::Figures;
use crate::farm::Counts;
use crate::plan::points::{self, Point};

/// What both sides had counted, over time.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct WatchSeries {
    points: Vec<WatchPoint>,
}

/// What both sides had counted at one moment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct WatchPoint {
    /// Milliseconds since the watch began.
    pub ms: u64,
    /// The side that is watched.
    pub new: SideCounts,
    /// The other side: before the watch, or over the same time.
    pub old: SideCounts,
}

/// What one side had counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "(u64, u64, u64)", into = "(u64, u64, u64)")]
pub struct SideCounts {
    /// Requests.
    pub requests: u64,
    /// Answers with status 500 to 599.
    pub hrsp_5xx: u64,
    /// Failed connections and broken answers.
    pub errors: u64,
}

impl From<Counts> for SideCounts {
    fn from(counts: Counts) -> Self {
        Self { requests: counts.requests, hrsp_5xx: counts.hrsp_5xx, errors: counts.errors }
    }
}

impl From<SideCounts> for Counts {
    fn from(SideCounts { requests, hrsp_5xx, errors }: SideCounts) -> Self {
        Self { requests, hrsp_5xx, errors, time: 0 }
    }
}

impl From<(u64, u64, u64)> for SideCounts {
    fn from((requests, hrsp_5xx, errors): (u64, u64, u64)) -> Self {
        Self { requests, hrsp_5xx, errors }
    }
}

impl From<SideCounts> for (u64, u64, u64) {
    fn from(side: SideCounts) -> Self {
        (side.requests, side.hrsp_5xx, side.errors)
    }
}

impl WatchSeries {
    /// Adds what was counted until now.
    pub fn add(&mut self, ms: u64, figures: &Figures) {
        let point = WatchPoint { ms, new: figures.new.counts.into(), old: figures.old.counts.into() };
        points::add(&mut self.points, point);
    }

    /// The points, in order of time.
    pub fn points(&self) -> &[WatchPoint] {
        &self.points
    }
}

impl Point for WatchPoint {
    fn ms(&self) -> u64 {
        self.ms
    }

    fn move_to(&mut self, ms: u64) {
        self.ms = ms;
    }

    fn repeats(&self, other: &Self) -> bool {
        (self.new, self.old) == (other.new, other.old)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::points::MOST_POINTS;
    use crate::plan::watch::Counted;

    fn figures(requests: u64) -> Figures {
        let counts = Counts { requests, ..Counts::default() };
        Figures { new: Counted { counts, ..Counted::default() }, ..Figures::default() }
    }

    #[test]
    fn series_is_bounded_and_keeps_its_ends() {
        let mut series = WatchSeries::default();
        (0..5000).for_each(|look| series.add(look * 200, &figures(look)));
        let points = series.points();
        assert_eq!((points.len(), points[0].ms, points[MOST_POINTS - 1].new.requests), (MOST_POINTS, 0, 4999));
        assert!(serde_json::to_string(&series).unwrap().len() < 2000);
    }

    #[test]
    fn looks_without_a_request_take_no_room() {
        let mut series = WatchSeries::default();
        [(0, 0), (200, 0), (400, 0), (600, 5), (300, 6)].into_iter().for_each(|(ms, n)| series.add(ms, &figures(n)));
        assert_eq!(series.points().iter().map(|point| point.ms).collect::<Vec<_>>(), [0, 400, 600, 600]);
    }
}
