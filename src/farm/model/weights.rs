//! Works out the weights of servers for a share of the traffic.

use std::collections::{BTreeMap, BTreeSet};

use crate::farm::names::Entry;
use crate::farm::settings::canary::Percent;

/// The weights, from 1 to 256, with which the canary's servers in each backend together get their percentage of the
/// backend's traffic. Servers with weight 0 are left out.
pub fn weights(canary: &BTreeMap<Entry, u16>, others: &BTreeMap<Entry, u16>, share: Percent) -> BTreeMap<Entry, u16> {
    let mut weights = BTreeMap::new();
    let backend = |entry: &Entry| (entry.instance.clone(), entry.server.backend.clone());
    let backends: BTreeSet<_> = canary.keys().map(backend).collect();
    for name in backends {
        let in_this_backend = |all: &BTreeMap<Entry, u16>| -> Vec<(Entry, u64)> {
            let lines = all.iter().filter(|(entry, weight)| **weight > 0 && backend(entry) == name);
            lines.map(|(entry, weight)| (entry.clone(), u64::from(*weight))).collect()
        };
        let (canary, others) = (in_this_backend(canary), in_this_backend(others));
        let sum = |all: &[(Entry, u64)]| all.iter().map(|(_, weight)| weight).sum::<u64>();
        let (canary_sum, others_sum, share) = (sum(&canary), sum(&others), u64::from(share.get()));
        if canary_sum == 0 || others_sum == 0 {
            continue;
        }
        // Shares of the whole in a common unit.
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
    use crate::farm::Steps;

    proptest! {
        /// The result is as close to the wanted share as whole weights up to 256 allow.
        #[test]
        fn weights_give_the_share(
            canary in proptest::collection::vec(1u16..257, 1..4),
            others in proptest::collection::vec(1u16..257, 1..4),
            share in 1u8..100,
        ) {
            let entries = |prefix: &str, weights: &[u16]| -> BTreeMap<Entry, u16> {
                let named = weights.iter().enumerate();
                named.map(|(i, weight)| (format!("edge:app/{prefix}{i}").try_into().unwrap(), *weight)).collect()
            };
            let (canary, others) = (entries("c", &canary), entries("o", &others));
            let percent = format!("{share}%").parse::<Steps>().unwrap().shares()[0];
            let weights = weights(&canary, &others, percent);
            prop_assert_eq!(weights.len(), canary.len() + others.len());
            prop_assert!(weights.values().all(|weight| (1..=256).contains(weight)));
            let part: f64 = canary.keys().map(|entry| f64::from(weights[entry])).sum();
            let all: f64 = weights.values().map(|weight| f64::from(*weight)).sum();
            // Each weight is rounded by half at most, or up to one, so the share differs by no more than this.
            let slack = 100.0 * f64::from(u16::try_from(weights.len()).unwrap()) / all;
            prop_assert!((100.0 * part / all - f64::from(share)).abs() <= slack, "{weights:?} for {share}%");
        }
    }
}
