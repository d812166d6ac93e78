//! What clients send over the control socket.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::selectors::Selectors;
use super::words::{RunStrategy, WorkPhase};
use crate::farm::{BatchSize, FarmName, FlipOrder, InstanceName, OnDeadline, Side, Span, StallAction, Steps};
use crate::haproxy::AdminState;
use crate::plan::{Phase, Strategy};

/// `POST /v1/holds`: take servers out.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct HoldRequest {
    /// The servers to take out.
    #[schema(value_type = Vec<String>)]
    pub selectors: Selectors,
    /// How the servers go out.
    pub mode: HoldMode,
    /// The reason, shown by `teeter holds`.
    pub reason: String,
    /// Time after which the hold ends by itself, such as `2h`.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    pub expires_in: Option<Span>,
    /// Time for which sticky clients may stay; then the servers go to maintenance.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    pub grace: Option<Span>,
    /// The longest wait until nothing is in flight.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    pub deadline: Option<Span>,
    /// What to do at the deadline: `fail`, `kill`, `proceed` or `restore`.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    pub on_deadline: Option<OnDeadline>,
    /// Wait also until HAProxy keeps no idle connections to the servers.
    #[serde(default)]
    pub idle: bool,
    /// Also take the last servers of a backend.
    #[serde(default)]
    pub allow_outage: bool,
    /// Refuse if a farm would have fewer members in service than its `min_available`, even if other members are out
    /// already.
    #[serde(default)]
    pub all_but_min: bool,
    /// HAProxy instances that may be unreachable; each gets the change as soon as it answers.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    #[schema(value_type = Vec<String>)]
    pub without_haproxy: BTreeSet<InstanceName>,
}

/// How the servers of a hold go out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum HoldMode {
    /// No new clients; sticky clients may stay until the grace ends.
    Drain,
    /// No clients at all.
    Maint,
}

impl From<HoldMode> for AdminState {
    fn from(mode: HoldMode) -> Self {
        match mode {
            HoldMode::Drain => Self::Drain,
            HoldMode::Maint => Self::Maint,
        }
    }
}

/// `POST /v1/release`: bring servers back.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ReleaseRequest {
    /// The servers to bring back.
    #[schema(value_type = Vec<String>)]
    pub selectors: Selectors,
    /// Whether the servers must be verified first.
    pub verify: bool,
    /// Time for the verification, such as `5m`; `verify.deadline` of their farm where unset.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    pub deadline: Option<Span>,
    /// Also bring back servers that run another version than the servers in service.
    #[serde(default)]
    pub force: bool,
    /// Also bring back servers that were set to maintenance or drain outside teeter.
    #[serde(default)]
    pub take_over: bool,
    /// The owner of the holds to end; the caller where unset. Holds of runs that have ended are released too.
    #[serde(default)]
    pub owner: Option<String>,
    /// HAProxy instances that may be unreachable; each gets the change as soon as it answers.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    #[schema(value_type = Vec<String>)]
    pub without_haproxy: BTreeSet<InstanceName>,
}

/// `POST /v1/forget`: delete the records of a farm or a HAProxy that is not configured any more.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ForgetRequest {
    /// The farm; set either this or `haproxy`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub farm: Option<FarmName>,
    /// The HAProxy instance.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub haproxy: Option<InstanceName>,
}

/// The deleted records.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct ForgottenView {
    /// The deleted records, as text.
    pub forgotten: String,
}

/// `POST /v1/runs`: start a deploy or a flip.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RunRequest {
    /// The farm.
    #[schema(value_type = String)]
    pub farm: FarmName,
    /// How to deploy; `flip` does no work and only switches the traffic. `see-saw` where unset.
    #[serde(default)]
    #[schema(value_type = Option<RunStrategy>)]
    pub strategy: Option<Strategy>,
    /// The side that a flip switches the traffic to: the name of a group, or `all`.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    pub to: Option<Side>,
    /// Which servers change first where the traffic is switched server by server: `overlap` or `gap`.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    pub order: Option<FlipOrder>,
    /// The version that the farm runs at the end.
    #[serde(default)]
    pub version: Option<String>,
    /// Only make the plan and check whether a guard refuses it.
    #[serde(default)]
    pub dry_run: bool,
    /// Time for which sticky clients may stay; the setting of the farm where unset.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    pub grace: Option<Span>,
    /// The longest wait until nothing is in flight; the setting of the farm where unset.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    pub deadline: Option<Span>,
    /// What to do at the deadline: `fail`, `kill`, `proceed` or `restore`; the setting of the farm where unset.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    pub on_deadline: Option<OnDeadline>,
    /// What to do if the caller does not report its work: `hold` or `restore`, after `stall_after`.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    pub on_stall: Option<StallAction>,
    /// Time without a report, such as `30m`.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    pub stall_after: Option<Span>,
    /// For `canary`: the shares of the traffic to try, such as `5%,25%,100%`.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    pub steps: Option<Steps>,
    /// For `canary`: how long each share lasts.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    pub pause: Option<Span>,
    /// For `rolling`: how many members go out together, `2` or `25%`.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    pub batch: Option<BatchSize>,
    /// For `rolling`: time for servers to settle after the work.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    pub settle: Option<Span>,
    /// For `rolling`: how many servers may fail and stay out before the run stops.
    #[serde(default)]
    pub max_failed: Option<usize>,
    /// For `rolling`: go on even if too few servers are left in service.
    #[serde(default)]
    pub allow_outage: bool,
    /// Selectors of members to skip.
    #[serde(default)]
    #[schema(value_type = Vec<String>)]
    pub without: Selectors,
    /// Work of the caller around the deploy itself: `before-out`, `after-out`, `after-in`.
    #[serde(default)]
    #[schema(value_type = Vec<WorkPhase>)]
    pub phases: Vec<Phase>,
    /// HAProxy instances that may be unreachable; each gets the change as soon as it answers.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    #[schema(value_type = Vec<String>)]
    pub without_haproxy: BTreeSet<InstanceName>,
}

impl RunRequest {
    /// A deploy to this farm, with the settings of the farm.
    pub fn new(farm: FarmName) -> Self {
        Self {
            farm,
            strategy: None,
            to: None,
            order: None,
            version: None,
            dry_run: false,
            grace: None,
            deadline: None,
            on_deadline: None,
            on_stall: None,
            stall_after: None,
            steps: None,
            pause: None,
            batch: None,
            settle: None,
            max_failed: None,
            allow_outage: false,
            without: Selectors::default(),
            phases: Vec::new(),
            without_haproxy: BTreeSet::new(),
        }
    }
}

/// `POST /v1/runs/{id}/rollback`: roll back a run.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RollbackRequest {
    /// The reason, for the record.
    #[serde(default)]
    pub reason: Option<String>,
}

/// `POST /v1/runs/{id}/advance`: report that the caller's work is done or failed, or try a failed step again.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AdvanceRequest {
    /// The number of the step of the report; the current step where unset.
    #[serde(default)]
    pub step: Option<usize>,
    /// The reason, if the work failed.
    #[serde(default)]
    pub failed: Option<String>,
    /// The key of the caller that attends to the run, if this caller reports.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// Report even if another caller attends to the run; the hook of that caller is ended.
    #[serde(default)]
    pub force: bool,
}

/// `POST /v1/runs/{id}/output`: store output of the run's hooks with the run.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct OutputRequest {
    /// The lines, in their order; at most 1000.
    pub lines: Vec<OutputLine>,
}

/// One line of a hook's output.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct OutputLine {
    /// The group or server that the hook worked on.
    pub from: String,
    /// The line.
    pub text: String,
}

/// The answer to stored hook output.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct OutputView {
    /// Whether teeterd takes more output of this run.
    pub more: bool,
}

/// The most bytes of hook output that teeterd keeps of one run; each line counts [`OUTPUT_LINE_OVERHEAD`] bytes more.
pub const MOST_OUTPUT_OF_A_RUN: usize = 256 << 10;

/// The most bytes that teeterd keeps of one line of hook output.
pub const LONGEST_OUTPUT_LINE: usize = 4 << 10;

/// The bytes that a line of hook output counts beside its text.
pub const OUTPUT_LINE_OVERHEAD: usize = 64;
