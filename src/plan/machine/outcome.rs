//! The input of the machine that runs plans, and its output.

use std::collections::{BTreeMap, BTreeSet};

use thiserror::Error;

use crate::farm::{
    AfterVerify, Counts, Entry, GroupName, Hold, HoldId, InstanceName, MemberName, Percent, RunId, Side,
};
use crate::plan::run::Run;
use crate::plan::verify::ProbeResult;
use crate::plan::wait::Wait;
use crate::plan::watch::{Control, Counted, Figures};

/// The input of the machine, apart from the run and the time.
#[derive(Debug)]
pub struct Facts<'a> {
    /// The holds in the store.
    pub holds: &'a BTreeMap<HoldId, Hold>,
    /// Whether HAProxy has confirmed the change that the current step has made.
    pub confirmation: Confirmation,
    /// The side that teeter has switched the farm's route to; `None` where it has not.
    pub live: Option<Side>,
    /// Lines of the run's members that are not held and take no traffic, with their status as HAProxy names it.
    pub not_up: BTreeMap<Entry, String>,
    /// The answers of members since the current step began, if it is a step with requests.
    pub answers: BTreeMap<MemberName, ProbeResult>,
    /// What the watch has seen that the run is at; `None` if it is at none, or has not begun it.
    pub figures: Option<Figures>,
    /// What the side was given until now that the run's next watch compares with.
    pub past: Counted,
    /// The counters of that side since the start of its HAProxy processes, if the watch is just about to begin.
    pub all: Counts,
    /// The number of members that would be in service if the step were done now; `None` if it takes no group out or in.
    pub stays: Option<usize>,
    /// The backend that the step would leave without a server; `None` where it would leave none.
    pub last_of: Option<String>,
}

/// HAProxy's answer to a change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Confirmation {
    /// Every instance has the change and was read back.
    Agreed,
    /// Some instances have not answered yet.
    Pending {
        /// The names of these.
        instances: Vec<InstanceName>,
        /// The error of the last attempt, if it failed.
        trouble: Option<String>,
    },
    /// One instance refused, with these words; what it had applied was undone.
    Refused(String),
}

/// An action that the machine demands. The engine stores all of them and the run in one transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Hold a group, from the beginning of its drain ladder.
    Hold(GroupName),
    /// Start the drain ladder of a group's hold again.
    DrainAgain(GroupName),
    /// Give a group a share of the traffic, and another group the rest.
    Share {
        /// The group that gets the share.
        group: GroupName,
        /// The group that has the rest.
        with: GroupName,
        /// The share, in percent.
        share: Percent,
    },
    /// Begin a watch: store what it compares with, and the present counters.
    Watch(Box<Control>),
    /// Go on emptying a group that was kept ready to come back, to the end of its drain ladder.
    Harden(GroupName),
    /// Stop verifying a group: it stays out as it is.
    Park(GroupName),
    /// Release a group.
    Release(GroupName),
    /// Switch the farm's route to a side.
    Switch(Side),
    /// Have the members of a group's hold show that they are healthy.
    Verify {
        /// The group that is verified.
        group: GroupName,
        /// What follows.
        then: AfterVerify,
        /// The versions that the members may run; any, where empty.
        versions: BTreeSet<String>,
    },
    /// Restore the holds and the route of before the step's change.
    Undo,
    /// Record a sentence.
    Note(String),
}

/// What follows.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub enum Outcome {
    /// Nothing changes yet.
    Wait(Wait),
    /// Store this run and carry out these actions.
    Go(Box<Run>, Vec<Action>),
    /// The run has ended, or nothing is to be done.
    Rest,
}

/// Why a run cannot do what a caller asks.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Illegal {
    /// The run has ended.
    #[error("run {0} has ended")]
    Ended(RunId),
    /// The run does not wait for the caller's work.
    #[error("run {run} is at step `{step}` and not waiting for work: {waiting}")]
    NotAtWork {
        /// The run's number.
        run: RunId,
        /// The step it is at.
        step: String,
        /// What it waits for instead.
        waiting: &'static str,
    },
    /// There is no failed step to try again.
    #[error("run {run} has not failed, so there is nothing to try again: it {status}")]
    NotFailed {
        /// The run's number.
        run: RunId,
        /// What the run does, as the end of a sentence.
        status: String,
    },
    /// The run cannot be rolled back.
    #[error("run {run} cannot be rolled back: {why}")]
    NoRollback {
        /// The run's number.
        run: RunId,
        /// Why not.
        why: String,
        /// What to do instead.
        instead: Option<String>,
    },
    /// The report is about another step than the one the run is at.
    #[error("run {run} is at step {at}, and the report is about step {reported}")]
    OtherStep {
        /// The run's number.
        run: RunId,
        /// The number of the step it is at.
        at: usize,
        /// The number of the reported step.
        reported: usize,
    },
}

impl Illegal {
    /// What the caller can do instead, such as a command to type.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::NotFailed { run, .. } => Some(format!("`teeter show {run}` shows what it waits for")),
            Self::NoRollback { instead, .. } => instead.clone(),
            Self::Ended(_) | Self::NotAtWork { .. } | Self::OtherStep { .. } => None,
        }
    }
}

/// The caller's report on its work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WorkReport {
    /// The work is done.
    Done,
    /// The work failed, for this reason.
    Failed(String),
}
