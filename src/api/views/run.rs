//! Runs, their steps, and the callers that work for them.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::drain::{DrainView, EstimateView};
use super::watch::WatchView;
use crate::api::words::{CallerPresence, FlipMeans, RunFailure, RunStatus, RunStrategy, StepStatus, WorkPhase};

/// One run: a deploy or a flip.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct RunView {
    /// Its number.
    pub id: u64,
    /// The farm.
    pub farm: String,
    /// The strategy.
    pub strategy: RunStrategy,
    /// The version that the farm runs at the end.
    pub version: Option<String>,
    /// The state of the run.
    pub state: RunStatus,
    /// Why it failed, as text.
    pub why: Option<String>,
    /// The kind of the failure.
    pub failure: Option<RunFailure>,
    /// The user who started it.
    pub by: String,
    /// When it was started.
    #[schema(value_type = String)]
    pub started: Timestamp,
    /// When it ended; `null` while it is active.
    #[schema(value_type = Option<String>)]
    pub finished: Option<Timestamp>,
    /// The number of the current step, from 0; the number of steps once all steps are done.
    pub cursor: usize,
    /// All steps.
    pub steps: Vec<StepView>,
    /// What it waits for, as text.
    pub waiting: Option<String>,
    /// The longest remaining wait in seconds, if known.
    #[serde(default)]
    pub within_s: Option<u64>,
    /// Requests in flight by member, on the group that is being drained.
    pub in_flight: BTreeMap<String, u64>,
    /// The work that it waits for, if the caller must work now.
    pub work: Option<WorkView>,
    /// Members that the run skips, each with the reason.
    pub skipped: BTreeMap<String, String>,
    /// Server lines of its members that the run skips, as text.
    #[serde(default)]
    pub off: Vec<String>,
    /// HAProxy instances that it goes on without because they do not answer; each gets the change as soon as it
    /// answers.
    #[serde(default)]
    pub without_haproxy: Vec<String>,
    /// Members that it went on without, each with the reason: unhealthy before, or failed and out.
    #[serde(default)]
    pub left_out: BTreeMap<String, String>,
    /// Whether its caller is connected; `null` if the run is advanced step by step.
    #[serde(default)]
    pub caller: Option<CallerPresence>,
    /// The caller that attends to it now; only this caller may report on its work.
    #[serde(default)]
    pub attendant: Option<AttendantView>,
    /// Whether it is paused: it starts no further step.
    #[serde(default)]
    pub paused: bool,
    /// Why it is, or was, rolled back.
    #[serde(default)]
    pub rollback: Option<String>,
    /// Notes on the plan, from before its start.
    #[serde(default)]
    pub notes: Vec<String>,
    /// Notes for the end of the run: checks that were not possible, and skipped members that take traffic.
    #[serde(default)]
    pub remarks: Vec<String>,
    /// The version that each member was last seen to run.
    pub versions: BTreeMap<String, String>,
    /// Its flips, with measured times.
    #[serde(default)]
    pub flips: Vec<FlipView>,
    /// Members that the run keeps out now.
    pub out: Vec<String>,
    /// Server lines that its holds do not reach and that still take requests, each with the reason.
    #[serde(default)]
    pub not_reached: Vec<String>,
    /// The servers of the group that the run is at or, at a step about several groups, of all groups; at most 200, as
    /// HAProxy had them at the last look. Empty in the list of all runs, and for a run that has ended.
    #[serde(default)]
    pub servers: Vec<RunServerView>,
    /// Its drains that have ended, the latest last; at most 100. Empty in the list of all runs.
    #[serde(default)]
    pub drains: Vec<DrainView>,
    /// Its watches, the present one last; at most 1000. Empty in the list of all runs.
    #[serde(default)]
    pub watches: Vec<WatchView>,
    /// How much longer the current drain takes; `null` if there is no ground for a number.
    #[serde(default)]
    pub estimate: Option<EstimateView>,
    /// The next command for the user, as text.
    pub next: Option<String>,
    /// Only in a plan that is not carried out: what to expect of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub forecast: Option<ForecastView>,
}

/// What to expect of a plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ForecastView {
    /// The servers that are deployed to or carry traffic.
    pub servers: usize,
    /// The servers that carry the traffic before the first step.
    pub before: Vec<String>,
    /// The shortest time in seconds, without work, drains and verifications.
    pub least_s: u64,
    /// The sum of all deadlines in seconds; work has none.
    pub most_s: u64,
}

/// A server of a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RunServerView {
    /// Its name.
    pub name: String,
    /// Its group.
    pub group: String,
    /// Its status in HAProxy's words; all of them, if its lines differ; `unknown` if HAProxy does not answer.
    pub status: String,
    /// Whether HAProxy sends new requests to all of its lines.
    pub in_service: bool,
    /// Requests in flight on all of its lines.
    pub in_flight: u64,
    /// The version that it was last seen to run in this run.
    pub version: Option<String>,
    /// Why the run goes on without it.
    pub left_out: Option<String>,
}

/// One step of a run.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct StepView {
    /// The step as text, such as `drain a`.
    pub text: String,
    /// The group that the step is about; `null` if it is about several.
    #[serde(default)]
    pub group: Option<String>,
    /// The state of the step.
    pub state: StepStatus,
    /// The servers that the caller works on in this step.
    #[serde(default)]
    pub servers: Vec<String>,
    /// Only in a plan that is not carried out: what the step does, in a sentence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub does: Option<String>,
    /// Only in a plan that is not carried out: how many servers carry the traffic in this step.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub carry: Option<usize>,
    /// The phase of the caller's work; `null` if the caller does not work in this step.
    #[serde(default)]
    pub phase: Option<WorkPhase>,
    /// When the run came to the step; `null` before.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    pub began: Option<Timestamp>,
    /// When the run went on from the step; `null` before.
    #[serde(default)]
    #[schema(value_type = Option<String>)]
    pub ended: Option<Timestamp>,
}

/// The work that a run waits for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct WorkView {
    /// The number of the step, for the caller's report.
    pub step: usize,
    /// The group to work on.
    pub group: String,
    /// The deploy itself, or a phase around it.
    #[serde(default = "deploy")]
    pub phase: WorkPhase,
    /// Its members' names.
    pub servers: Vec<String>,
    /// Their addresses as host:port, in the same order.
    pub addresses: Vec<String>,
}

fn deploy() -> WorkPhase {
    WorkPhase::Deploy
}

/// A flip, with its measured time.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct FlipView {
    /// The number of the step.
    pub step: usize,
    /// When HAProxy had confirmed it.
    #[schema(value_type = String)]
    pub at: Timestamp,
    /// The time from the first byte of the commands to the end of the last reply, in milliseconds.
    pub took_ms: f64,
    /// How the traffic was switched.
    pub mode: FlipMeans,
}

/// A caller that attends to a run, such as `teeter deploy`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AttendantView {
    /// Its user.
    pub user: String,
    /// Its process id, if known.
    pub pid: Option<i32>,
    /// Its terminal, and the host that it is used from, as reported by the caller.
    pub place: Option<String>,
    /// The command that it runs, as reported by the caller.
    pub what: Option<String>,
    /// All of this as one text.
    pub text: String,
    /// When it started to attend.
    #[schema(value_type = String)]
    pub since: Timestamp,
}

/// Several runs, the latest last.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Runs {
    /// Each of them.
    pub runs: Vec<RunView>,
}
