//! The state that HAProxy shows: its servers, maps and processes.

pub(super) mod server;
pub(super) mod servers;
pub(super) mod process;
pub(super) mod maps;
pub(super) mod off;
pub(super) mod snapshot;
pub(super) mod out;
pub(super) mod in_use;
pub(super) mod counts;
pub(super) mod balance;
