//! One server line of one HAProxy at one moment.

use crate::haproxy::{AdminBits, CheckBits, OpState, ServerRef};

/// One server line at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeenServer {
    /// The administrative state that was set, or that it inherits.
    pub admin: AdminBits,
    /// Whether it works, by its checks.
    pub op: OpState,
    /// Its weight, 0 to 256.
    pub weight: u16,
    /// How many of its checks count now. While it is DOWN this is below the number that it needs.
    pub health: u32,
    /// Its health check.
    pub check: CheckBits,
    /// Its agent check.
    pub agent: CheckBits,
    /// Whether its agent check is enabled and reports the server down.
    pub agent_down: bool,
    /// Whether it gets traffic only while no other server of its backend can (`backup`).
    pub backup: bool,
    /// Its address. Empty while its name is not resolved.
    pub address: String,
    /// Its port.
    pub port: u16,
    /// The server whose health and maintenance it shares (`track`).
    pub tracked: Option<ServerRef>,
    /// HAProxy's status text, for people.
    pub status: String,
    /// The result of its last check, for people.
    pub last_check: String,
    /// Its requests and connections now, and its counters.
    pub load: Load,
}

impl SeenServer {
    /// Whether the load balancer may choose it (`srv_currently_usable` in HAProxy's sources).
    pub fn is_usable(&self) -> bool {
        !self.admin.in_maint() && !self.admin.in_drain() && self.op.is_up() && self.weight > 0
    }

    /// Whether its checks say that it is down. In maintenance checks are paused, so this is false there.
    pub fn is_down(&self) -> bool {
        !self.op.is_up() && !self.admin.in_maint() && !self.agent_down
    }

    /// Its status for an operator who waits for its checks: how many have passed, where they pass and more are needed.
    pub fn check_progress(&self) -> String {
        let counts = self.status.strip_prefix("DOWN ").and_then(|counts| counts.split_once('/'));
        match counts {
            Some((passed, needed)) => format!("DOWN, {passed} of {needed} checks passed"),
            None => self.status.clone(),
        }
    }

    /// A server in service, for tests.
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

    /// Whether HAProxy reaches it through a UNIX socket, whose path HAProxy does not report.
    pub fn is_on_socket(&self) -> bool {
        self.address.is_empty() && self.admin.0 & AdminBits::RESOLUTION_MAINT == 0
    }

    /// Its address and port in the format that deploy hooks get; `-` where HAProxy reports none.
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

/// The requests and connections of one server line, and the counters that show whether more may come.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Load {
    /// Requests on it now. In TCP mode: connections.
    pub scur: u64,
    /// Requests that wait for a free connection to it (its queue).
    pub qcur: u64,
    /// Connections from HAProxy that are in use.
    pub used: u64,
    /// Requests assigned to it, where HAProxy reports that (3.3 and later); otherwise 0.
    pub served: u64,
    /// Idle connections that HAProxy keeps open to it.
    pub idle: u64,
    /// Requests that it was ever given.
    pub stot: u64,
    /// Failed connection attempts and retries, ever. When this rises, a request may be between two attempts, and then
    /// no counter has it.
    pub troubles: u64,
    /// Requests assigned to it by HAProxy's session list, where teeter asked for that list. They include requests that
    /// no counter has.
    pub assigned: Option<u64>,
    /// Requests on it in old processes, which a reload has left behind.
    pub old: u64,
    /// Answers with a 5xx status, ever.
    pub hrsp_5xx: u64,
    /// Failed connections to it and broken answers, ever.
    pub errors: u64,
    /// The average time of its latest answers, in milliseconds.
    pub rtime: Option<u64>,
    /// Whether clients are bound to it by a cookie.
    pub sticky: bool,
}

impl Load {
    /// Requests that it serves or is about to be given. Connections in use count only where there are no requests: up
    /// to HAProxy 2.2 a running health check is one of them, and would be added to the requests.
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
        // The second connection belongs to a health check.
        assert_eq!(Load { scur: 1, used: 2, ..none }.in_flight(), 1);
    }
}
