//! Farms and HAProxys that are no longer configured, or have another name now: what the store has of them.

pub(crate) mod forget;
pub(crate) mod left_over;
pub(crate) mod renamed;
