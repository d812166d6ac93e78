//! Holds: stored records that keep servers out of service.
//!
//! A member takes traffic when it has no hold. An operator's command or a deploy takes servers out by a hold, and
//! brings them back by the removal of the hold.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::farm::model::line_names::LineNames;
use crate::farm::model::reach::Reach;
use crate::farm::names::{Entry, HoldId, MemberName, RunId};
use crate::farm::settings::drain::OnDeadline;
use crate::farm::span::Span;
use crate::haproxy::AdminState;

/// A stored record that keeps servers out of service.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hold {
    /// The number of the hold.
    pub id: HoldId,
    /// The operator or the run that the hold belongs to.
    pub owner: Owner,
    /// The reason, in the owner's words.
    pub reason: String,
    /// The selectors that the owner typed.
    pub selectors: Vec<String>,
    /// Every server line that the hold keeps out.
    pub entries: BTreeSet<Entry>,
    /// When the hold began.
    pub since: Timestamp,
    /// When the hold ends automatically; `None` where it stays until it is released.
    pub expires: Option<Timestamp>,
    /// How the servers are emptied.
    pub ladder: Ladder,
    /// The progress of the hold.
    pub stage: Stage,
    /// Whether the servers go out before others come in, where both happen in one change.
    #[serde(default)]
    pub first_out: bool,
    /// The store's revision of the last change of `entries` or `stage`.
    pub revision: u64,
    /// The last problem, for people.
    pub note: Option<String>,
    /// Lines and instances that the hold covers beside its entries.
    #[serde(default)]
    pub reach: Reach,
    /// The members of lines whose server has another name than the member.
    #[serde(default, skip_serializing_if = "LineNames::is_empty")]
    pub names: LineNames,
}

impl Hold {
    /// The state that the servers of the hold should have.
    pub fn wanted_state(&self) -> AdminState {
        match &self.stage {
            Stage::Shared { .. } => AdminState::Ready,
            Stage::Draining(Emptying { mode, .. }) | Stage::Stuck { mode, .. } | Stage::Out { mode, .. } => *mode,
            Stage::Verifying(Verification { phase, .. }) => match phase {
                VerifyPhase::Probes { mode } | VerifyPhase::WarmUp { mode } => *mode,
                VerifyPhase::Checks { .. } => AdminState::Drain,
            },
            Stage::Verified { .. } => AdminState::Drain,
        }
    }

    /// The stage in which a verification begins, with probes. Servers that have a share of the traffic go out; other
    /// servers keep their state. `takes` is the time for the probes to pass.
    pub fn verification(&self, now: Timestamp, takes: Span, then: AfterVerify, versions: BTreeSet<String>) -> Stage {
        let mode = if matches!(self.stage, Stage::Shared { .. }) { self.ladder.first } else { self.wanted_state() };
        let phase = VerifyPhase::Probes { mode };
        Stage::Verifying(Verification { since: now, until: takes.after(now), phase, then, versions })
    }

    /// The members that the hold keeps out.
    pub fn members(&self) -> BTreeSet<&MemberName> {
        self.entries.iter().map(|entry| self.names.member(entry)).collect()
    }
}

/// The owner of a hold.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Owner {
    /// A person or a script, by the name of its user.
    Operator(String),
    /// A deploy, by the number of its run.
    Run(RunId),
}

impl Owner {
    /// The run; `None` for an operator.
    pub fn run(&self) -> Option<RunId> {
        match self {
            Self::Run(id) => Some(*id),
            Self::Operator(_) => None,
        }
    }
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Operator(name) => f.pad(name),
            Self::Run(id) => f.pad(&format!("run {id}")),
        }
    }
}

/// The drain ladder: how servers are emptied. Usually drain, maintenance after the grace, and the policy at the
/// deadline. Where a route has switched the traffic away, the servers stay ready at first, for requests that have
/// already chosen them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ladder {
    /// The state at the beginning of the drain.
    pub first: AdminState,
    /// The last state, which may be the first: reached after `grace`, or as soon as nothing is in flight and no sticky
    /// client is left.
    pub last: AdminState,
    /// How long sticky clients may go on.
    pub grace: Span,
    /// How long to wait until nothing is in flight.
    pub deadline: Span,
    /// What happens at the deadline.
    pub on_deadline: OnDeadline,
    /// The clients that may go on until the grace ends.
    #[serde(default)]
    pub stays: Stays,
    /// Whether to wait for idle connections, too.
    #[serde(default)]
    pub idle: bool,
}

/// Which clients may go on using servers that are being emptied, until the grace ends.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stays {
    /// No client: teeter waits only for requests in flight.
    #[serde(alias = "nobody")]
    None,
    /// Sticky clients. If there seem to be none, teeter does not wait for the end of the grace.
    #[default]
    #[serde(alias = "who_sticks")]
    Sticky,
    /// Any client that comes back, for the whole grace.
    #[serde(alias = "everybody")]
    All,
}

impl Ladder {
    /// The state and the flag `hardened` that follow when the servers are in `mode`: first no client may come any more,
    /// then the servers are taken out.
    pub fn harder(&self, mode: AdminState, hardened: bool) -> (AdminState, bool) {
        let ends_grace_only = !hardened && mode == AdminState::Ready && self.stays != Stays::None;
        (if ends_grace_only { mode } else { self.last }, true)
    }

    /// The stage that a hold with this ladder begins with.
    pub fn begin(&self, now: Timestamp) -> Stage {
        let waits = self.stays != Stays::None && self.grace > Span::default();
        let hardened = match self.first {
            AdminState::Ready => self.stays == Stays::None,
            first => first == self.last && (first == AdminState::Maint || !waits),
        };
        Stage::Draining(Emptying { mode: self.first, since: now, killed: None, hardened })
    }
}

/// The progress of a hold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", tag = "is")]
pub enum Stage {
    /// The servers are being emptied: the hold waits until nothing is in flight.
    Draining(Emptying),
    /// The deadline passed under [`OnDeadline::Fail`].
    Stuck {
        /// The state of the servers.
        mode: AdminState,
        /// When the deadline passed.
        at: Timestamp,
    },
    /// Nothing is in flight: the servers may be worked on.
    Out {
        /// The state of the servers.
        mode: AdminState,
        /// When the last request ended.
        at: Timestamp,
        /// Requests that were left, under [`OnDeadline::Proceed`].
        left: u64,
    },
    /// The servers are verified: they come back if they are healthy.
    #[serde(alias = "proving")]
    Verifying(Verification),
    /// The servers get a share of the traffic.
    Shared {
        /// The weights of lines; any other line keeps its weight.
        weights: BTreeMap<Entry, u16>,
    },
    /// The servers have passed the verification; their run will release them.
    #[serde(alias = "proven")]
    Verified {
        /// When the verification ended.
        at: Timestamp,
    },
}

/// The progress of emptying a hold's servers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Emptying {
    /// The state of the servers.
    pub mode: AdminState,
    /// When the deadline began to count.
    pub since: Timestamp,
    /// When teeter ended the remaining sessions; `None` until then.
    pub killed: Option<Timestamp>,
    /// Whether the last step of the drain ladder has been taken: no client may stay any more.
    #[serde(default)]
    pub hardened: bool,
}

/// A verification that is under way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verification {
    /// When the present phase began.
    pub since: Timestamp,
    /// The deadline of the present phase.
    pub until: Timestamp,
    /// The present phase.
    pub phase: VerifyPhase,
    /// What follows when the verification has passed.
    pub then: AfterVerify,
    /// The versions that the members may run; any, where empty.
    pub versions: BTreeSet<String>,
}

impl Verification {
    /// The verification in its next phase, which begins at `now` and has the deadline `until`.
    #[must_use]
    pub fn go_on(&self, phase: VerifyPhase, now: Timestamp, until: Timestamp) -> Self {
        Self { since: now, until, phase, ..self.clone() }
    }
}

impl Stage {
    /// This stage with every time translated by `to`.
    pub fn moved(&self, to: &impl Fn(Timestamp) -> Timestamp) -> Self {
        let mut moved = self.clone();
        match &mut moved {
            Self::Draining(emptying) => {
                emptying.since = to(emptying.since);
                emptying.killed = emptying.killed.map(to);
            }
            Self::Verifying(verification) => {
                verification.since = to(verification.since);
                verification.until = to(verification.until);
            }
            Self::Stuck { at, .. } | Self::Out { at, .. } | Self::Verified { at } => *at = to(*at),
            Self::Shared { .. } => {}
        }
        moved
    }
}

/// The phases of a verification, in order. Probes come first: a server in maintenance is not even reached by sticky
/// clients, while HAProxy's own checks run only outside maintenance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", tag = "is")]
pub enum VerifyPhase {
    /// teeter's own requests must get healthy answers.
    Probes {
        /// The state of the servers meanwhile.
        mode: AdminState,
    },
    /// Answers to the warm-up must become fast; only in a deploy of a farm with a warm-up.
    WarmUp {
        /// The state of the servers meanwhile.
        mode: AdminState,
    },
    /// HAProxy's checks must pass.
    Checks {
        /// Whether the checks must start again from "down". True for servers from maintenance: HAProxy would take them
        /// for healthy without a check.
        afresh: bool,
    },
}

/// What follows a verification.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AfterVerify {
    /// Each member that passes is released at once; the others stay out.
    Release,
    /// All must pass; then the hold waits until its run releases it.
    Wait,
}
