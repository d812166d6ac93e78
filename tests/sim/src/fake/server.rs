//! One server line in one process: what was said of it, whether it works, and what it has done.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

use super::setup::ServerSetup;

/// `srv_admin_state`, bit by bit.
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
    /// Up, takes nobody new.
    Stopping = 3,
}

#[derive(Debug, Clone)]
pub(super) struct Server {
    pub(super) setup: ServerSetup,
    pub(super) admin: u32,
    pub(super) op: Op,
    pub(super) weight: u16,
    /// Of the health check; without one it has a meaning, too, for `health down`.
    pub(super) health: u32,
    pub(super) rise: u32,
    pub(super) fall: u32,
    pub(super) check: Option<Check>,
    pub(super) agent: Option<Agent>,
    /// Whether its checks are at rest because it is in maintenance.
    pub(super) paused: bool,
    /// Backend and server that it follows.
    pub(super) track: Option<(usize, usize)>,
    pub(super) trackers: Vec<(usize, usize)>,
    pub(super) changed: Instant,
    pub(super) counters: Counters,
    /// Requests that wait for it, the oldest first.
    pub(super) queue: VecDeque<u64>,
    /// For round robin.
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
    /// By the first digit of the status, less one.
    pub(super) responses: [u64; 5],
    pub(super) failed_checks: u64,
    pub(super) downs: u64,
    /// Milliseconds, and how many answers they are the average of.
    pub(super) rtime: (u64, u64),
}

#[derive(Debug, Clone)]
pub(super) struct Check {
    pub(super) inter: Duration,
    pub(super) due: Instant,
    pub(super) enabled: bool,
    pub(super) last: Checked,
    /// Whether it would find nothing new, and is left out.
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
    pub(super) status: Heard,
}

/// What became of the last question to an agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Heard {
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
        let agent = setup.agent.map(|inter| Agent { inter, due: now, enabled: true, health: 1, status: Heard::Never });
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
            changed: now,
            counters: Counters::default(),
            queue: VecDeque::new(),
            turn: 0,
        }
    }

    pub(super) fn in_maint(&self) -> bool {
        self.admin & admin::MAINT != 0
    }

    pub(super) fn in_drain(&self) -> bool {
        self.admin & admin::DRAIN != 0
    }

    /// Whether a request of a client that sticks to nothing may go here.
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
