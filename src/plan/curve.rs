//! What was in flight during a drain, over time, in a bounded number of points.

use serde::{Deserialize, Serialize};

use super::points::{self, Point};

/// Samples over time. Of many samples, points at even distances are kept.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Curve {
    /// Milliseconds since the beginning, and the number of requests in flight; in order of time.
    points: Vec<(u64, u64)>,
}

impl Curve {
    /// Adds a sample.
    pub fn add(&mut self, millis: u64, in_flight: u64) {
        points::add(&mut self.points, (millis, in_flight));
    }

    /// The points: milliseconds since the beginning, and the number of requests in flight.
    pub fn points(&self) -> &[(u64, u64)] {
        &self.points
    }
}

impl Point for (u64, u64) {
    fn ms(&self) -> u64 {
        self.0
    }

    fn move_to(&mut self, ms: u64) {
        self.0 = ms;
    }

    fn repeats(&self, other: &Self) -> bool {
        self.1 == other.1
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::points::MOST_POINTS;

    #[test]
    fn curve_is_bounded_and_keeps_its_ends() {
        let mut curve = Curve::default();
        for at in 0..10_000 {
            curve.add(at * 20, 10_000 - at);
        }
        let points = curve.points();
        assert_eq!(points.len(), MOST_POINTS);
        assert_eq!((points[0], points[MOST_POINTS - 1]), ((0, 10_000), (199_980, 1)));
        let gaps: Vec<u64> = points.windows(2).map(|pair| pair[1].0 - pair[0].0).collect();
        let (least, most) = (gaps.iter().min().unwrap(), gaps.iter().max().unwrap());
        assert!(most / least.max(&1) < 12 * 32, "{gaps:?}");
    }

    #[test]
    fn clock_that_is_set_back_moves_no_point_before_another() {
        let mut curve = Curve::default();
        (0..100).for_each(|sample| curve.add(if sample < 50 { 1000 + sample } else { sample }, sample));
        assert!(curve.points().is_sorted_by_key(|(at, _)| *at), "{curve:?}");
    }

    #[test]
    fn samples_that_repeat_take_no_room() {
        let mut curve = Curve::default();
        [(0, 3), (20, 3), (40, 3), (60, 3), (80, 2), (100, 0), (120, 0)]
            .into_iter()
            .for_each(|(at, n)| curve.add(at, n));
        assert_eq!(curve.points(), [(0, 3), (60, 3), (80, 2), (100, 0), (120, 0)]);
    }
}
