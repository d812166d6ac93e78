//! The control socket: its documents, its callers, their roles and their limits.

mod api_documents;
mod audit;
mod caller_leaves;
pub(crate) mod caller_limits;
mod file_locations;
mod heavy_readers;
pub(crate) mod http_api;
mod login_user;
mod metrics;
mod observers;
mod roles;
mod service_manager;
mod wait_commands;
