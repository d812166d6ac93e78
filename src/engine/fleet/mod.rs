//! All HAProxy instances together: their reports, the orders that they are given, looks at them, and what is known of
//! HAProxy instances that do not answer.

pub(crate) mod balances;
pub(crate) mod orders;
pub(crate) mod reach;
pub(crate) mod reads;
pub(crate) mod rivals;
pub(crate) mod targets;
