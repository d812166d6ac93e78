//! Pure decisions: strategies that make plans, one machine that runs any plan, vetoes, and waits as typed reasons.
//!
//! Knows no input or output, no clock, no tokio: time is an argument, facts come in, actions go out.

mod drain;
/// The flip by itself.
pub mod flip;
/// Every veto.
pub mod guard;
/// The machine that runs any plan.
pub mod machine;
mod planned;
/// When a server may come back.
pub mod prove;
mod run;
mod samples;
/// The see-saw strategy.
pub mod see_saw;
mod steps;
#[cfg(test)]
mod tests;
mod wait;

pub use drain::{DrainVerdict, DrainWatch, Emptying};
pub use guard::Veto;
pub use run::{FailureKind, Flipped, Run, RunState, StepState, Undo};
pub use steps::{Plan, PlannedMember, Step, Strategy};
pub use wait::Wait;
