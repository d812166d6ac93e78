//! The state of a server before its first hold.

use serde::{Deserialize, Serialize};

use crate::farm::seen::process::Process;
use crate::farm::seen::server::SeenServer;
use crate::haproxy::AdminState;

/// The state of a server before its first hold. teeter restores it after the last hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Baseline {
    /// The state that was set outside teeter.
    pub state: AdminState,
    /// Whether the agent check was enabled.
    pub agent: bool,
    /// Whether the agent check reported the server down.
    #[serde(default)]
    pub agent_down: bool,
    /// Whether the server was DOWN by its checks. Then it comes back as DOWN, and gets no traffic before the checks
    /// pass.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub down: bool,
    /// The weight: 0 to 256.
    pub weight: u16,
    /// Whether teeter has changed the weight and has to restore it.
    #[serde(default)]
    pub weighed: bool,
    /// The state that was set outside teeter against the hold, where the hold accepts this (`on_drift = "alarm"`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub overruled: Option<Overruled>,
    /// The socket and the process of the HAProxy. By them teeter finds the record again after the HAProxy was renamed
    /// in the configuration.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<Origin>,
}

/// The stats socket of a HAProxy, and the process that answered there.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// The path or address of the stats socket.
    pub socket: String,
    /// The process that answered there.
    #[serde(flatten)]
    pub process: Process,
}

/// A state that was set outside teeter on a held server and stays (`on_drift = "alarm"`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Overruled {
    /// The state that was set.
    pub state: AdminState,
    /// The process in which the state was set; another process does not have it.
    #[serde(flatten)]
    pub process: Process,
}

impl SeenServer {
    /// The state to restore after the last hold of this server.
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
