//! Sessions that are still on a server.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

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

/// Several sessions.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Sessions {
    /// Each of them.
    pub sessions: Vec<SessionView>,
}
