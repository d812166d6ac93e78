//! The command line's only access to the clock, for ages and timelines, and times as text.

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;

/// The current time.
#[allow(clippy::disallowed_methods, reason = "ages are shown against the wall clock; nothing is decided by it")]
pub(super) fn now() -> Timestamp {
    Timestamp::now()
}

/// A mark from which the length of a request is measured.
#[allow(clippy::disallowed_methods, reason = "the length of a request decides only when the next one is sent")]
pub(super) fn mark() -> Instant {
    Instant::now()
}

/// The time since `since` in its two largest units, such as `3m 20s`.
pub(super) fn age(since: Timestamp, now: Timestamp) -> String {
    length(now.duration_since(since))
}

/// A length of time in its two largest units.
pub(super) fn length(duration: SignedDuration) -> String {
    let seconds = duration.as_secs().max(0);
    let pair = |large: i64, of: &str, small: i64, unit: &str| match small {
        0 => format!("{large}{of}"),
        small => format!("{large}{of} {small}{unit}"),
    };
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3600 => pair(seconds / 60, "m", seconds % 60, "s"),
        3600..86_400 => pair(seconds / 3600, "h", seconds % 3600 / 60, "m"),
        _ => pair(seconds / 86_400, "d", seconds % 86_400 / 3600, "h"),
    }
}

/// A length of time, with tenths of a second below ten seconds.
pub(super) fn precise(duration: SignedDuration) -> String {
    match duration.as_millis().max(0) {
        millis @ 0..10_000 => format!("{}.{}s", millis / 1000, millis % 1000 / 100),
        _ => length(duration),
    }
}

/// A number of seconds in its two largest units.
pub(super) fn seconds(seconds: u64) -> String {
    length(SignedDuration::from_secs(i64::try_from(seconds).unwrap_or(i64::MAX)))
}

/// The seconds since `since`, right-aligned, for a timeline.
pub(super) fn elapsed(since: Timestamp, now: Timestamp) -> String {
    let millis = now.duration_since(since).as_millis().max(0);
    format!("{:>6}.{}s", millis / 1000, millis % 1000 / 100)
}

/// A time as local date and time.
pub(super) fn local(at: Timestamp) -> String {
    within(at, &TimeZone::system(), "%Y-%m-%d %H:%M:%S")
}

/// A time in a time zone, formatted as with strftime.
pub(super) fn within(at: Timestamp, zone: &TimeZone, words: &str) -> String {
    at.to_zoned(zone.clone()).strftime(words).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_have_two_units() {
        for (seconds, text) in
            [(-3, "0s"), (59, "59s"), (60, "1m"), (200, "3m 20s"), (3660, "1h 1m"), (90_000, "1d 1h")]
        {
            assert_eq!(length(SignedDuration::from_secs(seconds)), text);
        }
        assert_eq!(elapsed(Timestamp::UNIX_EPOCH, Timestamp::from_millisecond(12_345).unwrap()), "    12.3s");
    }
}
