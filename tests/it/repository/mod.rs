//! The repository itself: its dependencies, crates and fuzzing targets.

mod dependencies;
mod fuzz;
mod supply;
