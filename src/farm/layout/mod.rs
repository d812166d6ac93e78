//! The members and groups of farms among the servers that HAProxy has.

pub(super) mod arrange;
pub(super) mod lines;
pub(super) mod resolve;
pub(super) mod same_process;
pub(super) mod live_side;
