//! Holds: taken by operators, driven to their end, joined by server lines that come later, released.

mod draining;
pub(crate) mod guard;
pub(crate) mod join;
pub(crate) mod not_reached;
pub(crate) mod progress;
pub(crate) mod refusal;
pub(crate) mod release;
mod sessions;
pub(crate) mod take;
mod take_over;
mod verification;
