//! The settings of a bake: how long teeter watches a side after a flip, and how much worse it may become.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::farm::span::Span;

/// `[farm.NAME.bake]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BakeSettings {
    /// How long to watch.
    #[serde(rename = "for")]
    pub takes: Span,
    /// How much the share of 5xx answers may rise above the share before the flip; not compared where unset.
    #[serde(default)]
    pub max_5xx: Option<Share>,
    /// How much the share of failed connections and broken answers may rise; not compared where unset.
    #[serde(default)]
    pub max_errors: Option<Share>,
    /// How long the average answer may take, as a share of the average before; not compared where unset.
    #[serde(default)]
    pub max_time: Option<Share>,
    /// Requests without which a side is never found no worse.
    #[serde(default = "enough")]
    pub min_requests: u64,
    /// The chance of a false rollback over a whole watch, however often it is looked at.
    #[serde(default = "one_percent")]
    pub alpha: Share,
    /// What follows when the watch ends without a verdict; unset: a canary pauses, any other run goes on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_inconclusive: Option<OnInconclusive>,
}

/// What follows when a watch ends without a verdict.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnInconclusive {
    /// Watch on until there is a verdict, for ten times as long at most; then pause.
    Wait,
    /// Watch on until an operator lets the run go on or rolls it back.
    Pause,
    /// Go on.
    Proceed,
    /// Roll back.
    Rollback,
}

fn enough() -> u64 {
    100
}

fn one_percent() -> Share {
    Share(100)
}

impl BakeSettings {
    /// A bake that only lets time pass.
    pub fn without_comparison(takes: Span) -> Self {
        Self {
            takes,
            max_5xx: None,
            max_errors: None,
            max_time: None,
            min_requests: enough(),
            alpha: one_percent(),
            on_inconclusive: None,
        }
    }

    /// Whether nothing is compared.
    pub fn compares_nothing(&self) -> bool {
        self.max_5xx.is_none() && self.max_errors.is_none() && self.max_time.is_none()
    }

    /// Checks what can be known without HAProxy.
    ///
    /// # Errors
    /// A setting contradicts another one or has no effect.
    pub fn check(&self) -> Result<(), String> {
        if self.takes == Span::default() {
            return Err("`for` is zero: give the time to watch".to_owned());
        }
        if self.compares_nothing() {
            return Err("compares nothing: give max_5xx, max_errors or max_time".to_owned());
        }
        if self.alpha == Share(0) || self.alpha >= Share(5_000) {
            return Err(format!(
                "alpha {} is no chance of a false rollback: give more than 0% and less than 50%, such as \"1%\"",
                self.alpha
            ));
        }
        match self.max_time {
            Some(share) if share < Share::ALL => {
                Err(format!("max_time {share} is less than answers took before: 200% is twice as long"))
            }
            _ => Ok(()),
        }
    }
}

/// A share in hundredths of a percent. It may be more than 100%.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Share(u32);

impl Share {
    /// 100%.
    pub const ALL: Self = Self(10_000);

    /// The share that a part has of a whole. The share of an empty whole is zero.
    pub fn of(part: u64, whole: u64) -> Self {
        if whole == 0 {
            return Self(0);
        }
        let share = u128::from(part) * 10_000 / u128::from(whole);
        Self(u32::try_from(share).unwrap_or(u32::MAX))
    }

    /// The share as a part of one: 0.01 for 1%.
    pub fn as_part(self) -> f64 {
        f64::from(self.0) / 10_000.0
    }

    /// The sum of two shares.
    pub fn plus(self, more: Self) -> Self {
        Self(self.0.saturating_add(more.0))
    }

    /// This share of a number, rounded down.
    pub fn times(self, number: u64) -> u64 {
        u64::try_from(u128::from(number) * u128::from(self.0) / 10_000).unwrap_or(u64::MAX)
    }
}

impl FromStr for Share {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let error = || format!("{text:?} is not a share such as \"1%\", \"0.5%\" or \"200%\"");
        let number = text.strip_suffix('%').ok_or_else(error)?;
        let (whole, part) = number.split_once('.').unwrap_or((number, ""));
        let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        if whole.is_empty() || whole.len() > 5 || part.len() > 2 || !digits(whole) || !digits(part) {
            return Err(error());
        }
        format!("{whole}{part:0<2}").parse().map(Self).map_err(|_| error())
    }
}

impl TryFrom<String> for Share {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<Share> for String {
    fn from(share: Share) -> String {
        share.to_string()
    }
}

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = format!("{}.{:02}", self.0 / 100, self.0 % 100);
        let short = text.trim_end_matches('0').trim_end_matches('.');
        f.pad(&format!("{short}%"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_exact() {
        for (text, shown) in [("1%", "1%"), ("0.5%", "0.5%"), ("0.05%", "0.05%"), ("200%", "200%"), ("1.50%", "1.5%")] {
            assert_eq!(text.parse::<Share>().unwrap().to_string(), shown);
        }
        for text in ["1", "%", "-1%", "1.234%", "x%", "1e3%", ".5%", "999999%"] {
            assert!(text.parse::<Share>().is_err(), "{text}");
        }
        assert_eq!(Share::of(1, 3).to_string(), "33.33%");
        assert_eq!(Share::of(1, 0).to_string(), "0%");
    }
}
