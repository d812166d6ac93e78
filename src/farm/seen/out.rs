//! The reasons outside teeter that keep a server out of service, as far as HAProxy's bits show them.

use std::fmt;

use crate::farm::seen::off::Off;
use crate::farm::seen::server::SeenServer;
use crate::haproxy::{AdminBits, AdminState, OpState, ServerRef};

/// A reason outside teeter why a server gets no new requests, other than failing checks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OutBy {
    /// The server's line in haproxy.cfg has `disabled`.
    Configuration,
    /// This state was set outside teeter, perhaps by an agent if the server has an enabled agent check.
    Set(AdminState, Agent),
    /// The tracked server is out. `None` if HAProxy does not name the tracked server.
    Tracked(Option<ServerRef>),
    /// The host name of the server has no address.
    NoAddress,
    /// The agent of the server reports that it is down.
    Agent,
    /// The weight of the server is 0.
    Weight,
    /// The backend of the server is off.
    Backend(Off),
}

/// Whether a server has an enabled agent check.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Agent {
    /// The server has an enabled agent check.
    Heard,
    /// The server has no agent check, or a disabled one.
    Silent,
}

impl OutBy {
    /// Whether the reason is one of the bits that `set server … state` sets.
    pub fn is_set(&self) -> bool {
        matches!(self, Self::Configuration | Self::Set(..))
    }
}

impl SeenServer {
    /// The reasons why the server is out, the strictest first. Empty for a server in service, or out only by its
    /// checks.
    pub fn out_by(&self) -> Vec<OutBy> {
        let bits = self.admin.0;
        let mut by = Vec::new();
        match self.admin.forced() {
            AdminState::Ready => {}
            AdminState::Maint if bits & AdminBits::CONFIG_MAINT != 0 => by.push(OutBy::Configuration),
            state => by.push(OutBy::Set(state, if self.agent.is_enabled() { Agent::Heard } else { Agent::Silent })),
        }
        if bits & (AdminBits::INHERITED_MAINT | AdminBits::INHERITED_DRAIN) != 0 {
            by.push(OutBy::Tracked(self.tracked.clone()));
        }
        if bits & AdminBits::RESOLUTION_MAINT != 0 {
            by.push(OutBy::NoAddress);
        }
        if self.agent_down && self.op == OpState::Stopped {
            by.push(OutBy::Agent);
        }
        if self.weight == 0 {
            by.push(OutBy::Weight);
        }
        by
    }
}

impl fmt::Display for OutBy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Configuration => f.write_str("disabled in haproxy.cfg"),
            Self::Set(state, Agent::Heard) => write!(f, "{state}, set outside teeter or by its agent"),
            Self::Set(state, Agent::Silent) => write!(f, "{state}, set outside teeter"),
            Self::Tracked(Some(server)) => write!(f, "tracks {server}"),
            Self::Tracked(None) => f.write_str("tracks a server that is out"),
            Self::NoAddress => f.write_str("its name has no address"),
            Self::Agent => f.write_str("its agent says down"),
            Self::Weight => f.write_str("its weight is 0"),
            Self::Backend(Off::Disabled) => f.write_str("its backend is disabled"),
            Self::Backend(Off::Refuses) => f.write_str("its backend is shut down and accepts no commands"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::haproxy::CheckBits;

    fn out_by(admin: u32, change: impl FnOnce(&mut SeenServer)) -> Vec<String> {
        let tracked = Some("app/web01".parse().unwrap());
        let mut server = SeenServer { admin: AdminBits(admin), tracked, ..SeenServer::sample() };
        change(&mut server);
        server.out_by().iter().map(ToString::to_string).collect()
    }

    #[test]
    fn each_bit_has_its_reason() {
        assert!(out_by(0, |_| ()).is_empty() && out_by(4, |_| ()).is_empty());
        assert_eq!(out_by(1, |_| ()), ["maint, set outside teeter"]);
        assert_eq!(out_by(5, |_| ()), ["disabled in haproxy.cfg"]);
        assert_eq!(out_by(8, |server| server.agent = CheckBits(22)), ["drain, set outside teeter or by its agent"]);
        assert_eq!(out_by(2 + 8, |_| ()), ["drain, set outside teeter", "tracks app/web01"]);
        assert_eq!(out_by(16 + 2, |server| server.tracked = None), ["tracks a server that is out"]);
        assert_eq!(out_by(32, |_| ()), ["its name has no address"]);
        let down =
            |server: &mut SeenServer| (server.op, server.agent_down, server.weight) = (OpState::Stopped, true, 0);
        assert_eq!(out_by(0, down), ["its agent says down", "its weight is 0"]);
    }
}
