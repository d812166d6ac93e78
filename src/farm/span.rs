//! A length of time in the operator's notation: `30s`, `5m`, `2h 30m`, `3d`, `1w`. A day has 24 hours. A number without
//! a unit is refused: HAProxy takes such a number for milliseconds, and most other tools take it for seconds.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use jiff::{SignedDuration, SpanRelativeTo, Timestamp};
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// A length of time, from zero to a year.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Span(Duration);

/// The error for a text that is not a length of time.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error(
    "{0:?} is not a length of time: give a number with its unit, such as 200ms, 30s, 5m, 2h, 3d or 1w, a year at most"
)]
pub struct SpanError(String);

impl Span {
    /// Whether the length is zero.
    pub const fn is_zero(self) -> bool {
        self.0.is_zero()
    }

    /// A span of whole milliseconds.
    pub const fn from_millis(millis: u64) -> Self {
        Self(Duration::from_millis(millis))
    }

    /// A span of whole seconds.
    pub const fn from_secs(secs: u64) -> Self {
        Self(Duration::from_secs(secs))
    }

    /// The length as the standard library's type.
    pub const fn duration(self) -> Duration {
        self.0
    }

    /// The time that is later than `at` by this length; [`Timestamp::MAX`] at most.
    pub fn after(self, at: Timestamp) -> Timestamp {
        at.saturating_add(self.signed()).unwrap_or(Timestamp::MAX)
    }

    /// The length multiplied by a number.
    pub const fn times(self, times: u32) -> Self {
        Self(self.0.saturating_mul(times))
    }

    /// The sum of both lengths.
    #[must_use]
    pub const fn plus(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }

    fn signed(self) -> SignedDuration {
        SignedDuration::try_from(self.0).unwrap_or(SignedDuration::MAX)
    }
}

impl From<Duration> for Span {
    fn from(duration: Duration) -> Self {
        Self(duration)
    }
}

impl FromStr for Span {
    type Err = SpanError;

    fn from_str(text: &str) -> Result<Self, SpanError> {
        let error = || SpanError(text.chars().take(40).collect());
        let span: jiff::Span = text.trim().parse().map_err(|_| error())?;
        // Months and years have no fixed length: they are refused here.
        let signed = span.to_duration(SpanRelativeTo::days_are_24_hours()).map_err(|_| error())?;
        let duration = Duration::try_from(signed).map_err(|_| error())?;
        if duration > LONGEST { Err(error()) } else { Ok(Self(duration)) }
    }
}

impl TryFrom<String> for Span {
    type Error = SpanError;

    fn try_from(text: String) -> Result<Self, SpanError> {
        text.parse()
    }
}

impl From<Span> for String {
    fn from(span: Span) -> String {
        span.to_string()
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{:#}", self.signed()))
    }
}

/// The greatest length: a leap year.
const LONGEST: Duration = Duration::from_secs(366 * 24 * 3600);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_unit_is_required() {
        for (text, millis) in [
            ("200ms", 200),
            ("30s", 30_000),
            ("5m", 300_000),
            ("2h", 7_200_000),
            ("1h 30m", 5_400_000),
            ("2d", 172_800_000),
            ("1d 1h", 90_000_000),
            ("1w", 604_800_000),
        ] {
            assert_eq!(text.parse::<Span>().unwrap(), Span::from_millis(millis), "{text}");
        }
        for text in ["", "30", "-5s", "-2d", "5 parsecs", "9999999h", "53w", "2mo", "1y", "s", "d"] {
            assert!(text.parse::<Span>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_displayed_span_parses_to_the_same_span() {
        for text in ["30s", "5m", "1h30m", "250ms", "2d", "1w 3d", "36h"] {
            let span: Span = text.parse().unwrap();
            assert_eq!(span.to_string().parse::<Span>().unwrap(), span);
        }
    }
}
