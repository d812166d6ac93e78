//! What servers must show before they take traffic again: HAProxy's checks, teeter's own requests, versions, warm-up.

pub(crate) mod asking;
pub(crate) mod checks;
pub(crate) mod settings;
pub(crate) mod judge;
pub(crate) mod other_version;
pub(crate) mod probing;
pub(crate) mod warm_up;
