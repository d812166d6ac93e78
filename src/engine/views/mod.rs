//! Views for readers: status, holds, runs, the store, and findings of the doctor.

/// Findings about the configuration, HAProxy and the store; changes nothing.
pub mod doctor;
mod drains;
mod farm_runs;
pub(crate) mod hold;
pub(crate) mod numbers;
mod names;
mod places;
pub(crate) mod run;
mod run_servers;
mod watches;
pub(crate) mod status;
pub(crate) mod store;
