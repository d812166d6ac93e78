//! What the store still has of farms and HAProxy instances that the configuration has no more, or calls otherwise.

pub(crate) mod forget;
pub(crate) mod left_over;
pub(crate) mod renamed;
