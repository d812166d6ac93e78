//! A HAProxy that is only simulated, and the suite that it and the real ones must pass.
//!
//! The fake lives in the simulated time of a runtime whose clock stands still until everybody waits, so that thousands of
//! deploys can be tried in the time of one. A fake is worth as much as it resembles what it stands for: `suite` says what
//! teeter relies on, and each case of it is run on the fake and on every real HAProxy of the matrix.

pub mod fake;
pub mod suite;

#[cfg(test)]
mod suite_on_fake;
