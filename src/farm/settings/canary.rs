//! What the configuration says about trying a share of the traffic first, and how a share becomes weights.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::farm::names::{Entry, GroupName};
use crate::farm::span::Span;

/// `[farm.NAME.canary]`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CanarySettings {
    /// The group that is worked on first, and tried; the first by name where unset.
    pub group: Option<GroupName>,
    /// The shares of the traffic that it gets one after the other, before it gets all.
    pub steps: Steps,
    /// How long each lasts.
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
    /// The number.
    pub fn get(self) -> u8 {
        self.0
    }
}

impl fmt::Display for Percent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{}%", self.0))
    }
}

/// Shares of the traffic that rise. All of it is what follows, whether it is said or not.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "StepsText")]
pub struct Steps(Vec<Percent>);

#[derive(Deserialize)]
#[serde(untagged)]
enum StepsText {
    List(Vec<String>),
    Text(String),
}

impl Steps {
    /// The shares below all of it, in their order.
    pub fn shares(&self) -> &[Percent] {
        &self.0
    }

    fn of<'a>(texts: impl Iterator<Item = &'a str>) -> Result<Self, String> {
        let mut steps: Vec<Percent> = Vec::new();
        let mut whole = false;
        for text in texts.map(str::trim) {
            let number = text.strip_suffix('%').and_then(|number| number.parse().ok());
            let number: u8 = number
                .filter(|number| (1..=100).contains(number))
                .ok_or_else(|| format!("{text:?} is not a share from \"1%\" to \"100%\""))?;
            if whole || steps.last().is_some_and(|last| last.0 >= number) {
                return Err(format!("{text} does not come after a smaller share: steps rise, as in 5%,25%,100%"));
            }
            if number == 100 {
                whole = true;
            } else {
                steps.push(Percent(number));
            }
        }
        if steps.is_empty() {
            return Err("there is no share below 100% to be tried: give steps such as 5%,25%,100%".to_owned());
        }
        Ok(Self(steps))
    }
}

impl FromStr for Steps {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::of(text.split(','))
    }
}

impl TryFrom<StepsText> for Steps {
    type Error = String;

    fn try_from(text: StepsText) -> Result<Self, String> {
        match text {
            StepsText::List(list) => Self::of(list.iter().map(String::as_str)),
            StepsText::Text(text) => text.parse(),
        }
    }
}

impl fmt::Display for Steps {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|share| write!(f, "{share},"))?;
        f.write_str("100%")
    }
}

/// The weights, from 1 to 256, by which servers of one backend share its traffic so that those of the canary together
/// get their percentage. Servers of weight 0 take no part.
pub fn weights(canary: &BTreeMap<Entry, u16>, others: &BTreeMap<Entry, u16>, share: Percent) -> BTreeMap<Entry, u16> {
    let mut weights = BTreeMap::new();
    let backend = |entry: &Entry| (entry.instance.clone(), entry.server.backend.clone());
    let backends: std::collections::BTreeSet<_> = canary.keys().map(backend).collect();
    for name in backends {
        let of = |all: &BTreeMap<Entry, u16>| -> Vec<(Entry, u64)> {
            let here = all.iter().filter(|(entry, weight)| **weight > 0 && backend(entry) == name);
            here.map(|(entry, weight)| (entry.clone(), u64::from(*weight))).collect()
        };
        let (canary, others) = (of(canary), of(others));
        let sum = |all: &[(Entry, u64)]| all.iter().map(|(_, weight)| weight).sum::<u64>();
        let (canary_sum, others_sum, share) = (sum(&canary), sum(&others), u64::from(share.get()));
        if canary_sum == 0 || others_sum == 0 {
            continue;
        }
        // Shares of the whole, in a common unit.
        let scaled: Vec<(Entry, u64)> = canary
            .into_iter()
            .map(|(entry, weight)| (entry, weight * share * others_sum))
            .chain(others.into_iter().map(|(entry, weight)| (entry, weight * (100 - share) * canary_sum)))
            .collect();
        let largest = scaled.iter().map(|(_, weight)| *weight).max().unwrap_or(1).max(1);
        let fitted = scaled.into_iter().map(|(entry, weight)| {
            let weight = ((weight * 256 + largest / 2) / largest).clamp(1, 256);
            (entry, u16::try_from(weight).unwrap_or(256))
        });
        weights.extend(fitted);
    }
    weights
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn steps_rise() {
        assert_eq!("5%,25%,100%".parse::<Steps>().unwrap().to_string(), "5%,25%,100%");
        assert_eq!("5%".parse::<Steps>().unwrap().to_string(), "5%,100%");
        for text in ["", "0%", "101%", "25%,5%", "5%,5%", "100%", "100%,5%", "5", "x%", "5%,,25%"] {
            assert!(text.parse::<Steps>().is_err(), "{text}");
        }
    }

    proptest! {
        /// As close to the wanted share as whole weights up to 256 allow.
        #[test]
        fn weights_make_the_share(
            canary in proptest::collection::vec(1u16..257, 1..4),
            others in proptest::collection::vec(1u16..257, 1..4),
            share in 1u8..100,
        ) {
            let entries = |prefix: &str, weights: &[u16]| -> BTreeMap<Entry, u16> {
                let named = weights.iter().enumerate();
                named.map(|(i, weight)| (format!("edge:app/{prefix}{i}").try_into().unwrap(), *weight)).collect()
            };
            let (canary, others) = (entries("c", &canary), entries("o", &others));
            let weights = weights(&canary, &others, Percent(share));
            prop_assert_eq!(weights.len(), canary.len() + others.len());
            prop_assert!(weights.values().all(|weight| (1..=256).contains(weight)));
            let part: f64 = canary.keys().map(|entry| f64::from(weights[entry])).sum();
            let all: f64 = weights.values().map(|weight| f64::from(*weight)).sum();
            // Rounding one weight by half, or up to one, moves the share by no more than that much of the whole.
            let slack = 100.0 * f64::from(u16::try_from(weights.len()).unwrap()) / all;
            prop_assert!((100.0 * part / all - f64::from(share)).abs() <= slack, "{weights:?} for {share}%");
        }
    }
}
