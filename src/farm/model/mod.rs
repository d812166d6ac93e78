//! The records that teeter keeps of farms: holds, routes, and the states of servers before their first hold.

pub(super) mod line_names;
pub(super) mod reach;
pub(super) mod baseline;
pub(super) mod hold;
pub(super) mod route;
pub(super) mod joining;
pub(super) mod renamed;
pub(super) mod weights;
