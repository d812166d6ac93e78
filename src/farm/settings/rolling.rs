//! What the configuration says about rolling through a farm batch by batch.

use std::fmt;
use std::str::FromStr;

use serde::Deserialize;

use crate::farm::settings::CountText;
use crate::farm::span::Span;

/// `[farm.NAME.rolling]`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RollingSettings {
    /// How many members go out together.
    pub batch: BatchSize,
    /// How long a server may come to rest after the work, before it is asked.
    pub settle: Span,
    /// Servers that may fail and stay out before the run stands still.
    pub max_failed: usize,
    /// Whether servers are asked for their status (`verify.http`, or `/_status`) before they go out and at the end.
    pub status: bool,
}

impl Default for RollingSettings {
    fn default() -> Self {
        Self { batch: BatchSize::Count(1), settle: Span::from_secs(60), max_failed: 0, status: true }
    }
}

/// How many members go out together: a number, or a share of the farm, rounded down.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "CountText")]
pub enum BatchSize {
    /// Percent of the farm.
    Percent(u8),
    /// Members.
    Count(usize),
}

impl BatchSize {
    /// The number of members, of a farm of `members`: at least one.
    pub fn of(self, members: usize) -> usize {
        match self {
            Self::Percent(percent) => (members * usize::from(percent) / 100).max(1),
            Self::Count(count) => count,
        }
    }
}

impl FromStr for BatchSize {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let error = || format!("{text:?} is neither a number of members, from 1, nor a share from \"1%\" to \"100%\"");
        let batch = match text.strip_suffix('%') {
            Some(percent) => percent.parse().ok().filter(|percent| (1..=100).contains(percent)).map(Self::Percent),
            None => text.parse().ok().filter(|count| *count > 0).map(Self::Count),
        };
        batch.ok_or_else(error)
    }
}

impl TryFrom<CountText> for BatchSize {
    type Error = String;

    fn try_from(text: CountText) -> Result<Self, String> {
        text.text().parse()
    }
}

impl fmt::Display for BatchSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Percent(percent) => write!(f, "{percent}%"),
            Self::Count(count) => write!(f, "{count}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_is_somebody_and_not_more_than_all() {
        for (text, of_seven) in [("1", 1), ("3", 3), ("25%", 1), ("50%", 3), ("100%", 7), ("1%", 1)] {
            assert_eq!(text.parse::<BatchSize>().unwrap().of(7), of_seven, "{text}");
        }
        for text in ["0", "0%", "150%", "-1", "", "%", "half", "1.5"] {
            assert!(text.parse::<BatchSize>().unwrap_err().contains("neither a number"), "{text}");
        }
    }
}
