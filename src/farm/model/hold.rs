//! Holds: durable claims that keep servers out of rotation.
//!
//! A member takes traffic when nobody holds it. Everything that takes servers out, an operator's command or a
//! deploy, makes a hold; everything that brings them back removes one.

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
    /// Its number.
    pub id: HoldId,
    /// Who claims.
    pub owner: Owner,
    /// Why, in the owner's words.
    pub reason: String,
    /// What the owner typed to name the servers.
    pub selectors: Vec<String>,
    /// Every server line that it keeps out.
    pub entries: BTreeSet<Entry>,
    /// Since when.
    pub since: Timestamp,
    /// When it ends by itself, if ever.
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
    /// What went wrong last, for people.
    pub note: Option<String>,
    /// What it reaches beside its entries.
    #[serde(default)]
    pub reach: Reach,
    /// Those of its lines that have another name than their member.
    #[serde(default, skip_serializing_if = "LineNames::is_empty")]
    pub names: LineNames,
}

impl Hold {
    /// The state that it wants its servers in.
    pub fn wants(&self) -> AdminState {
        match self.stage {
            Stage::Shared { .. } => AdminState::Ready,
            Stage::Draining { mode, .. } | Stage::Stuck { mode, .. } | Stage::Out { mode, .. } => mode,
            Stage::Proving { phase: ProofPhase::Probes { mode } | ProofPhase::WarmUp { mode }, .. } => mode,
            Stage::Proving { phase: ProofPhase::Checks { .. }, .. } | Stage::Proven { .. } => AdminState::Drain,
        }
    }

    /// The stage in which its members begin to show that they are well, with the first part of the proof: they stay in
    /// the state that they are in, or leave the traffic that they have a share of, and have `takes` for all of it.
    pub fn proof(&self, now: Timestamp, takes: Span, then: AfterProof, versions: BTreeSet<String>) -> Stage {
        let mode = if matches!(self.stage, Stage::Shared { .. }) { self.ladder.first } else { self.wants() };
        let phase = ProofPhase::Probes { mode };
        Stage::Proving { since: now, until: takes.after(now), phase, then, versions }
    }

    /// The members that it keeps out.
    pub fn members(&self) -> BTreeSet<&MemberName> {
        self.entries.iter().map(|entry| self.names.member(entry)).collect()
    }
}

/// Who claims.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Owner {
    /// A person or a script, by the name of its user.
    Operator(String),
    /// A deploy.
    Run(RunId),
}

impl Owner {
    /// The run, where it is one.
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

/// How a server is emptied: drain, after a grace maintenance, at the deadline the policy. Where a route has led the
/// traffic away the servers stay ready at first: who is on the way finds them as they were.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ladder {
    /// The first state.
    pub first: AdminState,
    /// The state at the end, when it differs: reached after `grace`, or as soon as nothing is in flight and no
    /// client sticks to the server.
    pub last: AdminState,
    /// How long clients that stick to the server may go on.
    pub grace: Span,
    /// How long to wait until nothing is in flight.
    pub deadline: Span,
    /// What happens then.
    pub on_deadline: OnDeadline,
    /// Who may go on until the grace ends.
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
    /// None: only what is in flight is waited for.
    Nobody,
    /// Those that stick to a server. Where there seem to be none, the grace is not waited for.
    #[default]
    WhoSticks,
    /// Any that come back: the whole grace is theirs.
    Everybody,
}

impl Ladder {
    /// The stage that follows when `from` has been reached: first nobody may come any more, then the servers are
    /// taken out.
    pub fn harder(&self, mode: AdminState, hardened: bool) -> (AdminState, bool) {
        let asked_to_move = !hardened && mode == AdminState::Ready && self.stays != Stays::Nobody;
        (if asked_to_move { mode } else { self.last }, true)
    }

    /// The stage that a hold with this ladder begins with.
    pub fn begin(&self, now: Timestamp) -> Stage {
        let waits = self.stays != Stays::Nobody && self.grace > Span::default();
        let hardened = match self.first {
            AdminState::Ready => self.stays == Stays::Nobody,
            first => first == self.last && (first == AdminState::Maint || !waits),
        };
        Stage::Draining { mode: self.first, since: now, killed: None, hardened }
    }
}

/// How far a hold has come.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", tag = "is")]
pub enum Stage {
    /// Waits until nothing is in flight.
    Draining {
        /// The state the servers are in.
        mode: AdminState,
        /// From when the deadline counts.
        since: Timestamp,
        /// When the remaining sessions were ended by force.
        killed: Option<Timestamp>,
        /// Whether the last step of the ladder has been taken: nobody may stay any more.
        #[serde(default)]
        hardened: bool,
    },
    /// The deadline passed under [`OnDeadline::Fail`].
    Stuck {
        /// The state the servers are in.
        mode: AdminState,
        /// When the deadline passed.
        at: Timestamp,
    },
    /// Nothing is in flight; somebody may work on the servers.
    Out {
        /// The state the servers are in.
        mode: AdminState,
        /// Since when.
        at: Timestamp,
        /// Requests that were left, under [`OnDeadline::Proceed`].
        left: u64,
    },
    /// Is to come back and has to show that it is well.
    Proving {
        /// Since when.
        since: Timestamp,
        /// Until when.
        until: Timestamp,
        /// What is being shown.
        phase: ProofPhase,
        /// What follows.
        then: AfterProof,
        /// The versions that the members may show; any, where empty.
        versions: BTreeSet<String>,
    },
    /// Takes a share of the traffic, by these weights.
    Shared {
        /// Of each line; the others have theirs.
        weights: BTreeMap<Entry, u16>,
    },
    /// Has shown that it is well and waits to be released.
    Proven {
        /// Since when.
        at: Timestamp,
    },
}

impl Stage {
    /// The same with every point in time moved.
    pub fn moved(&self, to: &impl Fn(Timestamp) -> Timestamp) -> Self {
        let mut moved = self.clone();
        match &mut moved {
            Self::Draining { since, killed, .. } => {
                *since = to(*since);
                *killed = killed.map(to);
            }
            Self::Proving { since, until, .. } => {
                *since = to(*since);
                *until = to(*until);
            }
            Self::Stuck { at, .. } | Self::Out { at, .. } | Self::Proven { at } => *at = to(*at),
            Self::Shared { .. } => {}
        }
        moved
    }
}

/// The parts of a proof, in their order. Probes come first, because in maintenance not even a client that sticks to the server
/// reaches it, while HAProxy's own checks run only outside maintenance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", tag = "is")]
pub enum ProofPhase {
    /// teeter asks the server itself.
    Probes {
        /// The state that the servers stay in meanwhile.
        mode: AdminState,
    },
    /// Their answers must become fast, where a deploy is to have that.
    WarmUp {
        /// The state that the servers stay in meanwhile.
        mode: AdminState,
    },
    /// HAProxy's checks must pass.
    Checks {
        /// They must pass afresh, from "down": set where the servers come from maintenance, after which HAProxy
        /// would take them for well without a check.
        afresh: bool,
    },
}

/// What follows a proof.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum AfterProof {
    /// Each member that passes is released at once; those that do not stay out.
    Release,
    /// All must pass; then the hold waits to be released by its run.
    Wait,
}
