//! Pure decisions: strategies that make plans, one machine that runs any plan, vetoes, and waits as typed reasons.
//!
//! Knows no input or output, no clock, no tokio: time is an argument, facts come in, actions go out.

mod aside;
mod attendant;
mod bake;
/// The blue-green strategy.
pub mod blue_green;
/// The canary strategy.
pub mod canary;
mod comparing;
mod drain;
mod ladder;
/// The flip by itself.
pub mod flip;
/// Every reason for a veto.
pub mod guard;
/// The machine that runs any plan.
pub mod machine;
mod phases;
mod out_of_service;
mod planned;
/// When a server may come back.
pub mod verify;
#[cfg(test)]
mod verify_tests;
/// Lines that are DOWN by design.
pub mod roles;
/// The rolling strategy.
pub mod rolling;
mod renamed;
mod run;
mod samples;
/// The see-saw strategy.
pub mod see_saw;
mod steps;
mod standing;
#[cfg(test)]
mod tests;
mod veto;
mod wait;
/// When a server is warm.
pub mod warm;
/// Whether a watch could see anything.
pub mod watching;
/// Whether weights can give a share.
pub mod weighing;

pub use aside::{Aside, not_deployed_to};
pub use attendant::Attendant;
pub use bake::Figures;
pub use comparing::compared;
pub use drain::{DrainVerdict, DrainWatch};
pub use out_of_service::out_of_service;
pub use run::{Bake, CallerState, FailureKind, Flipped, LeftOut, Passed, Run, RunState, StepState, Undo};
pub use steps::{Phase, Plan, PlannedMember, Step, Strategy};
pub use veto::Veto;
pub use wait::Wait;
