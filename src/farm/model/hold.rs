//! Holds: durable claims that keep servers out of rotation.
//!
//! A member takes traffic when it has no hold. Everything that takes servers out, an operator's command or a deploy,
//! makes a hold; everything that brings them back removes one.

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

/// A durable claim that keeps servers out of rotation.
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
    /// Every server line that it keeps out.
    pub entries: BTreeSet<Entry>,
    /// When it began.
    pub since: Timestamp,
    /// When it ends automatically; `None` where it stays until it is released.
    pub expires: Option<Timestamp>,
    /// How the servers are emptied.
    pub ladder: Ladder,
    /// How far it has come.
    pub stage: Stage,
    /// Whether its servers go out before others come in, where both happen in one change.
    #[serde(default)]
    pub first_out: bool,
    /// The store's revision when its entries or stage last changed.
    pub revision: u64,
    /// The last problem, for people.
    pub note: Option<String>,
    /// Lines and instances that it covers beside its entries.
    #[serde(default)]
    pub reach: Reach,
    /// The members of those lines whose server has another name.
    #[serde(default, skip_serializing_if = "LineNames::is_empty")]
    pub names: LineNames,
}

impl Hold {
    /// The state that its servers should have.
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

    /// The stage in which a verification begins, with probes. The servers stay in the state that they are in, or leave
    /// the traffic that they have a share of, and have `takes` to pass.
    pub fn verification(&self, now: Timestamp, takes: Span, then: AfterVerify, versions: BTreeSet<String>) -> Stage {
        let mode = if matches!(self.stage, Stage::Shared { .. }) { self.ladder.first } else { self.wanted_state() };
        let phase = VerifyPhase::Probes { mode };
        Stage::Verifying(Verification { since: now, until: takes.after(now), phase, then, versions })
    }

    /// The members that it keeps out.
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
    /// A deploy.
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
/// deadline. Where a route has led the traffic away the servers stay ready at first, for requests that are on their
/// way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ladder {
    /// The first state.
    pub first: AdminState,
    /// The last state, when it differs: reached after `grace`, or as soon as nothing is in flight and no sticky client
    /// is left.
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
    /// Whether idle connections are waited for, too.
    #[serde(default)]
    pub idle: bool,
}

/// Which clients may go on using servers that are being emptied, until the grace ends.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stays {
    /// None: only requests in flight are waited for.
    #[serde(alias = "nobody")]
    None,
    /// Sticky clients. Where there seem to be none, the grace is not waited for.
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
        let asked_to_move = !hardened && mode == AdminState::Ready && self.stays != Stays::None;
        (if asked_to_move { mode } else { self.last }, true)
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

/// How far a hold has come.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", tag = "is")]
pub enum Stage {
    /// The servers are being emptied: the hold waits until nothing is in flight.
    Draining(Emptying),
    /// The deadline passed under [`OnDeadline::Fail`].
    Stuck {
        /// The state the servers are in.
        mode: AdminState,
        /// When the deadline passed.
        at: Timestamp,
    },
    /// Nothing is in flight: the servers may be worked on.
    Out {
        /// The state the servers are in.
        mode: AdminState,
        /// When the last request ended.
        at: Timestamp,
        /// Requests that were left, under [`OnDeadline::Proceed`].
        left: u64,
    },
    /// The servers are to come back and must first show that they are healthy.
    #[serde(alias = "proving")]
    Verifying(Verification),
    /// The servers get a share of the traffic.
    Shared {
        /// The weights of lines; a line that is not named here keeps its own.
        weights: BTreeMap<Entry, u16>,
    },
    /// The servers have shown that they are healthy; their run will release them.
    #[serde(alias = "proven")]
    Verified {
        /// When the verification ended.
        at: Timestamp,
    },
}

/// How far the emptying of a hold's servers has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Emptying {
    /// The state the servers are in.
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
    /// What the servers are to show now.
    pub phase: VerifyPhase,
    /// What follows when the verification has passed.
    pub then: AfterVerify,
    /// The versions that the members may run; any, where empty.
    pub versions: BTreeSet<String>,
}

impl Verification {
    /// The next phase, which begins now and has this deadline.
    #[must_use]
    pub fn go_on(&self, phase: VerifyPhase, now: Timestamp, until: Timestamp) -> Self {
        Self { since: now, until, phase, ..self.clone() }
    }
}

impl Stage {
    /// This stage with every point in time moved.
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
    /// teeter sends requests of its own.
    Probes {
        /// The state that the servers stay in meanwhile.
        mode: AdminState,
    },
    /// Answers to the warm-up must become fast; only in a deploy whose farm is configured to have one.
    WarmUp {
        /// The state that the servers stay in meanwhile.
        mode: AdminState,
    },
    /// HAProxy's checks must pass.
    Checks {
        /// Whether they must start again from "down". Set where the servers come from maintenance: HAProxy would take
        /// them for healthy without a check.
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
