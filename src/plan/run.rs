//! A run: one deploy, as it is stored.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::attendant::Attendant;
use super::members::PlannedMember;
use super::plan::{Phase, Plan, Step};
use crate::farm::{Counts, Entry, GroupName, Hold, HoldId, MemberName, Reach, Route, RunId};

/// One deploy: a plan, a cursor, and what is known so far.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Run {
    /// Its number.
    pub id: RunId,
    /// What it does.
    pub plan: Plan,
    /// The step that it is at.
    pub cursor: usize,
    /// The state of that step.
    pub step: StepState,
    /// How the run stands.
    pub state: RunState,
    /// Who began it.
    pub by: String,
    /// When it began.
    pub started: Timestamp,
    /// When it ended, if it has.
    pub finished: Option<Timestamp>,
    /// The holds that it has on its groups.
    pub holds: BTreeMap<GroupName, HoldId>,
    /// The version that each member was last seen to run.
    pub versions: BTreeMap<MemberName, String>,
    /// Its flips.
    #[serde(default)]
    pub flips: Vec<Flipped>,
    /// Members of its plan that it goes on without.
    #[serde(default)]
    pub left_out: BTreeMap<MemberName, LeftOut>,
    /// Steps that it has gone past without having done them.
    #[serde(default)]
    pub passed: BTreeMap<usize, Passed>,
    /// What HAProxy had counted when it was begun, where a flip is to be watched.
    #[serde(default)]
    pub counted: BTreeMap<Entry, Counts>,
    /// What its last watch is measured against.
    #[serde(default)]
    pub bake: Option<Bake>,
    /// Whether somebody attends to it.
    #[serde(default)]
    pub caller: CallerState,
    /// The caller that attends to it, or did last.
    #[serde(default)]
    pub attended: Option<Attendant>,
    /// Whether it waits, in the course of an abort, until its caller has stopped working.
    #[serde(default)]
    pub leaving: bool,
    /// Whether it is to begin no further step.
    #[serde(default)]
    pub paused: bool,
    /// Lines that were DOWN when they were last taken out, or when it was begun.
    #[serde(default)]
    pub down: BTreeSet<Entry>,
    /// What its caller should know at its end, for people: each has been said once as it happened.
    #[serde(default)]
    pub remarks: Vec<String>,
    /// Why its flip is turned back, where it is.
    #[serde(default)]
    pub rollback: Option<String>,
    /// What its holds reach beside the lines of its plan.
    #[serde(default)]
    pub reach: Reach,
}

/// Whether somebody attends to a run: a process that does its work, and whose end is noticed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", tag = "is")]
pub enum CallerState {
    /// Nobody ever has: it is advanced step by step.
    #[default]
    Never,
    /// Somebody does.
    Here,
    /// Nobody does any more.
    Gone {
        /// Since when.
        at: Timestamp,
    },
}

/// What a watch is measured against.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bake {
    /// Of the side that had the traffic before, while the run was under way until then.
    pub before: Counts,
    /// What had been counted of each line of the other side when the watch began.
    pub from: BTreeMap<Entry, Counts>,
}

/// How a run has gone past a step that it has not done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Passed {
    /// It failed there, and was allowed to go on.
    Failed,
    /// The step was about servers that it goes on without.
    Skipped,
}

/// Why a run goes on without a member.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeftOut {
    /// What was wrong with it.
    pub why: String,
    /// Whether it has failed and stays out of service; otherwise it was not touched.
    pub out: bool,
}

/// The state of the step that a run is at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepState {
    /// When it began.
    pub since: Timestamp,
    /// The store's revision of the change that it made, which HAProxy has to confirm. `None`: nothing done yet.
    pub acted: Option<u64>,
    /// What the holds were before that change, to be put back when HAProxy refuses it.
    pub undo: Vec<Undo>,
}

/// One hold as it was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Undo {
    /// There was this one.
    Put(Box<Hold>),
    /// There was none of this number.
    Drop(HoldId),
    /// The route was this one.
    #[serde(alias = "turn")]
    Switch(Box<Route>),
}

/// A flip as it was measured.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Flipped {
    /// The step.
    pub step: usize,
    /// When HAProxy had confirmed it.
    pub at: Timestamp,
    /// From the first byte of the commands to the end of the last reply, in microseconds; the longest of all HAProxys.
    pub took: u64,
    /// Whether an entry of a map turned the traffic, all at once.
    pub route: bool,
}

/// How a run stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "is")]
pub enum RunState {
    /// Going on.
    Running,
    /// Stopped at its step; `advance` tries that step again, `abort` ends the run.
    Failed {
        /// What failed.
        why: String,
        /// What kind of failure.
        kind: FailureKind,
    },
    /// Bringing back what is well.
    Aborting,
    /// Ended before its last step.
    Aborted,
    /// Its flip was turned back, and it has ended.
    RolledBack,
    /// Ended after its last step.
    Done,
}

/// What kind of failure stopped a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FailureKind {
    /// The caller said that its work failed.
    Work,
    /// Servers did not show that they are healthy.
    #[serde(alias = "proof")]
    Verify,
    /// Sessions were left at the deadline.
    Deadline,
    /// HAProxy refused a change.
    Refused,
    /// HAProxy did not answer.
    Unreachable,
    /// Somebody else has taken over servers that the run kept out.
    Taken,
    /// Too few others are in service.
    Guard,
    /// Nobody has done its work.
    Stalled,
    /// The side that got the traffic does worse than the other did, and it cannot be turned back.
    Bake,
}

impl Run {
    /// The step that it is at; `None` after the last.
    pub fn current(&self) -> Option<&Step> {
        self.plan.steps.get(self.cursor)
    }

    /// The members of a group that it is still about.
    pub fn members(&self, group: &GroupName) -> impl Iterator<Item = &PlannedMember> {
        let members = self.plan.groups.get(group).map(Vec::as_slice).unwrap_or_default();
        members.iter().filter(|member| !self.left_out.contains_key(&member.name))
    }

    /// Whether a line is one of this member's.
    pub fn has_line(&self, member: &MemberName, entry: &Entry) -> bool {
        self.member_of(entry) == member
    }

    /// The member that a line is one of: it may be called otherwise.
    pub fn member_of<'a>(&'a self, entry: &'a Entry) -> &'a MemberName {
        let mut planned = self.plan.groups.values().flatten();
        planned.find(|member| member.entries.contains(entry)).map_or(&entry.server.server, |member| &member.name)
    }

    /// Groups that have been worked on.
    pub fn worked_on(&self) -> impl Iterator<Item = &GroupName> {
        let done = self.plan.steps.iter().take(self.cursor);
        let worked = done.filter_map(|step| match step {
            Step::Work { group, phase: Phase::Deploy } => Some(group),
            _ => None,
        });
        worked.filter(|group| self.members(group).next().is_some())
    }

    /// The versions that members which it has deployed to may show; any, where empty. Who comes back when a flip is
    /// turned back has never been worked on.
    pub fn must_show(&self) -> BTreeSet<String> {
        let shown = self.plan.verify.names_version() && self.rollback.is_none();
        self.plan.version.iter().filter(|_| shown).cloned().collect()
    }

    /// Whether it is at a step in which the caller works.
    pub fn is_at_work(&self) -> bool {
        matches!(self.current(), Some(Step::Work { .. }))
    }

    /// Whether it may still change traffic.
    pub fn is_active(&self) -> bool {
        !matches!(self.state, RunState::Aborted | RunState::RolledBack | RunState::Done)
    }
}
