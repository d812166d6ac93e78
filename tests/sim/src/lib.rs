//! A simulated HAProxy, the suite that it and the real ones must pass, and a simulation of teeterd around it.
//!
//! The fake lives in the simulated time of a runtime whose clock stands still until every task waits. Thousands of
//! deploys are therefore played in the time of one. A fake is worth as much as it resembles HAProxy: `suite` has the
//! behaviour that teeter relies on, and each case of it runs on the fake and on every real HAProxy of the matrix.
//!
//! A seed gives a scenario (`scenario`, `shape`): a farm, a deploy, and the acts that disturb it. `simulation` plays
//! it with the real engine, store and control interface (`daemon`), and with servers (`apps`), `clients`, a disk
//! (`disk`), callers (`deployer`, `operators`) and faults (`acts`). `watch` checks the invariants after every event,
//! `recovery` repairs everything and checks what is left, `shrink` removes what a failure does not need.

/// The deploy and the faults of a scenario.
mod acts;
/// The servers behind HAProxy.
pub mod apps;
/// Clients of the farm.
mod clients;
/// teeterd.
pub mod daemon;
/// A HAProxy in the configuration of teeterd.
mod daemon_haproxy;
/// The process that deploys.
pub mod deployer;
/// The disk of the store.
pub mod disk;
/// HAProxy.
pub mod fake;
/// The checks at the end.
mod final_checks;
/// Operators and controllers.
mod operators;
/// Recovery and final checks.
pub mod recovery;
/// A farm, a deploy and its disturbances, from a seed.
pub mod scenario;
/// The farm.
pub mod shape;
/// The configurations of the farm.
mod shape_configs;
/// Removing what a failure does not need.
pub mod shrink;
/// All parts together.
pub mod simulation;
pub mod suite;
/// The invariants.
pub mod watch;

#[cfg(test)]
mod regressions;
#[cfg(test)]
mod suite_on_fake;

pub use scenario::Scenario;
pub use shrink::shrink;
pub use simulation::{Outcome, play};
pub use watch::Finding;
