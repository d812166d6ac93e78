//! The words about HAProxy and its servers.

use crate::haproxy::AdminState;
use crate::haproxy::commands::Level;

words! {
    /// The state that an administrator has set for a server in HAProxy.
    ServerAdmin {
        /// It takes traffic when its checks pass.
        Ready = "ready",
        /// It takes no new clients; sticky clients still come.
        Drain = "drain",
        /// It takes no traffic, and its checks are paused.
        Maint = "maint",
    }
}

impl From<AdminState> for ServerAdmin {
    fn from(state: AdminState) -> Self {
        match state {
            AdminState::Ready => Self::Ready,
            AdminState::Drain => Self::Drain,
            AdminState::Maint => Self::Maint,
        }
    }
}

words! {
    /// The level of a stats socket.
    SocketLevel {
        /// It may read most things.
        User = "user",
        /// It may read everything and change a little.
        Operator = "operator",
        /// It may do everything; teeter needs this to change the state of a server.
        Admin = "admin",
    }
}

impl From<Level> for SocketLevel {
    fn from(level: Level) -> Self {
        match level {
            Level::User => Self::User,
            Level::Operator => Self::Operator,
            Level::Admin => Self::Admin,
        }
    }
}
