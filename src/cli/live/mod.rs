//! The live view of a run on a terminal: its steps, the servers of the current group, the hook, the next command.
//!
//! Pure: the time and the size of the terminal are arguments, and the answer is lines of text.

mod hook;
mod picture;
mod steps;
#[cfg(test)]
mod tests;
mod text;
mod trend;

pub(super) use self::hook::HookState;
pub(super) use self::picture::{Picture, Size, estimate_text};
pub(super) use self::steps::{lines as step_lines, position};
pub(super) use self::text::{Marks, fit, pad};
pub(super) use self::trend::{Trends, curve};
