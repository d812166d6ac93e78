//! The value of `--since`: a time ago, or a point in time.

use std::str::FromStr;

use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use crate::farm::Span;

/// The start of a period.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::cli) enum Since {
    /// This long ago.
    Ago(Span),
    /// At this point in time.
    At(Timestamp),
}

impl Since {
    /// The point in time, relative to `now`.
    pub(in crate::cli) fn before(self, now: Timestamp) -> Timestamp {
        match self {
            Self::At(at) => at,
            Self::Ago(span) => {
                let ago = SignedDuration::try_from(span.duration()).unwrap_or(SignedDuration::MAX);
                now.saturating_sub(ago).unwrap_or(Timestamp::MIN)
            }
        }
    }

    fn read(text: &str, zone: &TimeZone) -> Result<Self, String> {
        if let Ok(span) = text.parse() {
            return Ok(Self::Ago(span));
        }
        if let Ok(at) = text.parse() {
            return Ok(Self::At(at));
        }
        let here = text.parse::<DateTime>().and_then(|time| time.to_zoned(zone.clone()));
        here.map(|time| Self::At(time.timestamp())).map_err(|_| {
            "neither a time ago with its unit, such as 2h or 3d, nor a point in time, such as 2026-11-21 or \
             '2026-11-21 14:00'"
                .to_owned()
        })
    }
}

impl FromStr for Since {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::read(text, &TimeZone::system())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_ago_and_points_in_time_are_read() {
        let now: Timestamp = "2026-11-21T12:00:00Z".parse().unwrap();
        let zone = TimeZone::fixed(jiff::tz::offset(1));
        for (text, at) in [
            ("2h", "2026-11-21T10:00:00Z"),
            ("1h 30m", "2026-11-21T10:30:00Z"),
            ("2026-11-21T09:30:00Z", "2026-11-21T09:30:00Z"),
            ("2026-11-21T09:30:00+02:00", "2026-11-21T07:30:00Z"),
            ("2026-11-21", "2026-11-20T23:00:00Z"),
            ("2026-11-21 14:00", "2026-11-21T13:00:00Z"),
        ] {
            assert_eq!(
                Since::read(text, &zone).map(|since| since.before(now).to_string()),
                Ok(at.to_owned()),
                "{text}"
            );
        }
        for text in ["", "2", "yesterday", "14:61", "2026-13-01"] {
            assert!(Since::read(text, &zone).is_err(), "{text}");
        }
    }
}
