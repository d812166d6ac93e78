//! Points over time, in a bounded number.

use jiff::Timestamp;

/// A point of a series.
pub(super) trait Point {
    /// Milliseconds since the beginning of the series.
    fn ms(&self) -> u64;

    /// Moves the point to another time.
    fn move_to(&mut self, ms: u64);

    /// Whether both have the same values, at whatever time.
    fn repeats(&self, other: &Self) -> bool;
}

/// Adds a point. If the clock was set back, it counts as taken at the time of the last one. A point that repeats the two
/// before it moves the last of them.
pub(super) fn add<P: Point>(points: &mut Vec<P>, mut point: P) {
    point.move_to(points.last().map_or(point.ms(), |last| last.ms().max(point.ms())));
    if let [.., earlier, last] = points.as_mut_slice()
        && point.repeats(earlier)
        && point.repeats(last)
    {
        last.move_to(point.ms());
        return;
    }
    points.push(point);
    if points.len() > MOST_POINTS {
        thin_out(points);
    }
}

/// Drops the inner point whose neighbours are closest in time: the others are spread as evenly as before.
fn thin_out<P: Point>(points: &mut Vec<P>) {
    let gap = |index: &usize| match points.get(index - 1..=index + 1) {
        Some([before, _, after]) => after.ms().saturating_sub(before.ms()),
        _ => u64::MAX,
    };
    if let Some(index) = (1..points.len().saturating_sub(1)).min_by_key(gap) {
        points.remove(index);
    }
}

/// Milliseconds between two times; 0 if the clock was set back.
pub fn millis_between(since: Timestamp, at: Timestamp) -> u64 {
    u64::try_from(at.duration_since(since).as_millis()).unwrap_or(0)
}

/// The most points of a series.
pub(super) const MOST_POINTS: usize = 32;
