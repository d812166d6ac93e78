//! The repository itself: its documentation, dependencies, crates and fuzzing targets.

mod commands;
mod configuration;
mod dependencies;
mod fuzz;
mod messages;
mod pages;
mod supply;
