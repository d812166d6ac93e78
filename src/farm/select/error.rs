//! A selector that cannot be understood or that names nothing.

use thiserror::Error;

use crate::farm::error::FarmError;

/// A selector that cannot be understood or that names nothing.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum SelectError {
    /// Not a selector.
    #[error("{text:?} names no server: {problem}")]
    Malformed {
        /// The beginning of what was typed.
        text: String,
        /// What is wrong with it.
        problem: String,
    },
    /// Well formed, but nothing has that name.
    #[error("nothing matches {text:?}{hint}")]
    NothingMatched {
        /// The selector.
        text: String,
        /// The nearest names, or where to look.
        hint: String,
    },
    /// The farm it names is not as configured.
    #[error(transparent)]
    Farm(#[from] FarmError),
}
