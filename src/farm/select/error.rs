//! The error of a selector that is malformed or names no server.

use thiserror::Error;

use crate::farm::error::FarmError;

/// The error of a selector that is malformed or names no server.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum SelectError {
    /// The text is not a selector.
    #[error("{text:?} names no server: {problem}")]
    Malformed {
        /// The beginning of the text.
        text: String,
        /// The mistake in the text.
        problem: String,
    },
    /// The selector is well formed, but names no server.
    #[error("nothing matches {text:?}{}", why.as_ref().map(|why| format!(": {why}")).unwrap_or_default())]
    NothingMatched {
        /// The text of the selector.
        text: String,
        /// The reason, if one is known: the names that exist, or servers that accept no commands.
        why: Option<String>,
        /// What to type instead; `None` if no suggestion is known.
        hint: Option<String>,
    },
    /// The farm that the selector names does not fit HAProxy.
    #[error(transparent)]
    Farm(#[from] FarmError),
}

impl SelectError {
    /// What the caller can type instead; `None` if no suggestion is known.
    pub fn hint(&self) -> Option<&str> {
        match self {
            Self::NothingMatched { hint, .. } => hint.as_deref(),
            Self::Malformed { .. } | Self::Farm(_) => None,
        }
    }
}
