//! Runs: every strategy, from the plan to the end or the rollback.

mod bake;
mod verdicts;
mod blue_green;
mod canary;
mod drain_records;
mod every_step;
mod gates;
mod hooks;
mod manifest;
mod map_file;
mod pause;
mod plan_checks;
mod resume;
mod rollback;
mod rolling;
mod route;
mod route_input;
mod see_saw;
mod strategies;
mod verification;
