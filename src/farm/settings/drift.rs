//! What happens when a held server is changed outside teeter.

use std::fmt;

use serde::Deserialize;

/// What happens when somebody else changes the state of a server that is held.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnDrift {
    /// What makes it less strict than the hold wants is set right; what makes it stricter is kept.
    #[default]
    Reassert,
    /// teeter lets go of the server: no hold keeps it out any more.
    Yield,
    /// It is left as it was set, and said wherever the hold is shown.
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
