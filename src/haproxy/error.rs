//! The errors between teeter and one HAProxy: each has the command and HAProxy's message.

use std::io;
use std::time::Duration;

use thiserror::Error;

use super::address::Address;

/// An exchange with HAProxy that failed.
#[derive(Debug, Error)]
pub enum Error {
    /// No process accepts connections at the address, or this process may not connect.
    #[error("cannot connect to HAProxy at {address}")]
    Connect {
        /// The address of the stats socket.
        address: Address,
        /// Why the connection failed.
        source: io::Error,
    },
    /// HAProxy did not answer within the deadline. Whether it has executed the line is unknown.
    #[error(
        "HAProxy at {address} did not answer within {within:?}: is it stopped or overloaded, or are its 10 CLI connections in use?"
    )]
    Deadline {
        /// The address of the stats socket.
        address: Address,
        /// The time that HAProxy had for the answer.
        within: Duration,
    },
    /// The connection broke, or the ends of the replies were not found. Whether HAProxy has executed the line is
    /// unknown.
    #[error("the connection to HAProxy at {address} failed")]
    Frame {
        /// The address of the stats socket.
        address: Address,
        /// The fault of the connection or of the replies.
        source: FrameError,
    },
    /// HAProxy answered a command with a refusal or with something unreadable.
    #[error("a command to HAProxy at {address} failed")]
    Command {
        /// The address of the stats socket.
        address: Address,
        /// The command and HAProxy's reply.
        source: CommandError,
    },
}

impl Error {
    /// HAProxy's refusal of a command; `None` for any other error.
    pub fn refusal(&self) -> Option<&Refusal> {
        match self {
            Self::Command { source: CommandError::Refused(refusal), .. } => Some(refusal),
            _ => None,
        }
    }
}

/// Replies that could not be separated.
#[derive(Debug, Error)]
pub enum FrameError {
    /// The connection ended before the last reply.
    #[error("it was closed after {seen} of {expected} replies")]
    Truncated {
        /// The number of complete replies.
        seen: usize,
        /// The number of replies that the line should get.
        expected: usize,
    },
    /// The replies were longer than the budget for one line.
    #[error("the replies are longer than teeter reads")]
    TooLong,
    /// Reading or writing failed.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// One command that failed.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum CommandError {
    /// HAProxy understood the command and refused it.
    #[error("{0}")]
    Refused(Refusal),
    /// The reply cannot be parsed: another program answers, or an unknown version of HAProxy.
    #[error("`{command}` got a reply that is not HAProxy's: {reply:?}")]
    Unreadable {
        /// The command as sent.
        command: String,
        /// The beginning of the reply: at most 200 bytes.
        reply: String,
    },
}

impl CommandError {
    pub(crate) fn refused(command: &str, reply: &[u8]) -> Self {
        Self::Refused(Refusal::new(command.to_owned(), &String::from_utf8_lossy(reply)))
    }

    pub(super) fn unreadable(command: String, reply: &[u8]) -> Self {
        let reply = String::from_utf8_lossy(&reply[..reply.len().min(SHOWN)]).into_owned();
        Self::Unreadable { command, reply }
    }
}

/// HAProxy's refusal of one command.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("HAProxy refused `{command}`: {message}")]
pub struct Refusal {
    /// The command as sent.
    pub command: String,
    /// The first line of HAProxy's reply: at most 200 characters.
    pub message: String,
    /// The kind of the refusal.
    pub kind: RefusalKind,
}

/// The kinds of refusals that callers distinguish.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefusalKind {
    /// No server of that name in the backend.
    NoSuchServer,
    /// No backend of that name.
    NoSuchBackend,
    /// The socket's level is too low.
    PermissionDenied,
    /// The process is leaving after a reload, or the backend was shut down. Neither accepts changes.
    ProxyDisabled,
    /// This version has no such command.
    UnknownCommand,
    /// No such map, or no such key in it.
    NoSuchMapEntry,
    /// Any other refusal: the message has the reason.
    Other,
}

impl Refusal {
    pub(super) fn new(command: String, reply: &str) -> Self {
        let message = reply.lines().next().unwrap_or_default().trim();
        let kind = KINDS
            .iter()
            .find(|(beginning, _)| message.starts_with(beginning))
            .map_or(RefusalKind::Other, |(_, kind)| *kind);
        let message = message.chars().take(SHOWN).collect();
        Self { command, message, kind }
    }

    /// Whether `reply` begins like one of HAProxy's refusals.
    pub(super) fn recognise(command: String, reply: &[u8]) -> Option<Self> {
        let refusal = Self::new(command, std::str::from_utf8(reply).ok()?);
        (refusal.kind != RefusalKind::Other).then_some(refusal)
    }
}

/// HAProxy's messages, as found in its sources from 2.2 to 3.5.
const KINDS: &[(&str, RefusalKind)] = &[
    ("No such server.", RefusalKind::NoSuchServer),
    ("No such backend.", RefusalKind::NoSuchBackend),
    ("No such proxy.", RefusalKind::NoSuchBackend),
    ("Can't find backend.", RefusalKind::NoSuchBackend),
    ("Permission denied", RefusalKind::PermissionDenied),
    ("Proxy is disabled.", RefusalKind::ProxyDisabled),
    ("Unknown command", RefusalKind::UnknownCommand),
    ("Unknown map identifier.", RefusalKind::NoSuchMapEntry),
    ("entry not found.", RefusalKind::NoSuchMapEntry),
    ("Key not found.", RefusalKind::NoSuchMapEntry),
];

/// How much of an unexpected reply an error repeats, in bytes or characters.
const SHOWN: usize = 200;
