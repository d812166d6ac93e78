//! Why the engine refused a request or failed to carry it out.

use std::fmt;

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
    Usage(Message),
    /// The request names an object that does not exist.
    #[error("{0}")]
    NotFound(Message),
    /// The level of the stats socket is too low.
    #[error("{0}")]
    NotPermitted(Message),
    /// Guards refused.
    #[error("{}", list(.0))]
    Vetoed(Vec<Veto>),
    /// Guards refused because too few servers would be left in service.
    #[error("{}{}", list(.vetoes), already(.out))]
    Outage {
        /// The refusals.
        vetoes: Vec<Veto>,
        /// Servers that take no traffic already, each with the reason.
        out: Vec<String>,
        /// What the caller can do instead.
        instead: &'static str,
    },
    /// Another user's hold, or another run, is in the way.
    #[error("{0}")]
    Busy(Message),
    /// The records that the caller wants to forget are still needed.
    #[error("{0}")]
    StillNeeded(Message),
    /// The client disconnected before the change started.
    #[error("the client disconnected before the change started; nothing was changed")]
    TakenBack,
    /// HAProxy refused the change; the applied part was undone.
    #[error("{0}; nothing was changed")]
    Refused(String),
    /// HAProxy does not answer.
    #[error("{0}")]
    Unreachable(String),
    /// The run is in a state that does not allow the request.
    #[error(transparent)]
    Illegal(#[from] Illegal),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// teeterd stops, and has ended the task that worked on the request.
    #[error("teeterd is stopping: {0}")]
    Stopping(String),
    /// A task of teeterd failed.
    #[error("a task of teeterd failed: {0}")]
    Task(String),
}

/// The text of an error, with an optional hint.
#[derive(Debug)]
pub struct Message {
    text: String,
    hint: Option<String>,
}

impl Message {
    /// A text without a hint.
    pub fn new(text: impl Into<String>) -> Self {
        Self { text: text.into(), hint: None }
    }

    /// The same with a hint: a command to type, or another next step.
    #[must_use]
    pub fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }
}

impl fmt::Display for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl EngineError {
    /// What the caller can do next, such as a command to type; each is a line of its own.
    pub fn hints(&self) -> Vec<String> {
        match self {
            Self::Usage(message)
            | Self::NotFound(message)
            | Self::NotPermitted(message)
            | Self::Busy(message)
            | Self::StillNeeded(message) => message.hint.iter().cloned().collect(),
            Self::Vetoed(vetoes) => vetoes.iter().filter_map(Veto::hint).collect(),
            Self::Outage { vetoes, instead, .. } => {
                vetoes.iter().filter_map(Veto::hint).chain([(*instead).to_owned()]).collect()
            }
            Self::Illegal(illegal) => illegal.hint().into_iter().collect(),
            Self::TakenBack
            | Self::Refused(_)
            | Self::Unreachable(_)
            | Self::Store(_)
            | Self::Stopping(_)
            | Self::Task(_) => Vec::new(),
        }
    }
}

impl From<SelectError> for EngineError {
    fn from(error: SelectError) -> Self {
        let mut message = Message::new(error.to_string());
        if let SelectError::NothingMatched { similar: Some(similar), .. } = &error {
            message = message.hint(format!("did you mean {similar}?"));
        }
        match error {
            SelectError::Malformed { .. } => Self::Usage(message),
            SelectError::NothingMatched { .. } | SelectError::Farm(_) => Self::NotFound(message),
        }
    }
}

fn already(out: &[String]) -> String {
    if out.is_empty() { String::new() } else { format!("; out of service already: {}", out.join(", ")) }
}

fn list(vetoes: &[Veto]) -> String {
    vetoes.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}
