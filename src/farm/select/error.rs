//! The error of a selector that cannot be understood or that names no server.

use thiserror::Error;

use crate::farm::error::FarmError;

/// A selector that cannot be understood or that names no server.
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
    /// The selector is well formed, but names no server.
    #[error("nothing matches {text:?}{}", why.as_ref().map(|why| format!(": {why}")).unwrap_or_default())]
    NothingMatched {
        /// The selector.
        text: String,
        /// The reason, if more is known: the names that exist, or servers that accept no commands.
        why: Option<String>,
        /// What to type instead; `None` if the reason says enough.
        hint: Option<String>,
    },
    /// The farm that it names does not fit HAProxy.
    #[error(transparent)]
    Farm(#[from] FarmError),
}

impl SelectError {
    /// What the caller can type instead.
    pub fn hint(&self) -> Option<&str> {
        match self {
            Self::NothingMatched { hint, .. } => hint.as_deref(),
            Self::Malformed { .. } | Self::Farm(_) => None,
        }
    }
}
