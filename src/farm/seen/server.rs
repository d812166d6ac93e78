//! One server line of one HAProxy at one moment.

use crate::haproxy::{AdminBits, CheckBits, OpState, ServerRef};

/// One server line at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeenServer {
    /// The administrative state, set or inherited.
    pub admin: AdminBits,
    /// The operational state, by the checks.
    pub op: OpState,
    /// The weight: 0 to 256.
    pub weight: u16,
    /// HAProxy's counter of checks, `srv_check_health`: the server is up from `rise` on.
    pub health: u32,
    /// The state of the health check.
    pub check: CheckBits,
    /// The state of the agent check.
    pub agent: CheckBits,
    /// Whether the agent check is enabled and reports the server down.
    pub agent_down: bool,
    /// Whether the server gets traffic only while no other server of its backend can (`backup`).
    pub backup: bool,
    /// The address. Empty for a UNIX socket, and while the host name is not resolved.
    pub address: String,
    /// The port; 0 where HAProxy reports none.
    pub port: u16,
    /// The server whose health and maintenance this server shares (`track`).
    pub tracked: Option<ServerRef>,
    /// HAProxy's status text, for people.
    pub status: String,
    /// The result of the last check, for people.
    pub last_check: String,
    /// The present requests and connections, and the counters.
    pub load: Load,
}

impl SeenServer {
    /// Whether the load balancer may choose the server (`srv_currently_usable` in HAProxy's sources).
    pub fn is_usable(&self) -> bool {
        !self.admin.in_maint() && !self.admin.in_drain() && self.op.is_up() && self.weight > 0
    }

    /// Whether the server is down by its checks. False in maintenance, where checks are paused.
    pub fn is_down(&self) -> bool {
        !self.op.is_up() && !self.admin.in_maint() && !self.agent_down
    }

    /// The status for an operator who waits for checks, with the numbers of passed and needed checks where HAProxy
    /// reports them.
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

    /// Whether HAProxy reaches the server through a UNIX socket, whose path HAProxy does not report.
    pub fn is_on_socket(&self) -> bool {
        self.address.is_empty() && self.admin.0 & AdminBits::RESOLUTION_MAINT == 0
    }

    /// The address and port in the format for deploy hooks; `-` where HAProxy reports no address.
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
    /// Requests on the server. In TCP mode: connections.
    pub scur: u64,
    /// Requests in the server's queue, which wait for a free connection to it.
    pub qcur: u64,
    /// Connections from HAProxy that are in use.
    pub used: u64,
    /// Requests assigned to the server, where HAProxy reports them (3.3 and later); otherwise 0.
    pub served: u64,
    /// Idle connections that HAProxy keeps open to the server.
    pub idle: u64,
    /// Requests that the server was given since the process started.
    pub stot: u64,
    /// Failed connection attempts and retries since the process started. While this number rises, a request may be
    /// between two attempts, and then no other counter has it.
    pub troubles: u64,
    /// Requests assigned to the server by HAProxy's session list; `None` if teeter did not read the list. They include
    /// requests that no counter has.
    pub assigned: Option<u64>,
    /// Requests on the server in old processes, which a reload has replaced.
    pub old: u64,
    /// Answers with a 5xx status since the process started.
    pub hrsp_5xx: u64,
    /// Failed connections to the server, and broken answers, since the process started.
    pub errors: u64,
    /// The average time of the latest answers, in milliseconds; `None` where HAProxy does not report it.
    pub rtime: Option<u64>,
    /// Whether a cookie binds clients to the server.
    pub sticky: bool,
}

impl Load {
    /// Requests on the server or about to be given to it. Connections in use count only where there are no requests: up
    /// to HAProxy 2.2 a running health check is one of these connections, and would be added to the requests.
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
    fn in_flight_is_zero_only_if_every_count_is_zero() {
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
