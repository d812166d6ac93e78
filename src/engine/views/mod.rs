//! What is shown: status, holds, runs, sessions, the store, findings of the doctor.

/// Findings about the configuration, HAProxy and the store; changes nothing.
pub mod doctor;
pub(crate) mod run;
pub(crate) mod status;
pub(crate) mod store;
