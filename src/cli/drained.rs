//! Drains that have ended, as lines of text.

use jiff::SignedDuration;

use super::clock;
use super::live::{Marks, curve};
use crate::api::{DrainEnd, DrainView};

/// A drain as one line: its length, what was in flight at first, how it ended, and a curve.
pub(super) fn line(drain: &DrainView, marks: Marks) -> String {
    let group = drain.group.clone().unwrap_or_else(|| drain.servers.join(" "));
    let took = clock::precise(SignedDuration::from_millis(i64::try_from(drain.took_ms).unwrap_or(i64::MAX)));
    let first = drain.in_flight.first().map_or(0, |(_, in_flight)| *in_flight);
    let end = match &drain.outcome {
        DrainEnd::Empty => String::new(),
        outcome => format!(", {outcome} at the deadline with {}", drain.left),
    };
    let curve = curve(&evenly(drain), marks);
    format!("drained {group}: {took}, {first} in flight at first{end}  {curve}").trim_end().to_owned()
}

/// What was in flight, at [`COLUMNS`] moments with the same distance.
fn evenly(drain: &DrainView) -> Vec<u64> {
    let Some((last, _)) = drain.in_flight.last() else { return Vec::new() };
    let at = |column: u64| {
        let moment = last * column / (COLUMNS - 1);
        let before = drain.in_flight.iter().rev().find(|(millis, _)| *millis <= moment);
        before.or(drain.in_flight.first()).map_or(0, |(_, in_flight)| *in_flight)
    };
    (0..COLUMNS).map(at).collect()
}

/// The width of a curve.
const COLUMNS: u64 = 24;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_drain_is_one_line_with_its_curve() {
        let drain = DrainView {
            group: Some("a".to_owned()),
            servers: vec!["web01".to_owned()],
            began: jiff::Timestamp::UNIX_EPOCH,
            took_ms: 23_400,
            outcome: DrainEnd::Empty,
            left: 0,
            in_flight: vec![(0, 8), (11_500, 4), (23_000, 0)],
        };
        let marks = Marks::for_locale(|_| Some("C.UTF-8".to_owned()));
        assert_eq!(line(&drain, marks), "drained a: 23s, 8 in flight at first  ████████████▅▅▅▅▅▅▅▅▅▅▅▁");
        let stuck = DrainView { outcome: DrainEnd::Stuck, left: 3, in_flight: vec![(0, 3)], ..drain };
        assert_eq!(
            line(&stuck, marks),
            "drained a: 23s, 3 in flight at first, stuck at the deadline with 3  ████████████████████████"
        );
    }
}
