//! Views for readers: status, holds, runs, the store, and findings of the doctor.

/// Findings about the configuration, HAProxy and the store; changes nothing.
pub mod doctor;
pub(crate) mod hold;
mod names;
mod places;
pub(crate) mod run;
pub(crate) mod status;
pub(crate) mod store;
