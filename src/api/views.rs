//! The one snapshot type: what the API answers, the command line prints and metrics count.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::words::{
    CallerPresence, FindingStatus, FlipMeans, HoldStage, LiveSide, RunFailure, RunStatus, RunStrategy, ServerAdmin,
    SocketLevel, StepStatus, WorkPhase,
};

/// What HAProxy says now, and who holds what.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct StatusView {
    /// Every HAProxy.
    pub instances: Vec<InstanceView>,
    /// The servers that were asked for.
    pub servers: Vec<ServerView>,
    /// Where the traffic of farms goes that have a route, of those farms whose servers were asked for.
    #[serde(default)]
    pub routes: Vec<RouteView>,
    /// What went wrong with holds on the servers that were asked for, for people: `hold 3: web01 …`.
    #[serde(default)]
    pub notes: Vec<String>,
}

/// Where a farm's traffic goes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RouteView {
    /// The farm.
    pub farm: String,
    /// The side that gets the traffic: the name of a group, or `all`; `unknown` where HAProxy does not say.
    #[schema(value_type = String)]
    pub live: LiveSide,
    /// Each entry that says so, in each HAProxy.
    pub entries: Vec<RouteEntryView>,
    /// Whether teeter has turned it and keeps it so.
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
    /// The backend that gets the traffic, if there is such an entry.
    pub backend: Option<String>,
}

/// Something that was looked at, and whether it is well.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FindingView {
    /// `ok`, `warning`, `error`, or `unreachable`.
    pub state: FindingStatus,
    /// What was looked at.
    pub about: String,
    /// What was found, and what to do.
    pub text: String,
}

/// One HAProxy.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct InstanceView {
    /// Its name in teeter's configuration.
    pub name: String,
    /// Its stats socket.
    pub socket: String,
    /// Whether it answers. When it does not, its servers are shown as last seen.
    pub reachable: bool,
    /// Why it does not, or what else is wrong.
    pub trouble: Option<String>,
    /// Its process id.
    pub pid: Option<u32>,
    /// Its version.
    pub version: Option<String>,
    /// The level of the stats socket: user, operator or admin.
    pub level: Option<SocketLevel>,
    /// Whether HAProxy agrees with the holds in the store.
    pub agrees: bool,
    /// Whether processes that a reload has left behind are seen: that needs the master's socket.
    #[serde(default)]
    pub sees_old: bool,
    /// Whether it may be away, by its configuration: drains and deploys go on without it then.
    #[serde(default)]
    pub may_be_away: bool,
}

/// One server line.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct ServerView {
    /// The HAProxy it stands in.
    pub instance: String,
    /// Its backend.
    pub backend: String,
    /// Its name.
    pub server: String,
    /// Its address, as host:port.
    pub address: String,
    /// HAProxy's word for its status; `unknown` when HAProxy does not answer.
    pub status: String,
    /// What it was told: ready, drain or maint (from the admin bits).
    pub admin: ServerAdmin,
    /// Whether it takes new requests.
    pub in_service: bool,
    /// Its weight, 0 to 256.
    pub weight: u16,
    /// Requests in flight: those it serves, those that wait for it, connections in use.
    pub in_flight: u64,
    /// Requests (TCP: connections) on it.
    pub scur: u64,
    /// Requests that wait for a place on it.
    pub qcur: u64,
    /// Idle connections that HAProxy keeps open to it.
    pub idle: u64,
    /// Processes that a reload has left behind and that still serve requests on it; counted in `in_flight`.
    #[serde(default)]
    pub old: Vec<OldProcessView>,
    /// The result of its last check.
    pub last_check: String,
    /// The server whose health and maintenance it shares, if any.
    pub tracks: Option<String>,
    /// Whether it is a backup server: it gets traffic only while no other server of its backend can.
    #[serde(default)]
    pub backup: bool,
    /// Numbers of the holds on it.
    pub holds: Vec<u64>,
    /// Who keeps it out, for people: holds with their reasons, as `run 3 (deploy of web)`, and whatever else does, as
    /// `its name has no address`.
    pub held_by: Vec<String>,
}

/// What a process that a reload has left behind still serves on a server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct OldProcessView {
    /// Its process id.
    pub pid: u32,
    /// How long it has been running, in seconds.
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
    /// Why.
    pub reason: String,
    /// The lines it keeps out, as INSTANCE:BACKEND/SERVER.
    pub entries: Vec<String>,
    /// What is out, in short: a member's name where all its lines are held, otherwise its lines as BACKEND/SERVER.
    pub members: Vec<String>,
    /// The state it wants them in: drain or maint, or ready while they empty behind a route that leads elsewhere.
    pub mode: ServerAdmin,
    /// How far it has come: draining, stuck, out, proving, proven, or shared: in traffic with another weight.
    pub stage: HoldStage,
    /// Requests that were left when the policy `proceed` went on.
    pub left: u64,
    /// Since when.
    #[schema(value_type = String)]
    pub since: Timestamp,
    /// When it ends by itself.
    #[schema(value_type = Option<String>)]
    pub expires: Option<Timestamp>,
    /// What it waits for, for people.
    pub waiting: Option<String>,
    /// The same, for programs.
    #[schema(value_type = Option<Object>)]
    pub wait: Option<crate::plan::Wait>,
    /// For how many seconds at most, where that is known.
    #[serde(default)]
    pub within_s: Option<u64>,
    /// Requests in flight, by member, those with any.
    pub in_flight: BTreeMap<String, u64>,
    /// What went wrong last, and what it does not reach.
    pub note: Option<String>,
    /// HAProxys that it goes on without, because they do not answer: they are told as soon as they do.
    #[serde(default)]
    pub without: Vec<String>,
}

/// Which side of a farm gets no traffic.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct IdleView {
    /// The farm.
    pub farm: String,
    /// The group that gets no traffic.
    pub idle: String,
    /// The group that does.
    pub live: String,
    /// The idle group's servers.
    pub servers: Vec<String>,
    /// Their addresses, as host:port, in the same order; empty where HAProxy has none.
    pub addresses: Vec<String>,
}

/// One deploy.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct RunView {
    /// Its number.
    pub id: u64,
    /// The farm.
    pub farm: String,
    /// How it is deployed to.
    pub strategy: RunStrategy,
    /// The version that is to run at the end.
    pub version: Option<String>,
    /// How it stands: running, failed, aborting, aborted, rolled back or done.
    pub state: RunStatus,
    /// Why it failed.
    pub why: Option<String>,
    /// What kind of failure: work, proof, deadline, refused, unreachable, guard (too few others are in service),
    /// bake (worse than before, and no way back), stalled (nobody did the work), or taken: somebody else has taken over servers that the run kept out.
    pub failure: Option<RunFailure>,
    /// Who began it.
    pub by: String,
    /// When.
    #[schema(value_type = String)]
    pub started: Timestamp,
    /// When it ended.
    #[schema(value_type = Option<String>)]
    pub finished: Option<Timestamp>,
    /// The number of the step it is at, from 0; the number of steps when it has ended well.
    pub cursor: usize,
    /// Every step.
    pub steps: Vec<StepView>,
    /// What it waits for, for people.
    pub waiting: Option<String>,
    /// For how many seconds at most, where that is known.
    #[serde(default)]
    pub within_s: Option<u64>,
    /// Requests in flight, by member, on the group being drained.
    pub in_flight: BTreeMap<String, u64>,
    /// Set while the caller is to work: what a hook is told.
    pub work: Option<WorkView>,
    /// Members that the run leaves alone, and why.
    pub skipped: BTreeMap<String, String>,
    /// Lines of its members that are left aside, for people.
    #[serde(default)]
    pub off: Vec<String>,
    /// HAProxys that it goes on without, because they do not answer: they are told as soon as they do.
    #[serde(default)]
    pub without_haproxy: Vec<String>,
    /// Members that it went on without, and why: they were not well before, or have failed and stay out.
    #[serde(default)]
    pub left_out: BTreeMap<String, String>,
    /// Whether the process that does its work is there: `here` or `gone`; nothing where it is advanced step by step.
    #[serde(default)]
    pub caller: Option<CallerPresence>,
    /// The caller that attends to it now, and that alone reports on its work.
    #[serde(default)]
    pub attendant: Option<AttendantView>,
    /// Whether somebody has paused it: it begins no further step.
    #[serde(default)]
    pub paused: bool,
    /// Why its flip is, or was, turned back.
    #[serde(default)]
    pub rollback: Option<String>,
    /// What is to be known before it begins.
    #[serde(default)]
    pub notes: Vec<String>,
    /// What is to be known at its end: what was not judged, and whoever takes traffic and was left alone.
    #[serde(default)]
    pub remarks: Vec<String>,
    /// The version that each member was last seen to run.
    pub versions: BTreeMap<String, String>,
    /// Its flips, as they were measured.
    #[serde(default)]
    pub flips: Vec<FlipView>,
    /// Members that the run keeps out now.
    pub out: Vec<String>,
    /// What its holds do not reach: lines of members that it keeps out and that take requests all the same, and why.
    #[serde(default)]
    pub not_reached: Vec<String>,
    /// The command that goes on from here, for people.
    pub next: Option<String>,
}

/// A caller that attends to a run, such as `teeter deploy`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct AttendantView {
    /// Its user.
    pub user: String,
    /// Its process id, where that is known.
    pub pid: Option<i32>,
    /// Its terminal, and the host that it is used from, as it says.
    pub place: Option<String>,
    /// What it runs, as it says.
    pub what: Option<String>,
    /// The same as one text for people.
    pub text: String,
    /// Since when.
    #[schema(value_type = String)]
    pub since: Timestamp,
}

/// A flip as it was measured.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct FlipView {
    /// The number of the step.
    pub step: usize,
    /// When HAProxy had confirmed it.
    #[schema(value_type = String)]
    pub at: Timestamp,
    /// From the first byte of the commands to the end of the last reply, in milliseconds.
    pub took_ms: f64,
    /// `route`: an entry of a map turned the traffic, all at once. `servers`: while the commands ran, both sides may
    /// have been given requests.
    pub mode: FlipMeans,
}

/// One step of a run.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct StepView {
    /// What it does, in words: `drain a`.
    pub text: String,
    /// How it stands: done, now, failed, skipped or to do.
    pub state: StepStatus,
    /// The servers that the caller works on in it.
    #[serde(default)]
    pub servers: Vec<String>,
}

/// The work that a run waits for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct WorkView {
    /// The number of the step; a report should name it.
    pub step: usize,
    /// The group to work on.
    pub group: String,
    /// On what: deploy, or before-out, after-out or after-in.
    #[serde(default = "deploy")]
    pub phase: WorkPhase,
    /// Its members' names.
    pub servers: Vec<String>,
    /// Their addresses as host:port, in the same order.
    pub addresses: Vec<String>,
}

/// Something that happened.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct EventView {
    /// Its number; later is larger.
    pub id: u64,
    /// When.
    #[schema(value_type = String)]
    pub at: Timestamp,
    /// What kind, a stable word such as `run.note` or `hold.created`.
    pub kind: String,
    /// What happened, for people.
    pub text: String,
    /// The run it belongs to.
    pub run: Option<u64>,
    /// The hold it belongs to.
    pub hold: Option<u64>,
    /// Who asked for it, if somebody did.
    pub caller: Option<CallerView>,
    /// What was other than before after it and after those that were stored together with it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub changed: Vec<ChangedView>,
}

/// What became of one thing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ChangedView {
    /// What: a hold, a run, a farm's route, or what a server is without holds.
    pub what: String,
    /// What it was; `null` where it was not there.
    pub before: Option<String>,
    /// What it is; `null` where it is not there any more.
    pub after: Option<String>,
}

/// Who asked for a change, as the kernel says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CallerView {
    /// User id.
    pub uid: u32,
    /// Group id.
    pub gid: u32,
    /// Process id.
    pub pid: Option<i32>,
    /// The user's name, or its number.
    pub user: String,
    /// The name of the process.
    pub command: String,
    /// The program that it ran, where teeterd may see that: as root, or where both are the same user's.
    #[serde(default)]
    pub exe: Option<String>,
    /// As whom somebody logged in, where the process is another user's by now, as by sudo.
    #[serde(default)]
    pub login: Option<LoginView>,
}

/// The user as whom somebody logged in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LoginView {
    /// User id.
    pub uid: u32,
    /// The user's name, or its number.
    pub user: String,
}

/// A session that is still on a server.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct SessionView {
    /// The HAProxy it is in.
    pub instance: String,
    /// The server it is on.
    pub server: String,
    /// The process that serves it, where a reload has left that behind.
    #[serde(default)]
    pub old_pid: Option<u32>,
    /// Its identity in that HAProxy process.
    pub id: String,
    /// The client's address.
    pub client: String,
    /// The frontend it came through.
    pub frontend: String,
    /// How long it has been there, in HAProxy's words.
    pub age: String,
    /// Bytes from the client; only the first sessions are asked for it.
    pub bytes_in: Option<u64>,
    /// Bytes to the client.
    pub bytes_out: Option<u64>,
}

/// What the store holds, and whether it is whole.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct StoreView {
    /// The file; none where it is the store that teeterd has open.
    pub path: Option<String>,
    /// The schema that the file has.
    pub schema: u32,
    /// Rises with every transaction.
    pub revision: u64,
    /// How many holds.
    pub holds: usize,
    /// Of how many server lines it is remembered what they were before they were held.
    pub baselines: usize,
    /// Of how many farms the traffic is turned.
    pub routes: usize,
    /// How many runs.
    pub runs: usize,
    /// How many events.
    pub events: usize,
    /// What is wrong, for people; empty where it is whole.
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
