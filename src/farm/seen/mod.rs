//! What one HAProxy says: the farm as it is, not as it should be.

pub(super) mod servers;
pub(super) mod out;
pub(super) mod in_use;
pub(super) mod balance;

use std::collections::BTreeMap;

use crate::farm::diff::maps::SeenMaps;
use crate::farm::model::hold::Baseline;
use crate::farm::seen::in_use::Off;
use crate::farm::seen::servers::Servers;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::haproxy::commands::{Info, ProxyId};
use crate::haproxy::{AdminBits, AdminState, BackendName, CheckBits, OpState, ServerRef};

/// One HAProxy process at one moment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Seen {
    /// Its process id; another process means that everything set at runtime is gone.
    pub pid: u32,
    /// When the process started, in seconds since 1970: as HAProxy says, or by its age and the clock when it was first
    /// seen.
    pub started: Option<u64>,
    /// Its version, as printed.
    pub version: String,
    /// Every server that has been looked at.
    pub servers: Servers,
    /// Every backend that has been looked at.
    pub backends: BTreeMap<BackendName, SeenBackend>,
    /// The entries of maps that are of interest.
    pub maps: SeenMaps,
    /// Backends for whose servers HAProxy takes no orders.
    pub off: BTreeMap<BackendName, Off>,
    /// What the servers are that teeter holds, or is giving back, without its holds.
    pub before: BTreeMap<ServerRef, AdminState>,
}

impl Seen {
    /// Which process it is.
    pub fn process(&self) -> Process {
        Process { pid: self.pid, started: self.started }
    }

    /// Requests in a backend that are on none of its servers: they wait for their body or for a retry.
    pub fn between(&self, backend: &BackendName) -> u64 {
        let on_servers: u64 = self.servers.of(backend).map(|(_, server)| server.load.scur + server.load.qcur).sum();
        self.backends.get(backend).map_or(0, |backend| backend.requests).saturating_sub(on_servers)
    }
}

/// A process, as far as it is told from others later, also from one with its number.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Process {
    /// Its process id.
    pub pid: u32,
    /// When it started, as [`Seen::started`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started: Option<u64>,
}

impl Process {
    /// Whether both are the same. Where HAProxy does not say when it started, two estimates may differ by a little.
    pub fn is(&self, other: &Self) -> bool {
        let apart = self.started.zip(other.started).map_or(0, |(one, other)| one.abs_diff(other));
        self.pid == other.pid && apart <= ESTIMATED
    }

    /// One that is seen for the first time, `now`.
    pub fn of(info: &Info, now: Timestamp) -> Self {
        let estimate = || u64::try_from(now.as_second()).ok().map(|now| now.saturating_sub(info.uptime));
        Self { pid: info.pid, started: info.started.or_else(estimate) }
    }

    /// The same, told from the one before it, where that has been found to be another: two may have started within one
    /// second.
    #[must_use]
    pub fn after(self, before: &Self) -> Self {
        let next = before.started.filter(|_| self.is(before)).map(|started| started + ESTIMATED + 1);
        Self { started: next.or(self.started), ..self }
    }
}

/// Two estimates of one moment, of which each has whole seconds, in seconds.
const ESTIMATED: u64 = 1;

/// One backend at one moment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SeenBackend {
    /// What this process knows it by, where it has counters: a name may be that of a frontend, too. One that is `disabled`
    /// in haproxy.cfg has none.
    pub id: Option<ProxyId>,
    /// Requests that it has, those for which no server is chosen yet among them.
    pub requests: u64,
}

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

    #[test]
    fn a_process_is_told_from_another_of_its_number() {
        let at = |pid, started| Process { pid, started };
        assert!(at(8, Some(100)).is(&at(8, Some(101))) && at(8, None).is(&at(8, Some(100))));
        assert!(!at(8, Some(100)).is(&at(8, Some(102))) && !at(8, Some(100)).is(&at(9, Some(100))));
        // As it was stored before it was known when a process started.
        let stored: crate::farm::Overruled = serde_json::from_str(r#"{"state":"ready","pid":8}"#).unwrap();
        assert!(stored.process.is(&at(8, Some(100))) && !stored.process.is(&at(9, None)));
        let before = at(8, Some(100));
        for next in [at(8, Some(100)), at(8, Some(101)), at(8, Some(200)), at(9, Some(100))] {
            assert!(!next.after(&before).is(&before), "{next:?}");
        }
    }
}
