//! The effect of weights that are set at runtime on a backend.

use std::collections::BTreeMap;

use crate::farm::names::InstanceName;
use crate::haproxy::BackendName;

/// The effect of weights that are set at runtime on a backend. It depends on the algorithm after `balance`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Balance {
    /// The backend shares its traffic by these weights.
    ByWeight,
    /// The backend with this algorithm accepts only the weights in haproxy.cfg.
    Fixed(String),
    /// The backend with this algorithm accepts every weight and ignores it.
    Ignored(String),
    /// This algorithm hashes either consistently, and accepts weights, or by a map, and accepts no weights. The HAProxy
    /// does not report which of both.
    Unknown(String),
}

/// The effect for every backend that teeter has asked HAProxy about.
pub type Balances = BTreeMap<(InstanceName, BackendName), Balance>;

impl Balance {
    /// Whether the name of the algorithm is enough for [`Balance::from_algorithm`].
    pub fn is_known_by_name(algorithm: &str) -> bool {
        matches!(algorithm, "roundrobin" | "leastconn" | "random" | "first" | "static-rr")
    }

    /// The effect for an algorithm. `takes_weights` is HAProxy's reply about new weights; `None` if teeter did not ask
    /// or HAProxy did not reply.
    pub fn from_algorithm(algorithm: &str, takes_weights: Option<bool>) -> Self {
        let named = || algorithm.to_owned();
        match (algorithm, takes_weights) {
            ("first", _) => Self::Ignored(named()),
            ("static-rr", _) | (_, Some(false)) => Self::Fixed(named()),
            // HAProxy up to 2.9 has no name for `random`, and a name for every other algorithm.
            ("roundrobin" | "leastconn" | "random" | "unknown", _) | (_, Some(true)) => Self::ByWeight,
            (_, None) => Self::Unknown(named()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_haproxy_knows_whether_a_hash_accepts_weights() {
        assert_eq!(Balance::from_algorithm("source", Some(true)), Balance::ByWeight);
        assert_eq!(Balance::from_algorithm("source", Some(false)), Balance::Fixed("source".into()));
        assert_eq!(Balance::from_algorithm("source", None), Balance::Unknown("source".into()));
        assert_eq!(Balance::from_algorithm("unknown", None), Balance::ByWeight);
        assert_eq!(Balance::from_algorithm("static-rr", None), Balance::Fixed("static-rr".into()));
        assert_eq!(Balance::from_algorithm("first", Some(true)), Balance::Ignored("first".into()));
    }
}
