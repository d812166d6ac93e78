//! Pure decisions: strategies that make plans, one machine that runs any plan, vetoes, and waits as typed reasons.
//!
//! No input or output, no clock, no tokio: time is an argument, facts come in, actions go out.

/// What HAProxy's addresses say about a plan.
mod addresses;
/// The caller that does a run's work.
mod attendant;
/// Watches that could never see anything.
pub mod blind_watch;
/// The blue-green strategy.
pub mod blue_green;
/// The canary strategy.
pub mod canary;
/// What was in flight during a drain, over time.
mod curve;
/// When a server is drained.
mod drain;
/// How much longer a drain takes.
mod estimate;
/// The flip by itself.
pub mod flip;
/// What a plan will do, for a dry run.
mod forecast;
/// The sentences of a forecast.
mod forecast_text;
/// What must not be begun.
pub mod guard;
/// The input of every strategy.
mod input;
/// How a run empties a group.
mod ladder;
/// The machine that runs any plan.
pub mod machine;
/// The members that a plan works on.
mod members;
/// Skipped members that serve at the end of a deploy.
mod not_deployed;
/// Lines that take no traffic already.
mod out_of_service;
/// Hooks and watches that are added to any plan.
mod phases;
/// Points over time, in a bounded number.
mod points;
/// Plans.
mod run_plan;
/// Runs whose HAProxy has been renamed.
mod renamed;
/// Lines that are DOWN by design.
pub mod roles;
/// The rolling strategy.
pub mod rolling;
/// Runs, as they are stored.
mod run;
/// Samples of the requests in flight in one HAProxy.
mod samples;
/// The see-saw strategy.
pub mod see_saw;
/// Whether weights can give a canary its share.
pub mod share_weights;
/// Members that a plan skips.
mod skipped;
/// The steps of plans.
mod step;
/// The strategies, and the phases in which the caller works.
mod strategy;
/// A run's status in words.
mod status_text;
/// When a run began and ended its steps.
mod step_times;
#[cfg(test)]
mod tests;
/// When a server may come back.
pub mod verify;
#[cfg(test)]
mod verify_tests;
/// Why something must not be begun.
mod veto;
/// Why something waits.
mod wait;
/// When a server is warm.
pub mod warm_up;
/// Watching the side that has just got traffic.
pub mod watch;

pub use addresses::compared;
pub use attendant::Attendant;
pub use curve::Curve;
pub use drain::{DrainVerdict, DrainWatch};
pub use estimate::Estimate;
pub use forecast::{Forecast, StepForecast, forecast};
pub use input::PlanningInput;
pub use members::PlannedMember;
pub use not_deployed::not_deployed_to;
pub use out_of_service::out_of_service;
pub use points::millis_between;
pub use run::{CallerState, FailureKind, Flipped, LeftOut, Passed, Run, RunState, StepState, Undo};
pub use run_plan::Plan;
pub use skipped::Skipped;
pub use step::Step;
pub use step_times::StepTimes;
pub use strategy::{Phase, Strategy};
pub use veto::Veto;
pub use wait::Wait;
