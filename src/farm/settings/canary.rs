//! The settings of a canary: a share of the traffic tries one group first.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::farm::names::GroupName;
use crate::farm::span::Span;

/// `[farm.NAME.canary]`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CanarySettings {
    /// The group that is worked on first and gets the share; the first group by name where unset.
    pub group: Option<GroupName>,
    /// The rising shares that the group gets before it gets all traffic.
    pub steps: Steps,
    /// How long each share lasts.
    pub pause: Span,
}

impl Default for CanarySettings {
    fn default() -> Self {
        Self { group: None, steps: Steps(vec![Percent(5), Percent(25)]), pause: Span::from_secs(300) }
    }
}

/// A share of the traffic, from 1 to 99 percent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Percent(u8);

impl Percent {
    /// The number of percent.
    pub fn get(self) -> u8 {
        self.0
    }

    /// The percentage as a part of one: 0.05 for 5%.
    pub fn as_part(self) -> f64 {
        f64::from(self.0) / 100.0
    }
}

impl fmt::Display for Percent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{}%", self.0))
    }
}

/// Rising shares of the traffic. 100% always follows as the last step, also when the text leaves it out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "StepsText", into = "String")]
pub struct Steps(Vec<Percent>);

#[derive(Deserialize)]
#[serde(untagged)]
enum StepsText {
    List(Vec<String>),
    Text(String),
}

impl Steps {
    /// The shares below 100%, in their order.
    pub fn shares(&self) -> &[Percent] {
        &self.0
    }

    fn from_texts<'a>(texts: impl Iterator<Item = &'a str>) -> Result<Self, String> {
        let mut steps: Vec<Percent> = Vec::new();
        let mut has_all = false;
        for text in texts.map(str::trim) {
            let number = text.strip_suffix('%').and_then(|number| number.parse().ok());
            let number: u8 = number
                .filter(|number| (1..=100).contains(number))
                .ok_or_else(|| format!("{text:?} is not a share from \"1%\" to \"100%\""))?;
            if has_all || steps.last().is_some_and(|last| last.0 >= number) {
                return Err(format!("{text} does not come after a smaller share: steps rise, as in 5%,25%,100%"));
            }
            if number == 100 {
                has_all = true;
            } else {
                steps.push(Percent(number));
            }
        }
        if steps.is_empty() {
            return Err("the steps have no share below 100%: give steps such as 5%,25%,100%".to_owned());
        }
        Ok(Self(steps))
    }
}

impl FromStr for Steps {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::from_texts(text.split(','))
    }
}

impl TryFrom<StepsText> for Steps {
    type Error = String;

    fn try_from(text: StepsText) -> Result<Self, String> {
        match text {
            StepsText::List(list) => Self::from_texts(list.iter().map(String::as_str)),
            StepsText::Text(text) => text.parse(),
        }
    }
}

impl From<Steps> for String {
    fn from(steps: Steps) -> Self {
        steps.to_string()
    }
}

impl fmt::Display for Steps {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|share| write!(f, "{share},"))?;
        f.write_str("100%")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_rise() {
        assert_eq!("5%,25%,100%".parse::<Steps>().unwrap().to_string(), "5%,25%,100%");
        assert_eq!("5%".parse::<Steps>().unwrap().to_string(), "5%,100%");
        for text in ["", "0%", "101%", "25%,5%", "5%,5%", "100%", "100%,5%", "5", "x%", "5%,,25%"] {
            assert!(text.parse::<Steps>().is_err(), "{text}");
        }
    }
}
