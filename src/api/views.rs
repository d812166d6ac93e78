//! The documents that the API answers with, and that the command line prints.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::events::EventView;
use super::words::{
    CallerPresence, FindingStatus, FlipMeans, HoldStage, LiveSide, RunFailure, RunStatus, RunStrategy, ServerAdmin,
    SocketLevel, StepStatus, WorkPhase,
};

/// The current state of HAProxy, and the holds.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct StatusView {
    /// All HAProxy instances.
    pub instances: Vec<InstanceView>,
    /// The selected servers.
    pub servers: Vec<ServerView>,
    /// The routes of the farms that the selected servers belong to.
    #[serde(default)]
    pub routes: Vec<RouteView>,
    /// Problems with holds on the selected servers, as text: `hold 3: web01 …`.
    #[serde(default)]
    pub notes: Vec<String>,
}

/// The route of a farm: the side that gets its traffic.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RouteView {
    /// The farm.
    pub farm: String,
    /// The side that gets the traffic: the name of a group, or `all`; `unknown` if it is not known.
    #[schema(value_type = String)]
    pub live: LiveSide,
    /// The map entries that decide it, in each HAProxy.
    pub entries: Vec<RouteEntryView>,
    /// Whether teeter has switched the traffic, and keeps it there.
    pub kept: bool,
}

/// An entry of a map, as HAProxy has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RouteEntryView {
    /// The HAProxy.
    pub instance: String,
    /// The map.
    pub map: String,
    /// The key.
    pub key: String,
    /// The backend that gets the traffic; `null` if the map has no such entry.
    pub backend: Option<String>,
}

/// One result of an examination by `teeter doctor`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FindingView {
    /// The result.
    pub state: FindingStatus,
    /// The examined object.
    pub about: String,
    /// The finding, and how to fix it.
    pub text: String,
}

/// One HAProxy instance.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct InstanceView {
    /// Its name in teeter's configuration.
    pub name: String,
    /// Its stats socket.
    pub socket: String,
    /// Whether it answers. If not, its servers are shown as last seen.
    pub reachable: bool,
    /// Why it does not answer, or another problem.
    pub trouble: Option<String>,
    /// The process id.
    pub pid: Option<u32>,
    /// Its version.
    pub version: Option<String>,
    /// The level of the stats socket.
    pub level: Option<SocketLevel>,
    /// Whether HAProxy agrees with the holds in the store.
    pub agrees: bool,
    /// Whether teeter sees processes left behind by a reload, for which it needs the master's socket.
    #[serde(default)]
    pub sees_old: bool,
    /// Whether the configuration allows it to be unreachable: drains and deploys then go on without it.
    #[serde(default)]
    pub may_be_away: bool,
}

/// One server line of a backend.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct ServerView {
    /// The HAProxy that has it.
    pub instance: String,
    /// Its backend.
    pub backend: String,
    /// Its name.
    pub server: String,
    /// Its address, as host:port.
    pub address: String,
    /// HAProxy's word for its status; `unknown` when HAProxy does not answer.
    pub status: String,
    /// The state that was set by an administrator, from the admin bits.
    pub admin: ServerAdmin,
    /// Whether it takes new requests.
    pub in_service: bool,
    /// Its weight, 0 to 256.
    pub weight: u16,
    /// Requests in flight: running requests, queued requests, and connections in use.
    pub in_flight: u64,
    /// Running requests (TCP: connections).
    pub scur: u64,
    /// Requests queued for it.
    pub qcur: u64,
    /// Idle connections that HAProxy keeps open to it.
    pub idle: u64,
    /// Processes left behind by a reload that still serve requests on it; counted in `in_flight`.
    #[serde(default)]
    pub old: Vec<OldProcessView>,
    /// The result of its last check.
    pub last_check: String,
    /// The server that it tracks, if any.
    pub tracks: Option<String>,
    /// Whether it is a backup server: it gets traffic only while no other server of its backend can serve.
    #[serde(default)]
    pub backup: bool,
    /// The farm that it belongs to, if any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub farm: Option<String>,
    /// Its group in that farm.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// The member of the farm that it is a line of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub member: Option<String>,
    /// The version of that member, as the runs of the farm have recorded it last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Numbers of the holds on it.
    pub holds: Vec<u64>,
    /// The owners of these holds, in the same order: a user's name, or `run N`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub holders: Vec<String>,
    /// What keeps it out, as text: holds with their reasons, such as `run 3 (deploy of web)`, and other causes, such as
    /// `its name has no address`.
    pub held_by: Vec<String>,
}

/// A process left behind by a reload that still serves requests on a server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct OldProcessView {
    /// The process id.
    pub pid: u32,
    /// Its age in seconds.
    pub age_secs: u64,
    /// Requests in flight.
    pub in_flight: u64,
}

/// One hold.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct HoldView {
    /// Its number.
    pub id: u64,
    /// Its owner: a user's name, or `run N`.
    pub owner: String,
    /// The reason.
    pub reason: String,
    /// The server lines that it holds, as INSTANCE:BACKEND/SERVER.
    pub entries: Vec<String>,
    /// The servers that are out: the name of a member if all its lines are held, otherwise its lines as BACKEND/SERVER.
    pub members: Vec<String>,
    /// The state that it sets: drain or maint, or ready while the servers drain because their route leads elsewhere.
    pub mode: ServerAdmin,
    /// How far the hold has come.
    pub stage: HoldStage,
    /// Requests that were in flight when the policy `proceed` went on.
    pub left: u64,
    /// When it was created.
    #[schema(value_type = String)]
    pub since: Timestamp,
    /// When it ends by itself; `null` if it does not.
    #[schema(value_type = Option<String>)]
    pub expires: Option<Timestamp>,
    /// What it waits for, as text.
    pub waiting: Option<String>,
    /// What it waits for, for programs.
    #[schema(value_type = Option<Object>)]
    pub wait: Option<crate::plan::Wait>,
    /// The longest remaining wait in seconds, if known.
    #[serde(default)]
    pub within_s: Option<u64>,
    /// Requests in flight by member; members without any are left out.
    pub in_flight: BTreeMap<String, u64>,
    /// The last problem, and the lines that the hold does not reach.
    pub note: Option<String>,
    /// HAProxy instances that it goes on without because they do not answer; each gets the change as soon as it answers.
    #[serde(default)]
    pub without: Vec<String>,
}

/// The side of a farm that gets no traffic.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct IdleView {
    /// The farm.
    pub farm: String,
    /// The group that gets no traffic.
    pub idle: String,
    /// The group that gets the traffic.
    pub live: String,
    /// The idle group's servers.
    pub servers: Vec<String>,
    /// Their addresses as host:port, in the same order; an address is empty if HAProxy has none.
    pub addresses: Vec<String>,
}

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
    /// HAProxy instances that it goes on without because they do not answer; each gets the change as soon as it answers.
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

/// One step of a run.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct StepView {
    /// The step as text, such as `drain a`.
    pub text: String,
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

/// A session that is still on a server.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct SessionView {
    /// The HAProxy that has it.
    pub instance: String,
    /// The server that serves it.
    pub server: String,
    /// The process id, if a reload has left the process behind.
    #[serde(default)]
    pub old_pid: Option<u32>,
    /// Its id in that HAProxy process.
    pub id: String,
    /// The client's address.
    pub client: String,
    /// The frontend it came through.
    pub frontend: String,
    /// Its age, as printed by HAProxy.
    pub age: String,
    /// Bytes from the client; only known for the first sessions of the list.
    pub bytes_in: Option<u64>,
    /// Bytes to the client.
    pub bytes_out: Option<u64>,
}

/// The contents of the store, and the result of its verification.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct StoreView {
    /// The file; `null` for the store of the running teeterd.
    pub path: Option<String>,
    /// The schema that the file has.
    pub schema: u32,
    /// Rises with every transaction.
    pub revision: u64,
    /// The number of holds.
    pub holds: usize,
    /// The number of server lines with a stored state from before their first hold.
    pub baselines: usize,
    /// The number of farms with a stored route.
    pub routes: usize,
    /// The number of runs.
    pub runs: usize,
    /// The number of events.
    pub events: usize,
    /// The problems found, as text; empty if the store is intact.
    pub problems: Vec<String>,
}

/// Several holds.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Holds {
    /// Each of them.
    pub holds: Vec<HoldView>,
}

/// Several runs, the latest last.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Runs {
    /// Each of them.
    pub runs: Vec<RunView>,
}

/// Several sessions.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Sessions {
    /// Each of them.
    pub sessions: Vec<SessionView>,
}

/// What `teeter doctor` examined, and the result of each examination.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Findings {
    /// Each of them.
    pub findings: Vec<FindingView>,
}

/// Several events, the latest last.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Events {
    /// Each of them.
    pub events: Vec<EventView>,
}

fn deploy() -> WorkPhase {
    WorkPhase::Deploy
}
