//! The state words of `show servers state`: decimal numbers whose bits are named here.
//!
//! The status word of `show stat` is for people: it is `DOWN` for a drained server whose checks fail, and `DRAIN
//! (agent)` for every drained server with an agent. Decisions read these bits.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The administrative state of a server: the `srv_admin_state` column (`enum srv_admin`, 2.2 to 3.5).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct AdminBits(pub u32);

impl AdminBits {
    /// In maintenance by a command (`set server … state maint`) or an agent.
    pub const FORCED_MAINT: u32 = 1;
    /// In maintenance because the tracked server is.
    pub const INHERITED_MAINT: u32 = 2;
    /// `disabled` in the configuration. The bit stays set after `ready`, without effect.
    pub const CONFIG_MAINT: u32 = 4;
    /// Draining by a command or an agent.
    pub const FORCED_DRAIN: u32 = 8;
    /// Draining because the tracked server is.
    pub const INHERITED_DRAIN: u32 = 16;
    /// In maintenance because the host name of the server has no address.
    pub const RESOLUTION_MAINT: u32 = 32;

    /// Whether a command or an agent put the server in maintenance.
    pub fn forced_maint(self) -> bool {
        self.0 & Self::FORCED_MAINT != 0
    }

    /// Whether a command or an agent put the server in drain.
    pub fn forced_drain(self) -> bool {
        self.0 & Self::FORCED_DRAIN != 0
    }

    /// Whether the server is in maintenance for any reason.
    pub fn in_maint(self) -> bool {
        self.0 & (Self::FORCED_MAINT | Self::INHERITED_MAINT | Self::RESOLUTION_MAINT) != 0
    }

    /// Whether the server is draining for any reason.
    pub fn in_drain(self) -> bool {
        self.0 & (Self::FORCED_DRAIN | Self::INHERITED_DRAIN) != 0
    }

    /// The state that a command or an agent set, without inherited states and unresolved names.
    pub fn forced(self) -> AdminState {
        if self.forced_maint() {
            AdminState::Maint
        } else if self.forced_drain() {
            AdminState::Drain
        } else {
            AdminState::Ready
        }
    }
}

/// A state that `set server … state` can set. The order is that of strictness.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AdminState {
    /// Takes traffic when its checks say it is up.
    #[default]
    Ready,
    /// Takes no new clients; clients with a cookie or a stick entry still come; checks run.
    Drain,
    /// Takes nothing; checks are paused.
    Maint,
}

impl fmt::Display for AdminState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Ready => "ready",
            Self::Drain => "drain",
            Self::Maint => "maint",
        })
    }
}

/// The operational state of a server: the `srv_op_state` column.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OpState {
    /// Down, or in maintenance.
    Stopped,
    /// Up and in slowstart.
    Starting,
    /// Up.
    Running,
    /// Up, soft-stopping (its check answered 404 under `http-check disable-on-404`).
    Stopping,
}

impl OpState {
    /// Parses the column's number.
    pub fn from_number(number: u32) -> Option<Self> {
        Some(match number {
            0 => Self::Stopped,
            1 => Self::Starting,
            2 => Self::Running,
            3 => Self::Stopping,
            _ => return None,
        })
    }

    /// Whether the checks of the server allow traffic.
    pub fn is_up(self) -> bool {
        matches!(self, Self::Starting | Self::Running)
    }
}

/// The state of a health check or agent check: `srv_check_state`, `srv_agent_state`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct CheckBits(pub u32);

impl CheckBits {
    const CONFIGURED: u32 = 2;
    const ENABLED: u32 = 4;

    /// Whether the check is configured, enabled or not.
    pub fn is_configured(self) -> bool {
        self.0 & Self::CONFIGURED != 0
    }

    /// Whether the check is configured and not disabled (it may be paused by maintenance).
    pub fn is_enabled(self) -> bool {
        self.0 & Self::ENABLED != 0
    }
}
