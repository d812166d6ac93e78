//! `[retention]`: which records the store keeps, and for how long.

use std::fmt;

use jiff::{SignedDuration, Timestamp};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};

use crate::engine::Retention;
use crate::store::Keep;

/// `[retention]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RetentionSettings {
    /// How long ended runs are kept, with their events.
    pub runs: Age,
    /// How long events are kept.
    pub events: Age,
    /// How long hook output is kept.
    pub hook_output: Age,
    /// The greatest size of all records.
    pub size: Size,
}

impl Default for RetentionSettings {
    fn default() -> Self {
        Self { runs: Age(Some(400)), events: Age(Some(400)), hook_output: Age(Some(90)), size: Size(Some(2 << 30)) }
    }
}

impl Retention for RetentionSettings {
    fn at(&self, now: Timestamp) -> Keep {
        Keep {
            runs: self.runs.before(now),
            events: self.events.before(now),
            hook_output: self.hook_output.before(now),
            points: POINTS.before(now),
            size: self.size.0.unwrap_or(u64::MAX),
        }
    }
}

/// How long all points of a drain or a watch are kept.
const POINTS: Age = Age(Some(90));

impl RetentionSettings {
    /// Finds a setting that contradicts another one: its key and the problem.
    pub(super) fn problem(&self) -> Option<(&'static str, String)> {
        let days = |age: Age| age.0.unwrap_or(u32::MAX);
        let longer = days(self.hook_output) > days(self.events);
        longer.then(|| {
            let (output, events) = (self.hook_output, self.events);
            (
                "hook_output",
                format!("hook output is a kind of event, and events are kept for {events}, not for {output}"),
            )
        })
    }
}

impl fmt::Display for RetentionSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { runs, events, hook_output, size } = self;
        write!(f, "runs = \"{runs}\", events = \"{events}\", hook_output = \"{hook_output}\", size = \"{size}\"")
    }
}

/// An age in days; `None`: without limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Age(Option<u32>);

impl Age {
    fn before(self, now: Timestamp) -> Timestamp {
        let days = self.0.map(|days| SignedDuration::from_hours(24 * i64::from(days)));
        days.map_or(Timestamp::MIN, |days| now.saturating_sub(days).unwrap_or(Timestamp::MIN))
    }
}

impl<'de> Deserialize<'de> for Age {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let days = number(&text, &[("d", 1), ("w", 7), ("y", 365)]).filter(|days| (1..=36_500).contains(days));
        match (text.as_str(), days) {
            ("forever", _) => Ok(Self(None)),
            (_, Some(days)) => Ok(Self(u32::try_from(days).ok())),
            _ => Err(D::Error::custom(format!(
                "{text:?} is neither a number of days, weeks or years, such as \"90d\", \"8w\" or \"2y\", nor \
                 \"forever\""
            ))),
        }
    }
}

impl fmt::Display for Age {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(days) => write!(f, "{days}d"),
            None => f.write_str("forever"),
        }
    }
}

/// A size in bytes; `None`: without limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size(Option<u64>);

impl<'de> Deserialize<'de> for Size {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let bytes = number(&text, &[("MiB", 1 << 20), ("GiB", 1 << 30)]).filter(|bytes| *bytes >= LEAST);
        match (text.as_str(), bytes) {
            ("unlimited", _) => Ok(Self(None)),
            (_, Some(bytes)) => Ok(Self(Some(bytes))),
            _ => Err(D::Error::custom(format!(
                "{text:?} is neither a size of 16MiB at least, such as \"500MiB\" or \"2GiB\", nor \"unlimited\""
            ))),
        }
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(bytes) => write!(f, "{}MiB", bytes >> 20),
            None => f.write_str("unlimited"),
        }
    }
}

/// Parses a whole number with one of these units, each with its factor.
fn number(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let (digits, factor) =
        units.iter().find_map(|(unit, factor)| Some((text.strip_suffix(unit)?.trim_end(), *factor)))?;
    if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    digits.parse::<u64>().ok()?.checked_mul(factor)
}

/// The least size, in bytes: a smaller store would lose events of the last minutes.
const LEAST: u64 = 16 << 20;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use std::path::Path;

    fn read(lines: &str) -> Result<RetentionSettings, String> {
        let text = format!("[retention]\n{lines}\n");
        let config = Config::from_text(&text, Path::new("t.toml"), std::iter::empty());
        config.map(|config| config.retention).map_err(|error| error.to_string())
    }

    #[test]
    fn the_defaults_keep_a_year_of_a_busy_site() {
        let keep = read("").unwrap().at("2026-11-26T00:00:00Z".parse().unwrap());
        assert_eq!(keep.runs.to_string(), "2025-10-22T00:00:00Z");
        assert_eq!((keep.events, keep.size), (keep.runs, 2 << 30));
        assert_eq!(keep.hook_output.to_string(), "2026-08-28T00:00:00Z");
        let all = "runs = \"forever\"\nevents = \"forever\"\nhook_output = \"10y\"\nsize = \"unlimited\"";
        let all = read(all).unwrap();
        let keep = all.at(Timestamp::UNIX_EPOCH);
        assert_eq!((keep.runs, keep.events, keep.size), (Timestamp::MIN, Timestamp::MIN, u64::MAX));
        assert_eq!(
            all.to_string(),
            "runs = \"forever\", events = \"forever\", hook_output = \"3650d\", size = \"unlimited\""
        );
        assert!(read("size = \"16MiB\"\nhook_output = \"2w\"").is_ok());
    }

    #[test]
    fn impossible_retention_is_refused_with_its_place() {
        for (line, problem) in [
            ("runs = \"0d\"", "neither a number of days"),
            ("runs = \"5\"", "\"5\" is neither"),
            ("runs = \"1h\"", "\"1h\" is neither"),
            ("events = \"200y\"", "\"200y\" is neither"),
            ("events = \"-3d\"", "\"-3d\" is neither"),
            ("size = \"1MiB\"", "16MiB at least"),
            ("size = \"2GB\"", "such as \"500MiB\""),
            ("size = \"99999999999GiB\"", "16MiB at least"),
            ("hooks = \"3d\"", "unknown field `hooks`"),
            ("hook_output = \"2y\"", "events are kept for 400d, not for 730d"),
        ] {
            let error = read(line).unwrap_err();
            assert!(error.starts_with("t.toml:2:") && error.contains(problem), "{line}: {error}");
        }
    }
}
