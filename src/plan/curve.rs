//! What was in flight during a drain, over time, in a bounded number of points.

use serde::{Deserialize, Serialize};

/// Samples over time. Of many samples, points at even distances are kept.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Curve {
    /// Milliseconds since the beginning, and the number of requests in flight; in order of time.
    points: Vec<(u64, u64)>,
}

impl Curve {
    /// Adds a sample. If the clock was set back, it counts as taken at the time of the last one. A sample that repeats the
    /// two before it moves the last of them.
    pub fn add(&mut self, millis: u64, in_flight: u64) {
        let millis = self.points.last().map_or(millis, |(last, _)| millis.max(*last));
        if let [.., (_, earlier), (at, last)] = self.points.as_mut_slice()
            && *earlier == in_flight
            && *last == in_flight
        {
            *at = millis;
            return;
        }
        self.points.push((millis, in_flight));
        if self.points.len() > MOST_POINTS {
            thin_out(&mut self.points, |(at, _)| *at);
        }
    }

    /// The points: milliseconds since the beginning, and the number of requests in flight.
    pub fn points(&self) -> &[(u64, u64)] {
        &self.points
    }
}

/// Drops the inner point whose neighbours are closest in time: the others are spread as evenly as before.
pub(super) fn thin_out<P>(points: &mut Vec<P>, at: impl Fn(&P) -> u64) {
    let gap = |index: &usize| match points.get(index - 1..=index + 1) {
        Some([before, _, after]) => at(after).saturating_sub(at(before)),
        _ => u64::MAX,
    };
    if let Some(index) = (1..points.len().saturating_sub(1)).min_by_key(gap) {
        points.remove(index);
    }
}

/// The most points of a curve.
const MOST_POINTS: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;

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
