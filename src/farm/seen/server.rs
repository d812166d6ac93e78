//! One server line of one HAProxy at one moment.

use crate::haproxy::{AdminBits, CheckBits, OpState, ServerRef};

/// One server line at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeenServer {
    /// What HAProxy was told about it.
    pub admin: AdminBits,
    /// Whether it works.
    pub op: OpState,
    /// Its weight, 0 to 256.
    pub weight: u16,
    /// How many of its checks count for it now: below the number that it needs while it is DOWN.
    pub health: u32,
    /// Its health check.
    pub check: CheckBits,
    /// Its agent check.
    pub agent: CheckBits,
    /// Whether its agent, where it is heard, says that it is down.
    pub agent_down: bool,
    /// Whether it gets traffic only while no other server of its backend can.
    pub backup: bool,
    /// Its address; empty while its name is not resolved.
    pub address: String,
    /// Its port.
    pub port: u16,
    /// The server whose health and maintenance it shares.
    pub tracked: Option<ServerRef>,
    /// HAProxy's word for its status, for people.
    pub status: String,
    /// The result of its last check, for people.
    pub last_check: String,
    /// What it serves.
    pub load: Load,
}

impl SeenServer {
    /// Whether the load balancer may choose it (`srv_currently_usable` in HAProxy's sources).
    pub fn is_usable(&self) -> bool {
        !self.admin.in_maint() && !self.admin.in_drain() && self.op.is_up() && self.weight > 0
    }

    /// Whether its checks say that it is down, and nobody has put it in maintenance, where they would say nothing.
    pub fn is_down(&self) -> bool {
        !self.op.is_up() && !self.admin.in_maint() && !self.agent_down
    }

    /// Its status, for people who wait for its checks: how many have passed, where they pass and more are needed.
    pub fn standing(&self) -> String {
        let counts = self.status.strip_prefix("DOWN ").and_then(|counts| counts.split_once('/'));
        match counts {
            Some((passed, needed)) => format!("DOWN, {passed} of {needed} checks passed"),
            None => self.status.clone(),
        }
    }

    /// One that serves, for tests.
    #[cfg(test)]
    pub(crate) fn sample() -> Self {
        Self {
            admin: AdminBits(0),
            op: OpState::Running,
            weight: 1,
            health: 2,
            check: CheckBits(6),
            agent: CheckBits(0),
            agent_down: false,
            backup: false,
            address: "127.0.0.1".into(),
            port: 80,
            tracked: None,
            status: "UP".into(),
            last_check: String::new(),
            load: Load::default(),
        }
    }

    /// Whether HAProxy reaches it through a UNIX socket, whose path it does not tell.
    pub fn is_on_socket(&self) -> bool {
        self.address.is_empty() && self.admin.0 & AdminBits::RESOLUTION_MAINT == 0
    }

    /// Its address and port, as a deploy hook wants them; `-` where HAProxy tells none.
    pub fn endpoint(&self) -> String {
        if self.address.is_empty() {
            "-".to_owned()
        } else if self.address.contains(':') {
            format!("[{}]:{}", self.address, self.port)
        } else {
            format!("{}:{}", self.address, self.port)
        }
    }
}

/// What one server line serves, and the counters that say whether more may come.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Load {
    /// Requests (TCP: connections) on it.
    pub scur: u64,
    /// Requests that wait for a place on it.
    pub qcur: u64,
    /// Connections from HAProxy that are in use.
    pub used: u64,
    /// Requests assigned to it, where HAProxy (3.3 and later) says so.
    pub served: u64,
    /// Connections that HAProxy keeps open to it without a request.
    pub idle: u64,
    /// Requests it was ever given.
    pub stot: u64,
    /// Failed connection attempts and retries, ever: where it rises, a request may be between two attempts, counted
    /// nowhere.
    pub troubles: u64,
    /// Requests that have been given to it, by HAProxy's list of sessions, where that was asked: those that no counter
    /// has are among them.
    pub assigned: Option<u64>,
    /// Requests on it in processes that a reload has left behind.
    pub old: u64,
    /// Server errors it answered, ever.
    pub hrsp_5xx: u64,
    /// Connections to it that failed, and answers of it that broke off or could not be read, ever.
    pub errors: u64,
    /// What an answer took on average of late, in milliseconds.
    pub rtime: Option<u64>,
    /// Whether clients stick to it by a cookie.
    pub sticky: bool,
}

impl Load {
    /// Requests that it serves or is about to be given. Connections in use are counted where there are no requests: up to
    /// HAProxy 2.2 a running health check is one of them, so that beside requests they would say too much.
    pub fn in_flight(&self) -> u64 {
        let requests = self.scur.max(self.served);
        let counted = self.qcur + if requests == 0 { self.used } else { requests };
        self.old + counted.max(self.assigned.unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn in_flight_is_zero_only_when_everything_is() {
        let none = Load { idle: 7, stot: 9, troubles: 1, ..Load::default() };
        assert_eq!(none.in_flight(), 0);
        for load in [
            Load { old: 1, ..none },
            Load { scur: 1, ..none },
            Load { qcur: 1, ..none },
            Load { used: 1, ..none },
            Load { assigned: Some(1), ..none },
            Load { served: 1, ..none },
        ] {
            assert_eq!(load.in_flight(), 1);
        }
        // The second connection is that of a health check.
        assert_eq!(Load { scur: 1, used: 2, ..none }.in_flight(), 1);
    }
}
