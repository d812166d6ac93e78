//! Runs: each is one deploy, as it is stored.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::attendant::Attendant;
use super::members::PlannedMember;
use super::run_plan::Plan;
use super::step::Step;
use super::step_times::StepTimes;
use super::strategy::Phase;
use super::watch::Bake;
use crate::farm::{Counts, Entry, GroupName, Hold, HoldId, InstanceName, MemberName, Process, Reach, Route, RunId};

/// One deploy or flip: its plan, its present step, and the results so far.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Run {
    /// Its number.
    pub id: RunId,
    /// Its plan.
    pub plan: Plan,
    /// The index of the step that it is at.
    pub cursor: usize,
    /// The state of that step.
    pub step: StepState,
    /// Whether it goes on, has stopped or has ended.
    pub state: RunState,
    /// The user that began it.
    pub by: String,
    /// When it began.
    pub started: Timestamp,
    /// When it ended; `None` before.
    pub finished: Option<Timestamp>,
    /// Its holds, by group.
    pub holds: BTreeMap<GroupName, HoldId>,
    /// The version that each member was last seen to run.
    pub versions: BTreeMap<MemberName, String>,
    /// Its flips, as they were measured.
    #[serde(default)]
    pub flips: Vec<Flipped>,
    /// Members of its plan that it goes on without.
    #[serde(default)]
    pub left_out: BTreeMap<MemberName, LeftOut>,
    /// Steps that it has passed without having done them.
    #[serde(default)]
    pub passed: BTreeMap<usize, Passed>,
    /// HAProxy's counters at the start of the run; empty if the plan has no bake.
    #[serde(default)]
    pub counted: BTreeMap<Entry, Counts>,
    /// The HAProxy processes that counted these.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub counted_by: BTreeMap<InstanceName, Process>,
    /// The counters with which its last watch is compared.
    #[serde(default)]
    pub bake: Option<Bake>,
    /// Whether a caller is attached to it.
    #[serde(default)]
    pub caller: CallerState,
    /// The caller that is attached to it, or was last.
    #[serde(default)]
    pub attended: Option<Attendant>,
    /// Whether it is being aborted and waits until its caller has stopped working.
    #[serde(default)]
    pub leaving: bool,
    /// Whether it is to begin no further step.
    #[serde(default)]
    pub paused: bool,
    /// Lines that were DOWN when they were last taken out, or when it was begun.
    #[serde(default)]
    pub down: BTreeSet<Entry>,
    /// Remarks for its caller to read at the end; each was recorded as an event when it arose.
    #[serde(default)]
    pub remarks: Vec<String>,
    /// Why it is rolled back; `None` where it is not.
    #[serde(default)]
    pub rollback: Option<String>,
    /// When it began and ended its steps; without those that it skipped, or did before teeterd recorded this.
    #[serde(default)]
    pub times: BTreeMap<usize, StepTimes>,
    /// Which lines its holds cover beside those of its plan.
    #[serde(default)]
    pub reach: Reach,
}

/// Whether a caller is attached to a run: a process that does its work, and whose end teeterd notices.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", tag = "is")]
pub enum CallerState {
    /// No caller ever was: the run is advanced by single commands.
    #[default]
    Never,
    /// A caller is attached.
    Here,
    /// The caller is not attached any more.
    Gone {
        /// When it left.
        at: Timestamp,
    },
}

/// Why a run has passed a step that it has not done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Passed {
    /// The step failed, and the run was allowed to go on.
    Failed,
    /// The step was about servers that the run goes on without.
    Skipped,
}

/// Why a run goes on without a member.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeftOut {
    /// The problem with the member, as text.
    pub why: String,
    /// Whether it has failed and stays out of service; otherwise the run has not changed it.
    pub out: bool,
}

/// The state of the step that a run is at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StepState {
    /// When it began.
    pub since: Timestamp,
    /// The store's revision of the step's change, which HAProxy must confirm. `None`: nothing has been done yet.
    pub acted: Option<u64>,
    /// The holds and the route before that change, to be restored when HAProxy refuses it.
    pub undo: Vec<Undo>,
}

/// One hold, or the route, before a step's change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Undo {
    /// There was this hold.
    Put(Box<Hold>),
    /// There was no hold with this number.
    Drop(HoldId),
    /// The route was this one.
    #[serde(alias = "turn")]
    Switch(Box<Route>),
}

/// A flip as it was measured.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Flipped {
    /// The index of the step.
    pub step: usize,
    /// When HAProxy had confirmed it.
    pub at: Timestamp,
    /// Microseconds from the first byte of the commands to the end of the last reply, in the slowest HAProxy.
    pub took: u64,
    /// Whether a route switched the traffic, by one entry of a map.
    pub route: bool,
}

/// Whether a run goes on, has stopped or has ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "is")]
pub enum RunState {
    /// It goes on.
    Running,
    /// It has stopped at its step; `advance` tries that step again, `abort` ends the run.
    Failed {
        /// What failed, in words.
        why: String,
        /// The kind of failure.
        kind: FailureKind,
    },
    /// It is being aborted, and brings back its healthy members.
    Aborting,
    /// It has ended before its last step.
    Aborted,
    /// It was rolled back, and has ended.
    RolledBack,
    /// It has ended after its last step.
    Done,
}

/// What kind of failure stopped a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FailureKind {
    /// The caller reported that its work failed.
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
    /// Another user has taken over servers that the run kept out.
    Taken,
    /// Too few other members are in service.
    Guard,
    /// No caller has done the run's work.
    Stalled,
    /// The side that got the traffic does worse than the other did, and the run cannot be rolled back.
    Bake,
}

impl Run {
    /// The step that it is at; `None` after the last.
    pub fn current(&self) -> Option<&Step> {
        self.plan.steps.get(self.cursor)
    }

    /// The members of a group, without those that the run goes on without.
    pub fn members(&self, group: &GroupName) -> impl Iterator<Item = &PlannedMember> {
        let members = self.plan.groups.get(group).map(Vec::as_slice).unwrap_or_default();
        members.iter().filter(|member| !self.left_out.contains_key(&member.name))
    }

    /// Whether a line belongs to this member.
    pub fn has_line(&self, member: &MemberName, entry: &Entry) -> bool {
        self.member_of(entry) == member
    }

    /// The member that a line belongs to; the line may have another name.
    pub fn member_of<'a>(&'a self, entry: &'a Entry) -> &'a MemberName {
        let mut planned = self.plan.groups.values().flatten();
        planned.find(|member| member.entries.contains(entry)).map_or(&entry.server.server, |member| &member.name)
    }

    /// The groups that have been worked on.
    pub fn worked_on(&self) -> impl Iterator<Item = &GroupName> {
        let done = self.plan.steps.iter().take(self.cursor);
        let worked = done.filter_map(|step| match step {
            Step::Work { group, phase: Phase::Deploy } => Some(group),
            _ => None,
        });
        worked.filter(|group| self.members(group).next().is_some())
    }

    /// The versions that members may run after the deploy; any, where empty. Also any in a rollback: the members that
    /// come back were never worked on.
    pub fn must_show(&self) -> BTreeSet<String> {
        let shown = self.plan.verify.names_version() && self.rollback.is_none();
        self.plan.version.iter().filter(|_| shown).cloned().collect()
    }

    /// Whether it is at a step in which the caller works.
    pub fn is_at_work(&self) -> bool {
        matches!(self.current(), Some(Step::Work { .. }))
    }

    /// Whether the caller has work to do in a later step.
    pub fn has_work_to_do(&self) -> bool {
        self.plan.steps.iter().skip(self.cursor).any(|step| matches!(step, Step::Work { .. }))
    }

    /// Forgets the counters that only its watches need: the watches themselves are kept apart from it.
    pub fn forget_counters(&mut self) {
        self.counted.clear();
        self.counted_by.clear();
        self.bake = None;
    }

    /// Whether it may still change traffic.
    pub fn is_active(&self) -> bool {
        !matches!(self.state, RunState::Aborted | RunState::RolledBack | RunState::Done)
    }
}
