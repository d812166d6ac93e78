//! The side that gets a farm's traffic.

use serde::{Deserialize, Serialize};

/// The side that gets a farm's traffic.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub enum LiveSide {
    /// The name of a group, or `all`.
    Side(String),
    /// HAProxy does not say.
    NotKnown,
}

impl From<String> for LiveSide {
    fn from(side: String) -> Self {
        if side == NOT_KNOWN { Self::NotKnown } else { Self::Side(side) }
    }
}

impl From<LiveSide> for String {
    fn from(live: LiveSide) -> Self {
        match live {
            LiveSide::Side(side) => side,
            LiveSide::NotKnown => NOT_KNOWN.to_owned(),
        }
    }
}

const NOT_KNOWN: &str = "unknown";
