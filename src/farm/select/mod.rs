//! How people name servers.

pub(super) mod host;
pub(super) mod pattern;
pub(super) mod selector;
