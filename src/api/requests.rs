//! What clients send over the control socket.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// `POST /v1/holds`: take servers out.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct HoldRequest {
    /// Which servers.
    pub selectors: Vec<String>,
    /// `drain` or `maint`.
    pub mode: String,
    /// Why, for whoever looks at `teeter holds`.
    pub reason: String,
    /// End by itself after this time, such as `2h`.
    #[serde(default)]
    pub expires_in: Option<String>,
    /// Let clients that stick to the server go on for this time, then go to maintenance.
    #[serde(default)]
    pub grace: Option<String>,
    /// How long to wait until nothing is in flight.
    #[serde(default)]
    pub deadline: Option<String>,
    /// `fail`, `kill`, `proceed` or `restore`.
    #[serde(default)]
    pub on_deadline: Option<String>,
    /// Wait, too, until HAProxy keeps no idle connections to the servers.
    #[serde(default)]
    pub idle: bool,
    /// Take the last servers of a backend too.
    #[serde(default)]
    pub allow_outage: bool,
    /// Refuse rather than leave a farm fewer members in service than its `min_available`, whatever is out already.
    #[serde(default)]
    pub all_but_min: bool,
    /// HAProxys that do not answer and that are gone on without; they are told as soon as they do.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub without_haproxy: Vec<String>,
}

/// `POST /v1/release`: bring servers back.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ReleaseRequest {
    /// Which servers.
    pub selectors: Vec<String>,
    /// Whether they must show first that they are well.
    pub verify: bool,
    /// How long they may take to show that, such as `5m`; what `verify.deadline` of their farm says, where unset.
    #[serde(default)]
    pub deadline: Option<String>,
    /// Bring back, too, what runs another version than those in service.
    #[serde(default)]
    pub force: bool,
    /// Bring back, too, what somebody else has put in maintenance or drain.
    #[serde(default)]
    pub take_over: bool,
    /// Whose holds; the caller's own where unset. Holds of runs that have ended are released too.
    #[serde(default)]
    pub owner: Option<String>,
    /// HAProxys that do not answer and that are gone on without; they are told as soon as they do.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub without_haproxy: Vec<String>,
}

/// `POST /v1/forget`: forget what the store keeps of a farm or a HAProxy that is not configured any more.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ForgetRequest {
    /// Which farm.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub farm: Option<String>,
    /// Or which HAProxy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub haproxy: Option<String>,
}

/// What has been forgotten.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct ForgottenView {
    /// What that was, for people.
    pub forgotten: String,
}

/// `POST /v1/runs`: begin a deploy or a flip.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RunRequest {
    /// Which farm.
    pub farm: String,
    /// `see-saw`, `rolling`, `blue-green` or `canary`; or `flip`: no work, only turn the traffic.
    #[serde(default)]
    pub strategy: Option<String>,
    /// Where a flip turns the traffic to: the name of a group, or `all`.
    #[serde(default)]
    pub to: Option<String>,
    /// Who goes first where servers are turned one by one: `overlap` or `gap`.
    #[serde(default)]
    pub order: Option<String>,
    /// The version that is to run at the end.
    #[serde(default)]
    pub version: Option<String>,
    /// Only say what would be done.
    #[serde(default)]
    pub dry_run: bool,
    /// What the farm's configuration says, where unset.
    #[serde(default)]
    pub grace: Option<String>,
    /// What the farm's configuration says, where unset.
    #[serde(default)]
    pub deadline: Option<String>,
    /// What the farm's configuration says, where unset.
    #[serde(default)]
    pub on_deadline: Option<String>,
    /// What becomes of the run when nobody does its work: `hold` or `restore`, after `stall_after`.
    #[serde(default)]
    pub on_stall: Option<String>,
    /// After what time without a report, such as `30m`.
    #[serde(default)]
    pub stall_after: Option<String>,
    /// For `canary`: the shares of the traffic that are tried, as `5%,25%,100%`.
    #[serde(default)]
    pub steps: Option<String>,
    /// For `canary`: how long each share lasts.
    #[serde(default)]
    pub pause: Option<String>,
    /// For `rolling`: how many members go out together, `2` or `25%`.
    #[serde(default)]
    pub batch: Option<String>,
    /// For `rolling`: how long servers may come to rest after the work.
    #[serde(default)]
    pub settle: Option<String>,
    /// For `rolling`: servers that may fail and stay out before the run stands still.
    #[serde(default)]
    pub max_failed: Option<usize>,
    /// For `rolling`: go on, too, where too few are left in service.
    #[serde(default)]
    pub allow_outage: bool,
    /// Members that are left aside as they are, by selectors.
    #[serde(default)]
    pub without: Vec<String>,
    /// What the caller does around the deploy itself: `before-out`, `after-out`, `after-in`.
    #[serde(default)]
    pub phases: Vec<String>,
    /// HAProxys that do not answer and that are gone on without; they are told as soon as they do.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub without_haproxy: Vec<String>,
}

/// `POST /v1/runs/{id}/rollback`: turn a run's flip back.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RollbackRequest {
    /// Why, for the log.
    #[serde(default)]
    pub reason: Option<String>,
}

/// `POST /v1/runs/{id}/advance`: the caller's work is done or has failed; or try a failed step again.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct AdvanceRequest {
    /// The number of the step that the report is about; the step the run is at where unset.
    #[serde(default)]
    pub step: Option<usize>,
    /// Set when the work failed: how.
    #[serde(default)]
    pub failed: Option<String>,
    /// The key of the caller that attends to the run, where that is who reports.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// Report all the same while another caller attends to the run: the hook of that caller is ended.
    #[serde(default)]
    pub force: bool,
}

/// `POST /v1/runs/{id}/output`: what the run's hooks have said, to be kept with it.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct OutputRequest {
    /// The lines, the first first; at most 1000.
    pub lines: Vec<OutputLine>,
}

/// A line that a hook has said.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct OutputLine {
    /// The group or the server that the hook worked on.
    pub from: String,
    /// What it said.
    pub text: String,
}

/// What became of a hook's output.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct OutputView {
    /// Whether there is room for more of it.
    pub more: bool,
}

/// The most bytes of hook output that teeterd keeps of one run; each line counts [`OUTPUT_LINE_OVERHEAD`] bytes more.
pub const MOST_OUTPUT_OF_A_RUN: usize = 256 << 10;

/// The most bytes that teeterd keeps of one line of hook output.
pub const LONGEST_OUTPUT_LINE: usize = 4 << 10;

/// The bytes that a line of hook output counts beside its text.
pub const OUTPUT_LINE_OVERHEAD: usize = 64;
