//! The errors between teeter and one HAProxy, each with what was attempted and HAProxy's own words.

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
    /// HAProxy took longer than its deadline. What it did with the line is unknown.
    #[error(
        "HAProxy at {address} did not answer within {within:?}: is it stopped or overloaded, or are its 10 CLI connections in use?"
    )]
    Deadline {
        /// The address of the stats socket.
        address: Address,
        /// The deadline.
        within: Duration,
    },
    /// The connection broke or the replies were not framed. What HAProxy did with the line is unknown.
    #[error("the connection to HAProxy at {address} failed")]
    Frame {
        /// The address of the stats socket.
        address: Address,
        /// What was wrong with the connection or the replies.
        source: FrameError,
    },
    /// HAProxy answered a command with a refusal or with something unreadable.
    #[error("a command to HAProxy at {address} failed")]
    Command {
        /// The address of the stats socket.
        address: Address,
        /// The command and what HAProxy said.
        source: CommandError,
    },
}

impl Error {
    /// HAProxy's refusal, if that is what this is.
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
    /// The connection ended before every reply was there.
    #[error("it closed after {seen} of {expected} replies")]
    Truncated {
        /// The number of complete replies.
        seen: usize,
        /// The number of replies that the line should get.
        expected: usize,
    },
    /// The replies were longer than the budget for one line.
    #[error("its reply is longer than any expected one")]
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
    #[error("`{command}` got a reply that is not HAProxy's: {said:?}")]
    Unreadable {
        /// The command as sent.
        command: String,
        /// The beginning of the reply.
        said: String,
    },
}

impl CommandError {
    pub(crate) fn refused(command: &str, reply: &[u8]) -> Self {
        Self::Refused(Refusal::new(command.to_owned(), &String::from_utf8_lossy(reply)))
    }

    pub(super) fn unreadable(command: String, reply: &[u8]) -> Self {
        let said = String::from_utf8_lossy(&reply[..reply.len().min(SHOWN)]).into_owned();
        Self::Unreadable { command, said }
    }
}

/// HAProxy's refusal of one command.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("HAProxy refused `{command}`: {words}")]
pub struct Refusal {
    /// The command as sent.
    pub command: String,
    /// What HAProxy said, first line only.
    pub words: String,
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
    /// Any other refusal: its words say why.
    Other,
}

impl Refusal {
    pub(super) fn new(command: String, words: &str) -> Self {
        let words = words.lines().next().unwrap_or_default().trim();
        let kind = KINDS
            .iter()
            .find(|(beginning, _)| words.starts_with(beginning))
            .map_or(RefusalKind::Other, |(_, kind)| *kind);
        let words = words.chars().take(SHOWN).collect();
        Self { command, words, kind }
    }

    /// Whether `reply` begins like one of HAProxy's refusals.
    pub(super) fn recognise(command: String, reply: &[u8]) -> Option<Self> {
        let words = std::str::from_utf8(reply).ok()?;
        let refusal = Self::new(command, words);
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

/// How much of an unexpected reply a message repeats, in bytes.
const SHOWN: usize = 200;
