//! What backends make of weights that are set while HAProxy runs.

use std::collections::BTreeMap;

use crate::farm::names::InstanceName;
use crate::haproxy::BackendName;

/// What a backend makes of weights that are set while HAProxy runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Balance {
    /// It shares its traffic by them.
    ByWeight,
    /// It takes none but those of the configuration, because of this algorithm.
    Fixed(String),
    /// It takes any and goes by none, because of this algorithm.
    Heedless(String),
    /// This algorithm may hash consistently, which takes weights, or by a map, which takes none: this HAProxy does not say.
    Unsaid(String),
}

/// Of every backend that was asked about.
pub type Balances = BTreeMap<(InstanceName, BackendName), Balance>;

impl Balance {
    /// Whether its word alone says it.
    pub fn is_told_by(algorithm: &str) -> bool {
        matches!(algorithm, "roundrobin" | "leastconn" | "random" | "first" | "static-rr")
    }

    /// By the word after `balance`, and by what HAProxy says of new weights, where it was asked and does.
    pub fn of(algorithm: &str, takes_weights: Option<bool>) -> Self {
        let named = || algorithm.to_owned();
        match (algorithm, takes_weights) {
            ("first", _) => Self::Heedless(named()),
            ("static-rr", _) | (_, Some(false)) => Self::Fixed(named()),
            // HAProxy up to 2.9 has no word for `random`, and for no other one.
            ("roundrobin" | "leastconn" | "random" | "unknown", _) | (_, Some(true)) => Self::ByWeight,
            (_, None) => Self::Unsaid(named()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_is_what_haproxy_says_it_is() {
        assert_eq!(Balance::of("source", Some(true)), Balance::ByWeight);
        assert_eq!(Balance::of("source", Some(false)), Balance::Fixed("source".into()));
        assert_eq!(Balance::of("source", None), Balance::Unsaid("source".into()));
        assert_eq!(Balance::of("unknown", None), Balance::ByWeight);
        assert_eq!(Balance::of("static-rr", None), Balance::Fixed("static-rr".into()));
        assert_eq!(Balance::of("first", Some(true)), Balance::Heedless("first".into()));
    }
}
