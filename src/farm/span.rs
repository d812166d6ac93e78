//! A length of time as people write it: `30s`, `5m`, `2h 30m`. A number without a unit is refused, because
//! HAProxy would take it for milliseconds and most other tools for seconds.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// A length of time, not negative, at most a year.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Span(Duration);

/// A text that is no length of time.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{0:?} is not a length of time: give a number with its unit, such as 200ms, 30s, 5m or 2h")]
pub struct SpanError(String);

impl Span {
    /// Whether it is none at all.
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

    /// As the standard library's type.
    pub const fn duration(self) -> Duration {
        self.0
    }

    /// The time that lies this much after `at`; the end of time where that would be later.
    pub fn after(self, at: Timestamp) -> Timestamp {
        at.saturating_add(self.signed()).unwrap_or(Timestamp::MAX)
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
        let signed: SignedDuration = text.trim().parse().map_err(|_| error())?;
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

const LONGEST: Duration = Duration::from_secs(366 * 24 * 3600);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_unit_is_required() {
        for (text, millis) in
            [("200ms", 200), ("30s", 30_000), ("5m", 300_000), ("2h", 7_200_000), ("1h 30m", 5_400_000)]
        {
            assert_eq!(text.parse::<Span>().unwrap(), Span::from_millis(millis), "{text}");
        }
        for text in ["", "30", "-5s", "5 parsecs", "9999999h", "s"] {
            assert!(text.parse::<Span>().is_err(), "{text:?}");
        }
    }

    #[test]
    fn what_is_shown_can_be_read_again() {
        for text in ["30s", "5m", "1h30m", "250ms"] {
            let span: Span = text.parse().unwrap();
            assert_eq!(span.to_string().parse::<Span>().unwrap(), span);
        }
    }
}
