//! What the engine answers when it does not do what it was asked.

use thiserror::Error;

use crate::farm::SelectError;
use crate::plan::Veto;
use crate::plan::machine::Illegal;
use crate::store::StoreError;

/// A request that was not carried out. Nothing has changed.
#[derive(Debug, Error)]
pub enum EngineError {
    /// The request itself is wrong.
    #[error("{0}")]
    Usage(String),
    /// It names something that is not there.
    #[error("{0}")]
    NotFound(String),
    /// The stats socket's level is too low.
    #[error("{0}")]
    NotPermitted(String),
    /// Guards refused.
    #[error("{}", list(.0))]
    Vetoed(Vec<Veto>),
    /// Guards refused because too little would be left in service.
    #[error("{}{}; {instead}", list(.vetoes), already(.out))]
    Outage {
        /// The guards.
        vetoes: Vec<Veto>,
        /// Who takes no traffic already, and why.
        out: Vec<String>,
        /// What can be done instead.
        instead: &'static str,
    },
    /// Somebody else's hold or run is in the way.
    #[error("{0}")]
    Busy(String),
    /// What it would forget is still needed.
    #[error("{0}")]
    StillNeeded(String),
    /// Whoever asked for it went away before it was begun.
    #[error("whoever asked for this has gone, and it had not been begun; nothing has been changed")]
    TakenBack,
    /// HAProxy refused the change; what had been applied was undone.
    #[error("{0}; nothing has been changed")]
    Refused(String),
    /// HAProxy does not answer.
    #[error("{0}")]
    Unreachable(String),
    /// The run is not where it would have to be.
    #[error(transparent)]
    Illegal(#[from] Illegal),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<SelectError> for EngineError {
    fn from(error: SelectError) -> Self {
        match error {
            SelectError::Malformed { .. } => Self::Usage(error.to_string()),
            SelectError::NothingMatched { .. } | SelectError::Farm(_) => Self::NotFound(error.to_string()),
        }
    }
}

fn already(out: &[String]) -> String {
    if out.is_empty() { String::new() } else { format!("; out of service already: {}", out.join(", ")) }
}

fn list(vetoes: &[Veto]) -> String {
    vetoes.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}
