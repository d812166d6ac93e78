//! What happens when the state of a held server is changed outside teeter.

use std::fmt;

use serde::Deserialize;

/// What happens when the state of a held server is changed outside teeter.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnDrift {
    /// A change to a less strict state is reversed; a stricter state is kept.
    #[default]
    Reassert,
    /// The server leaves its holds: no hold keeps it out any longer.
    Yield,
    /// The server stays as it was set, and every view of the hold shows that.
    Alarm,
}

impl fmt::Display for OnDrift {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Reassert => "reassert",
            Self::Yield => "yield",
            Self::Alarm => "alarm",
        })
    }
}
