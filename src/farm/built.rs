//! The time at which a version was built, as servers report it.

use std::fmt;

use jiff::Timestamp;
use jiff::fmt::rfc2822;

/// A time of a build: RFC 3339, the format of HTTP headers, or seconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BuiltAt(Timestamp);

impl BuiltAt {
    /// Parses the text of a server; `None` where the text is not a time.
    pub fn read(text: &str) -> Option<Self> {
        let seconds = || {
            let (whole, rest) = text.split_once('.').unwrap_or((text, "0"));
            let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
            let nanos = format!("{rest:0<9}").get(..9)?.parse().ok();
            Timestamp::new(whole.parse().ok()?, nanos.filter(|_| digits(whole) && digits(rest))?).ok()
        };
        let http = || rfc2822::parse(text).ok().map(|time| time.timestamp());
        text.parse().ok().or_else(seconds).or_else(http).map(Self)
    }

    /// Whether the build is older than `begun`. Many servers report whole seconds: a whole second is not older than a
    /// fraction of the same second.
    pub fn is_before(self, begun: Timestamp) -> bool {
        match self.0.subsec_nanosecond() {
            0 => self.0.as_second() < begun.as_second(),
            _ => self.0 < begun,
        }
    }
}

impl fmt::Display for BuiltAt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_format_of_a_build_time_is_parsed() {
        for text in [
            "2026-11-21T07:30:00Z",
            "2026-11-21T08:30:00+01:00",
            "Sat, 21 Nov 2026 07:30:00 GMT",
            "1795246200",
            "1795246200.000",
        ] {
            let built = BuiltAt::read(text).map(|built| built.to_string());
            assert_eq!(built.as_deref(), Some("2026-11-21T07:30:00Z"), "{text}");
        }
        for text in ["", "today", "2026-11-21", "-1", "17.", "1795246200000000", "1795246200.1.2", ".5"] {
            assert_eq!(BuiltAt::read(text), None, "{text}");
        }
    }

    #[test]
    fn a_whole_second_is_not_older_than_its_fractions() {
        let begun = "2026-11-21T07:30:00.7Z".parse().unwrap();
        let is_before = |text| BuiltAt::read(text).unwrap().is_before(begun);
        assert!(is_before("2026-11-21T07:29:59Z") && is_before("2026-11-21T07:30:00.6Z"));
        assert!(!is_before("2026-11-21T07:30:00Z") && !is_before("1795246200.8"));
    }
}
