//! HAProxy: its socket, its quirks, its processes, and server lines that come and go.

mod dynamic_servers;
mod farm_members;
mod many_servers;
mod old_workers;
mod process_identity;
mod quirks;
mod removed_farms;
mod renamed_backends;
mod same_names;
mod socket_commands;
mod socket_kinds;
pub(crate) mod transcripts;
mod unusual_bytes;
