//! What HAProxy does now: instances, servers and routes.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::api::words::{LiveSide, ServerAdmin, SocketLevel};

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
    /// When teeterd last looked at it; `null` before the first look.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub looked: Option<Timestamp>,
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
    /// Requests (TCP: connections) that it was given since the HAProxy process started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requests: Option<u64>,
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
