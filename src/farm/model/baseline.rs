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
    /// Whether its agent check was enabled.
    pub agent: bool,
    /// Whether its agent check reported it down.
    #[serde(default)]
    pub agent_down: bool,
    /// Whether its checks reported it DOWN. Then it comes back as DOWN, and gets no traffic before they pass.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub down: bool,
    /// Its weight.
    pub weight: u16,
    /// Whether teeter changed its weight and has to restore it.
    #[serde(default)]
    pub weighed: bool,
    /// The state that was set against its hold, where the hold accepts that (`on_drift = "alarm"`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub overruled: Option<Overruled>,
    /// Where its HAProxy was reached. By this teeter finds the record again after the HAProxy was renamed in the
    /// configuration.
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

/// A state that was set outside teeter on a held server and stays (`on_drift = "alarm"`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Overruled {
    /// The state.
    pub state: AdminState,
    /// The process in which it was set; another process has forgotten it.
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
