//! A HAProxy that is only simulated, the suite that it and the real ones must pass, and a simulation of teeterd around it.
//!
//! The fake lives in the simulated time of a runtime whose clock stands still until everybody waits, so that thousands of
//! deploys can be tried in the time of one. A fake is worth as much as it resembles what it stands for: `suite` says what
//! teeter relies on, and each case of it is run on the fake and on every real HAProxy of the matrix.
//!
//! A seed gives a scenario (`scenario`, `shape`): a farm, a deploy, and what strikes it. `world` plays it, with the real
//! engine, store and control interface (`daemon`), servers (`apps`), a disk (`disk`) and callers (`deployer`) that fail.
//! `watch` looks after every event, `rest` brings everything home and judges what is left, `shrink` takes away what a
//! failure does not need.

/// The servers behind HAProxy.
pub mod apps;
/// teeterd.
pub mod daemon;
/// `teeter deploy`.
pub mod deployer;
/// The disk.
pub mod disk;
/// HAProxy.
pub mod fake;
/// The morning after.
pub mod rest;
/// What happens when.
pub mod scenario;
/// The farm.
pub mod shape;
/// Making failures smaller.
pub mod shrink;
pub mod suite;
/// What must hold.
pub mod watch;
/// All of it together.
pub mod world;

#[cfg(test)]
mod regressions;
#[cfg(test)]
mod suite_on_fake;

pub use scenario::Scenario;
pub use shrink::shrink;
pub use watch::Finding;
pub use world::{Outcome, play};
