//! One line of commands, and typed access to its replies.
//!
//! Several commands on one line reach HAProxy together and are answered in order; they are **not** executed atomically
//! (since 2.6 the CLI yields to traffic between two commands). Every line begins with `prompt`, which makes the end of
//! each reply recognisable on all versions, and with `show info`, which binds the rest of the line to one process.

use std::marker::PhantomData;

use bytes::Bytes;

use super::commands::{Info, ShowInfo};
use super::error::{CommandError, Refusal};

/// A request to HAProxy that names the type of its reply.
pub trait Command {
    /// The parsed form of a successful reply.
    type Reply;

    /// Appends the command, without a separator or a newline.
    fn write(&self, line: &mut String);

    /// Parses the reply to the command.
    ///
    /// # Errors
    /// HAProxy refused the command, or its reply cannot be parsed.
    fn parse(&self, reply: &[u8]) -> Result<Self::Reply, CommandError>;

    /// Whether the reply is a table with quoted fields. A quoted field may have text of other programs, such as the
    /// answer to a check, and nothing in it ends the reply.
    fn quotes(&self) -> bool {
        false
    }

    /// The text of the command, for messages.
    fn text(&self) -> String {
        let mut text = String::new();
        self.write(&mut text);
        text
    }
}

/// Commands that go to HAProxy on one line.
#[derive(Debug, Clone)]
pub struct Line {
    text: String,
    /// For each command, whether its reply may have quoted fields.
    quotes: Vec<bool>,
}

/// The place in [`Answers`] for the reply to one command.
#[derive(Debug)]
#[must_use]
pub struct Slot<C> {
    index: usize,
    command: PhantomData<C>,
}

impl Line {
    /// The longest line that is sent, in bytes. HAProxy 2.6 hangs without a message above 15,360.
    pub const LONGEST: usize = 8000;

    /// A line with `show info` only, whose reply shows which process answers.
    pub fn new() -> Self {
        let mut text = String::from("prompt;");
        ShowInfo.write(&mut text);
        Self { text, quotes: vec![false] }
    }

    /// Appends a command.
    pub fn push<C: Command>(&mut self, command: &C) -> Slot<C> {
        self.text.push(';');
        command.write(&mut self.text);
        debug_assert!(!self.text.contains('\n'), "a command must not contain a newline");
        self.quotes.push(command.quotes());
        Slot { index: self.quotes.len() - 1, command: PhantomData }
    }

    /// Whether a command of this text can be appended within [`Line::LONGEST`].
    pub fn has_room_for(&self, command: &str) -> bool {
        self.text.len() + 2 + command.len() <= Self::LONGEST
    }

    /// The number of replies that the line will get.
    pub fn replies(&self) -> usize {
        self.quotes.len()
    }

    /// For each command, whether its reply may have quoted fields.
    pub(super) fn quotes(&self) -> &[bool] {
        &self.quotes
    }

    /// The line as sent, with its newline.
    pub fn to_wire(&self) -> String {
        format!("{}\n", self.text)
    }
}

impl Default for Line {
    fn default() -> Self {
        Self::new()
    }
}

/// All replies to one line, and the process that gave them.
#[derive(Debug)]
pub struct Answers {
    /// The report of the answering process about itself, before it executed anything else on the line.
    pub info: Info,
    replies: Vec<Bytes>,
}

impl Answers {
    /// Takes all replies to a line.
    ///
    /// # Errors
    /// The first reply is not HAProxy's reply to `show info`.
    pub(super) fn new(replies: Vec<Bytes>) -> Result<Self, CommandError> {
        let info = ShowInfo.parse(replies.first().map_or(&[][..], |reply| reply))?;
        Ok(Self { info, replies })
    }

    /// Parses the reply to `command`, which was pushed for `slot`.
    ///
    /// # Errors
    /// As [`Command::parse`].
    pub fn read<C: Command>(&self, slot: Slot<C>, command: &C) -> Result<C::Reply, CommandError> {
        command.parse(&self.replies[slot.index])
    }
}

/// Parses the reply of a command that replies nothing on success: any text is HAProxy's refusal.
pub(super) fn silent(command: &impl Command, reply: &[u8]) -> Result<(), CommandError> {
    let text = String::from_utf8_lossy(reply);
    let message = text.trim();
    if message.is_empty() { Ok(()) } else { Err(CommandError::Refused(Refusal::new(command.text(), message))) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::haproxy::commands::SetServerState;
    use crate::haproxy::{AdminState, ServerRef};

    #[test]
    fn a_line_counts_its_replies_and_ends_once() {
        let mut line = Line::new();
        let server: ServerRef = "app/web01".parse().unwrap();
        let _ = line.push(&SetServerState { server, state: AdminState::Drain });
        assert_eq!(line.replies(), 2);
        assert_eq!(line.to_wire(), "prompt;show info;set server app/web01 state drain\n");
    }
}
