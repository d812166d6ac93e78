//! Commands that change a server. HAProxy replies nothing on success, and also to a command that had no effect: look at
//! the server again.

use super::map_change::{AddMap, DelMap, SetMap};
use crate::haproxy::bits::AdminState;
use crate::haproxy::error::CommandError;
use crate::haproxy::line::{Command, silent};
use crate::haproxy::name::ServerRef;

/// `set server B/S state ready|drain|maint`. Needs level admin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetServerState {
    /// The server to change.
    pub server: ServerRef,
    /// The state to set.
    pub state: AdminState,
}

/// `set server B/S health down`: the server counts as failed until its checks pass `rise` times. Without effect in
/// maintenance; refused for a server that tracks another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetServerHealth {
    /// The server to change.
    pub server: ServerRef,
}

/// `set server B/S agent down`: the server counts as down, as if its agent had reported so, until the agent's next
/// answer. Refused for a server without an agent check, or with a disabled one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetServerAgentDown {
    /// The server to change.
    pub server: ServerRef,
}

/// `set server B/S weight N`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetServerWeight {
    /// The server to change.
    pub server: ServerRef,
    /// Absolute, 0 to 256. HAProxy rounds a percentage of a weight of 1 to 0, which drains the server, so teeter sends
    /// none.
    pub weight: u16,
}

/// The verb of a command that enables or disables an agent check.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Switch {
    /// `enable`.
    Enable,
    /// `disable`.
    Disable,
}

/// `enable|disable agent B/S`. HAProxy ignores the answers of a disabled agent, also `ready` and `drain`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AgentSwitch {
    /// The server to change.
    pub server: ServerRef,
    /// Whether to enable or to disable the agent check.
    pub switch: Switch,
}

/// `shutdown sessions server B/S`: ends every session on the server, shortly after the reply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShutdownSessions {
    /// The server whose sessions end.
    pub server: ServerRef,
}

/// A command that changes a server or a map and replies nothing, so that a batch can hold several in order.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs, reason = "each variant is the command of that name")]
pub enum SetCommand {
    State(SetServerState),
    Health(SetServerHealth),
    Weight(SetServerWeight),
    Agent(AgentSwitch),
    AgentDown(SetServerAgentDown),
    SetMap(SetMap),
    AddMap(AddMap),
    DelMap(DelMap),
}

macro_rules! silent_command {
    ($type:ident, |$this:ident| $($text:tt)+) => {
        impl Command for $type {
            type Reply = ();

            fn write(&self, line: &mut String) {
                let $this = self;
                line.push_str(&format!($($text)+));
            }

            fn parse(&self, reply: &[u8]) -> Result<(), CommandError> {
                silent(self, reply)
            }
        }
    };
}

silent_command!(SetServerState, |this| "set server {} state {}", this.server, this.state);
silent_command!(SetServerHealth, |this| "set server {} health down", this.server);
silent_command!(SetServerAgentDown, |this| "set server {} agent down", this.server);
silent_command!(SetServerWeight, |this| "set server {} weight {}", this.server, this.weight);
silent_command!(AgentSwitch, |this| "{} agent {}", this.switch.verb(), this.server);
silent_command!(ShutdownSessions, |this| "shutdown sessions server {}", this.server);

impl Switch {
    fn verb(self) -> &'static str {
        match self {
            Self::Enable => "enable",
            Self::Disable => "disable",
        }
    }
}

impl Command for SetCommand {
    type Reply = ();

    fn write(&self, line: &mut String) {
        match self {
            Self::State(command) => command.write(line),
            Self::Health(command) => command.write(line),
            Self::Weight(command) => command.write(line),
            Self::Agent(command) => command.write(line),
            Self::AgentDown(command) => command.write(line),
            Self::SetMap(command) => command.write(line),
            Self::AddMap(command) => command.write(line),
            Self::DelMap(command) => command.write(line),
        }
    }

    fn parse(&self, reply: &[u8]) -> Result<(), CommandError> {
        silent(self, reply)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::haproxy::RefusalKind;

    #[test]
    fn an_empty_reply_is_success_and_any_text_is_a_refusal() {
        let server: ServerRef = "app/web01".parse().unwrap();
        let command = SetServerState { server: server.clone(), state: AdminState::Maint };
        assert!(command.parse(b"\n").is_ok());
        let CommandError::Refused(refusal) = command.parse(b"No such server.\n").unwrap_err() else { panic!() };
        assert_eq!(refusal.kind, RefusalKind::NoSuchServer);
        let agent = AgentSwitch { server, switch: Switch::Enable };
        let error = agent.parse(b"Agent was not configured on this server, cannot enable.\n").unwrap_err();
        assert!(error.to_string().contains("enable agent app/web01"));
    }
}
