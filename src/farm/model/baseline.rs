//! What a server was before its first hold.

use serde::{Deserialize, Serialize};

use crate::farm::seen::process::Process;
use crate::farm::seen::server::SeenServer;
use crate::haproxy::AdminState;

/// What a server was before its first hold: to be put back after the last.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Baseline {
    /// The state that somebody had set.
    pub state: AdminState,
    /// Whether its agent check was on.
    pub agent: bool,
    /// Whether its agent check said that it is down.
    #[serde(default)]
    pub agent_down: bool,
    /// Whether its checks said DOWN: it comes back to that, and gets no traffic before they pass.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub down: bool,
    /// Its weight.
    pub weight: u16,
    /// Whether its weight was changed, and is to be put back.
    #[serde(default)]
    pub weighed: bool,
    /// What somebody else has set against its hold, where that is left so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub overruled: Option<Overruled>,
    /// Where its HAProxy was: by this it is known again when the configuration calls it otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<Origin>,
}

/// Where a HAProxy was reached.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// Its stats socket.
    pub socket: String,
    /// The process that answered there.
    #[serde(flatten)]
    pub process: Process,
}

/// A state that somebody else has set on a held server, and that is left so (`on_drift = "alarm"`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Overruled {
    /// The state.
    pub state: AdminState,
    /// The process that was told so; any other one has forgotten it.
    #[serde(flatten)]
    pub process: Process,
}

impl SeenServer {
    /// The state to give back to this server after its last hold.
    pub fn baseline(&self) -> Baseline {
        Baseline {
            state: self.admin.forced(),
            agent: self.agent.is_enabled(),
            agent_down: self.agent_down,
            down: self.is_down(),
            weight: self.weight,
            weighed: false,
            overruled: None,
            origin: None,
        }
    }
}
