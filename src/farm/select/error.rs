//! The error of a selector that cannot be understood or that names nothing.

use thiserror::Error;

use crate::farm::error::FarmError;

/// A selector that cannot be understood or that names nothing.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum SelectError {
    /// The text is not a selector.
    #[error("{text:?} names no server: {problem}")]
    Malformed {
        /// The beginning of the text.
        text: String,
        /// What is wrong with it.
        problem: String,
    },
    /// The selector is well formed, and nothing has that name.
    #[error("nothing matches {text:?}{hint}")]
    NothingMatched {
        /// The selector.
        text: String,
        /// The nearest names, or where to look for names.
        hint: String,
        /// The selector that may have been meant: a name that is like the given one.
        similar: Option<String>,
    },
    /// The farm that it names does not fit HAProxy.
    #[error(transparent)]
    Farm(#[from] FarmError),
}
