//! teeter takes servers out of HAProxy, waits until nothing is in flight on them, lets a hook or an operator work on
//! them, verifies that they are healthy, and brings them back: one server for maintenance, or a farm half by half.
//!
//! The modules stand in the order of their imports: a module uses those above it, never one below. A test checks that.

pub mod haproxy;
pub mod farm;
pub mod platform;
pub mod reconcile;
pub mod plan;
pub mod state;
pub mod store;
pub mod api;
pub mod engine;
pub mod probe;
pub mod init;
pub mod metrics;
pub mod control;
pub mod cli;
pub mod config;
pub mod daemon;
