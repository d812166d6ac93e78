//! One server line in one process: its settings, its states and its counters.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

use super::setup::ServerSetup;

/// The bits of `srv_admin_state`.
pub(super) mod admin {
    pub(crate) const FORCED_MAINT: u32 = 1;
    pub(crate) const INHERITED_MAINT: u32 = 2;
    pub(crate) const CONFIG_MAINT: u32 = 4;
    pub(crate) const FORCED_DRAIN: u32 = 8;
    pub(crate) const INHERITED_DRAIN: u32 = 16;
    pub(crate) const MAINT: u32 = FORCED_MAINT | INHERITED_MAINT | 32;
    pub(crate) const DRAIN: u32 = FORCED_DRAIN | INHERITED_DRAIN;
}

/// `srv_op_state`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Op {
    /// Down, or in maintenance.
    Stopped = 0,
    /// Up.
    Running = 2,
    /// Up, and gets no new requests.
    Stopping = 3,
}

#[derive(Debug, Clone)]
pub(super) struct Server {
    pub(super) setup: ServerSetup,
    pub(super) admin: u32,
    pub(super) op: Op,
    pub(super) weight: u16,
    /// The count of the health check. Without a check, `health down` sets it.
    pub(super) health: u32,
    pub(super) rise: u32,
    pub(super) fall: u32,
    pub(super) check: Option<Check>,
    pub(super) agent: Option<Agent>,
    /// Whether its checks are paused because it is in maintenance.
    pub(super) paused: bool,
    /// The line that it tracks.
    pub(super) track: Option<(usize, usize)>,
    pub(super) trackers: Vec<(usize, usize)>,
    /// Whether another line tracks it or has tracked it. Then HAProxy does not delete it.
    pub(super) is_referenced: bool,
    /// Whether the Runtime API has deleted it. Its place stays, for a line of the same name that is added again.
    pub(super) is_deleted: bool,
    pub(super) changed: Instant,
    pub(super) counters: Counters,
    /// Requests that wait for this server, the oldest first.
    pub(super) queue: VecDeque<u64>,
    /// How far it is behind its share, for round robin.
    pub(super) turn: i64,
}

#[derive(Debug, Clone, Default)]
pub(super) struct Counters {
    pub(super) scur: u64,
    pub(super) smax: u64,
    pub(super) qmax: u64,
    pub(super) stot: u64,
    pub(super) lbtot: u64,
    pub(super) econ: u64,
    pub(super) wretr: u64,
    pub(super) wredis: u64,
    pub(super) eresp: u64,
    /// The number of responses of each class of status, 1xx first.
    pub(super) responses: [u64; 5],
    pub(super) failed_checks: u64,
    pub(super) downs: u64,
    /// The average response time in milliseconds, and the number of responses that it is of.
    pub(super) rtime: (u64, u64),
}

#[derive(Debug, Clone)]
pub(super) struct Check {
    pub(super) inter: Duration,
    pub(super) due: Instant,
    pub(super) enabled: bool,
    pub(super) last: Checked,
    /// Whether it is skipped, because its result would change nothing.
    pub(super) rests: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Checked {
    Never,
    Passed,
    Failed,
}

#[derive(Debug, Clone)]
pub(super) struct Agent {
    pub(super) inter: Duration,
    pub(super) due: Instant,
    pub(super) enabled: bool,
    pub(super) health: u32,
    pub(super) status: AgentStatus,
}

/// The result of the last agent check.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum AgentStatus {
    Never,
    Nothing,
    Neutral,
    Up,
    Down,
}

impl Server {
    pub(super) fn new(setup: &ServerSetup, now: Instant) -> Self {
        let (rise, fall) = setup.check.map_or((2, 3), |check| (check.rise, check.fall));
        let check = setup.check.map(|check| Check {
            inter: check.inter,
            due: now,
            enabled: true,
            last: Checked::Never,
            rests: setup.disabled,
        });
        let agent =
            setup.agent.map(|inter| Agent { inter, due: now, enabled: true, health: 1, status: AgentStatus::Never });
        Self {
            setup: setup.clone(),
            admin: if setup.disabled { admin::FORCED_MAINT | admin::CONFIG_MAINT } else { 0 },
            op: if setup.disabled { Op::Stopped } else { Op::Running },
            weight: setup.weight,
            health: if setup.disabled { 0 } else { rise },
            rise,
            fall,
            check,
            agent,
            paused: setup.disabled,
            track: None,
            trackers: Vec::new(),
            is_referenced: false,
            is_deleted: false,
            changed: now,
            counters: Counters::default(),
            queue: VecDeque::new(),
            turn: 0,
        }
    }

    /// A line as `add server` makes it: in maintenance, with its checks configured but not enabled.
    pub(super) fn added(setup: &ServerSetup, track: Option<(usize, usize)>, now: Instant) -> Self {
        let mut server = Self::new(setup, now);
        server.admin = admin::FORCED_MAINT;
        server.op = Op::Stopped;
        server.health = 0;
        server.track = track;
        if let Some(check) = &mut server.check {
            check.enabled = false;
            check.rests = true;
        }
        server
    }

    pub(super) fn in_maint(&self) -> bool {
        self.admin & admin::MAINT != 0
    }

    pub(super) fn in_drain(&self) -> bool {
        self.admin & admin::DRAIN != 0
    }

    /// Whether it may get a request of a client that is not sticky.
    pub(super) fn is_usable(&self) -> bool {
        self.admin & (admin::MAINT | admin::DRAIN) == 0 && self.op == Op::Running && self.weight > 0
    }

    pub(super) fn healthiest(&self) -> u32 {
        self.rise + self.fall - 1
    }

    pub(super) fn is_checked(&self) -> bool {
        self.check.as_ref().is_some_and(|check| check.enabled)
    }

    pub(super) fn has_agent(&self) -> bool {
        self.agent.as_ref().is_some_and(|agent| agent.enabled)
    }

    pub(super) fn is_full(&self) -> bool {
        self.setup.maxconn > 0 && self.counters.scur >= self.setup.maxconn
    }

    /// `srv_check_state`.
    pub(super) fn check_state(&self) -> u32 {
        let check = self.check.as_ref().map_or(0, |check| if check.enabled { 6 } else { 2 });
        check | if self.paused { 8 } else { 0 }
    }

    /// `srv_agent_state`.
    pub(super) fn agent_state(&self) -> u32 {
        self.agent.as_ref().map_or(0, |agent| if agent.enabled { 22 } else { 18 })
    }
}
