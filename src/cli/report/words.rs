//! Numbers and lengths of time as short texts.

use jiff::SignedDuration;

use crate::cli::clock;

/// A number with its noun.
pub(super) fn counted(number: u64, noun: &str) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}

/// A length of time in milliseconds, to two or three digits.
pub(super) fn length(millis: u64) -> String {
    took(SignedDuration::from_millis(i64::try_from(millis).unwrap_or(i64::MAX)))
}

/// The same for a length of time.
pub(super) fn took(length: SignedDuration) -> String {
    match length.as_millis().max(0) {
        millis @ 0..1000 => format!("{millis}ms"),
        _ => clock::precise(length),
    }
}

/// The measured time of a flip, in milliseconds.
pub(super) fn window(millis: f64) -> String {
    if millis < 1000.0 { format!("{millis:.2}ms") } else { format!("{:.2}s", millis / 1000.0) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_have_a_unit_and_few_digits() {
        let texts = [0, 47, 2450, 10_000, 76_000].map(length);
        assert_eq!(texts, ["0ms", "47ms", "2.4s", "10s", "1m 16s"]);
        assert_eq!([0.476, 1500.0].map(window), ["0.48ms", "1.50s"]);
        assert_eq!([1, 2].map(|number| counted(number, "run")), ["1 run", "2 runs"]);
    }
}
