//! A number of members: how many go out together, and how many must stay in service.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A number of members, or a share of the farm.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Count {
    Percent(u8),
    Members(usize),
}

impl Count {
    /// Reads `3` or `50%`; `None` where the text is neither, or a share of more than 100 percent.
    fn read(text: &str) -> Option<Self> {
        match text.strip_suffix('%') {
            Some(percent) => percent.parse().ok().filter(|percent| *percent <= 100).map(Self::Percent),
            None => text.parse().ok().map(Self::Members),
        }
    }

    fn is_zero(self) -> bool {
        matches!(self, Self::Percent(0) | Self::Members(0))
    }
}

impl fmt::Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Percent(percent) => write!(f, "{percent}%"),
            Self::Members(members) => write!(f, "{members}"),
        }
    }
}

/// How many members go out together: a number from 1, or a share of the farm, rounded down.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "NumberOrText", into = "String")]
pub struct BatchSize(Count);

impl BatchSize {
    /// The number of members to take out of a farm of `members`: at least one.
    pub fn members_of(self, members: usize) -> usize {
        match self.0 {
            Count::Percent(percent) => (members * usize::from(percent) / 100).max(1),
            Count::Members(count) => count,
        }
    }
}

impl From<BatchSize> for String {
    fn from(size: BatchSize) -> Self {
        size.to_string()
    }
}

impl Default for BatchSize {
    fn default() -> Self {
        Self(Count::Members(1))
    }
}

impl FromStr for BatchSize {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let error = || format!("{text:?} is neither a number of members, from 1, nor a share from \"1%\" to \"100%\"");
        Count::read(text).filter(|count| !count.is_zero()).map(Self).ok_or_else(error)
    }
}

impl fmt::Display for BatchSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// How many members must stay in service: a number, or a share of the farm, rounded up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "NumberOrText")]
pub struct MinAvailable(Count);

impl MinAvailable {
    /// The number of members that must stay in service, of a farm of `members`.
    pub fn members_of(self, members: usize) -> usize {
        match self.0 {
            Count::Percent(percent) => (members * usize::from(percent)).div_ceil(100),
            Count::Members(count) => count,
        }
    }
}

impl Default for MinAvailable {
    fn default() -> Self {
        Self(Count::Members(1))
    }
}

impl FromStr for MinAvailable {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let error = || format!("{text:?} is neither a number of members nor a share such as \"50%\"");
        Count::read(text).map(Self).ok_or_else(error)
    }
}

impl fmt::Display for MinAvailable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A count as TOML has it: a number, or a text that has a number or a share.
#[derive(Deserialize)]
#[serde(untagged)]
enum NumberOrText {
    Number(usize),
    Text(String),
}

impl NumberOrText {
    fn parse<T: FromStr>(self) -> Result<T, T::Err> {
        match self {
            Self::Number(number) => number.to_string().parse(),
            Self::Text(text) => text.parse(),
        }
    }
}

impl TryFrom<NumberOrText> for BatchSize {
    type Error = String;

    fn try_from(count: NumberOrText) -> Result<Self, String> {
        count.parse()
    }
}

impl TryFrom<NumberOrText> for MinAvailable {
    type Error = String;

    fn try_from(count: NumberOrText) -> Result<Self, String> {
        count.parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_has_at_least_one_member_and_at_most_all() {
        for (text, of_seven) in [("1", 1), ("3", 3), ("25%", 1), ("50%", 3), ("100%", 7), ("1%", 1)] {
            assert_eq!(text.parse::<BatchSize>().unwrap().members_of(7), of_seven, "{text}");
        }
        for text in ["0", "0%", "150%", "-1", "", "%", "half", "1.5"] {
            assert!(text.parse::<BatchSize>().unwrap_err().contains("neither a number"), "{text}");
        }
    }

    #[test]
    fn a_minimum_is_rounded_up() {
        assert_eq!("50%".parse::<MinAvailable>().unwrap().members_of(5), 3);
        assert_eq!("2".parse::<MinAvailable>().unwrap().members_of(5), 2);
        assert!("150%".parse::<MinAvailable>().is_err());
    }
}
