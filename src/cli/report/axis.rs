//! Axes of pictures: places in percent, so that a picture fits any width while its texts keep their size.

use std::fmt::{self, Write as _};

use jiff::SignedDuration;

use crate::cli::clock;

/// A place on an axis, or a length along it, in percent of the axis.
#[derive(Debug, Clone, Copy, Default, PartialEq, PartialOrd)]
pub(super) struct Percent(f64);

impl Percent {
    /// The part of a whole; between 0 and 100.
    pub(super) fn of(part: i64, whole: i64) -> Self {
        // Both are lengths of time in milliseconds, or numbers of requests: a float is precise enough to draw them.
        Self((part as f64 / whole.max(1) as f64 * 100.0).clamp(0.0, 100.0))
    }

    /// The length, or one that can be seen if it is shorter.
    pub(super) fn visible(self) -> Self {
        Self(self.0.max(0.15))
    }

    /// The width of this length in a picture on a narrow screen, in CSS pixels.
    pub(super) fn narrow_pixels(self) -> f64 {
        self.0 / 100.0 * NARROW
    }

    /// The distance between two places.
    pub(super) fn distance(self, other: Self) -> Self {
        Self((self.0 - other.0).abs())
    }

    /// The alignment of a text at this place that keeps the text within the picture.
    pub(super) fn anchor(self) -> &'static str {
        match self.0 {
            at if at < 12.0 => "start",
            at if at > 88.0 => "end",
            _ => "middle",
        }
    }
}

impl fmt::Display for Percent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.3}%", self.0)
    }
}

/// The path of a curve through these points, in the units of its box.
pub(super) fn path<Y: fmt::Display>(points: impl IntoIterator<Item = (u64, Y)>) -> String {
    let mut path = String::new();
    for (x, y) in points {
        let command = if path.is_empty() { "M" } else { "L" };
        // Writing to a string cannot fail.
        let _ = write!(path, "{command}{x} {y}");
    }
    path
}

/// A mark on an axis, with its text.
#[derive(Debug, PartialEq)]
pub(super) struct Tick {
    pub(super) at: Percent,
    pub(super) label: String,
    pub(super) anchor: &'static str,
}

/// Marks at round times on an axis that begins at 0 and is `length` milliseconds long; at most [`MOST_TICKS`].
pub(super) fn time_ticks(length: i64) -> Vec<Tick> {
    let length = length.max(1);
    let step = STEPS.into_iter().find(|step| length / step < MOST_TICKS).unwrap_or(length);
    let places = (0..=length / step).map(|count| count * step);
    let tick = |millis: i64| {
        let at = Percent::of(millis, length);
        // A text in the middle of its mark needs room on both sides.
        let anchor = match at.anchor() {
            "start" if millis > 0 => "middle",
            anchor => anchor,
        };
        Tick { at, label: short(millis), anchor }
    };
    places.map(tick).collect()
}

/// A round length of time in milliseconds, as a short text with its unit.
pub(super) fn short(millis: i64) -> String {
    match millis {
        0 => "0".to_owned(),
        1..1000 => format!("{millis}ms"),
        _ if millis % 1000 != 0 => format!("{}.{}s", millis / 1000, millis % 1000 / 100),
        _ => clock::length(SignedDuration::from_millis(millis)),
    }
}

/// Round distances of marks, in milliseconds.
const STEPS: [i64; 31] = [
    1,
    2,
    5,
    10,
    20,
    50,
    100,
    200,
    500, // milliseconds
    1000,
    2000,
    5000,
    10_000,
    15_000,
    30_000, // seconds
    60_000,
    120_000,
    300_000,
    600_000,
    900_000,
    1_800_000, // minutes
    3_600_000,
    7_200_000,
    10_800_000,
    21_600_000,
    43_200_000, // hours
    86_400_000,
    172_800_000,
    432_000_000,
    864_000_000,
    2_592_000_000, // days
];

/// The most marks of an axis: their texts do not touch on a narrow screen.
const MOST_TICKS: i64 = 6;

/// The width of a picture on a narrow screen, in CSS pixels.
const NARROW: f64 = 340.0;

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(length: i64) -> Vec<String> {
        time_ticks(length).into_iter().map(|tick| tick.label).collect()
    }

    #[test]
    fn ticks_are_few_and_round() {
        assert_eq!(labels(47), ["0", "10ms", "20ms", "30ms", "40ms"]);
        assert_eq!(labels(2400), ["0", "500ms", "1s", "1.5s", "2s"]);
        assert_eq!(labels(23_400), ["0", "5s", "10s", "15s", "20s"]);
        assert_eq!(labels(3 * 3_600_000), ["0", "1h", "2h", "3h"]);
        assert_eq!(labels(0), ["0", "1ms"]);
        for length in [1, 999, 61_000, 86_400_000 * 400] {
            assert!(labels(length).len() <= 7, "{length}: {:?}", labels(length));
        }
    }

    #[test]
    fn places_are_percent_and_stay_within_the_picture() {
        assert_eq!(Percent::of(1, 3).to_string(), "33.333%");
        assert_eq!((Percent::of(9, 3), Percent::of(-9, 3)), (Percent(100.0), Percent(0.0)));
        assert_eq!(Percent::of(0, 0), Percent(0.0));
        let anchors: Vec<_> = [1, 50, 99].map(|at| Percent::of(at, 100).anchor()).to_vec();
        assert_eq!(anchors, ["start", "middle", "end"]);
    }
}
