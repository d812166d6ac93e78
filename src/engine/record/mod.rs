//! The one door to the store: the ledger, who asked for a change, what is recorded of it, what is pruned.

pub(crate) mod audit;
pub(crate) mod clock_set_back;
pub(crate) mod ledger;
pub(crate) mod requester;
pub(crate) mod retention;
pub(crate) mod troubles;
