//! The only printer. Answers go to standard output, everything else to standard error.

use std::io::{self, Write as _};

use serde::Serialize;

use super::error::CliError;
use super::interrupt::{self, Interrupt};
use super::lane;
use crate::control::harmless;

/// Prints an answer.
///
/// # Errors
/// It cannot be written; a closed pipe ends the command quietly.
pub(super) fn out(text: &str) -> Result<(), CliError> {
    let text = clean(text);
    if let Some(lane) = lane::of(false) {
        lane.answer(text + "\n");
        return Ok(());
    }
    let mut stdout = io::stdout().lock();
    writeln!(stdout, "{text}").and_then(|()| stdout.flush()).map_err(CliError::Output)
}

/// Prints an answer as a document.
///
/// # Errors
/// As [`out`].
pub(super) fn json(value: &impl Serialize) -> Result<(), CliError> {
    let text = serde_json::to_string_pretty(value).map_err(|error| CliError::Output(io::Error::other(error)))?;
    out(&text)
}

/// Prints an answer as a document on one line.
///
/// # Errors
/// As [`out`].
pub(super) fn json_line(value: &impl Serialize) -> Result<(), CliError> {
    let text = serde_json::to_string(value).map_err(|error| CliError::Output(io::Error::other(error)))?;
    out(&text)
}

/// Prints to standard error. That nobody reads it is no reason to stop.
pub(super) fn err(text: &str) {
    let text = clean(text);
    match lane::of(true) {
        Some(lane) => lane.say(text + "\n"),
        None => drop(writeln!(io::stderr().lock(), "{text}")),
    }
}

/// Prints lines that are clean and ended already, when there is room for them. That nobody reads them is no reason to stop.
pub(super) async fn lines(text: String, to_stderr: bool) {
    if let Some(lane) = lane::of(to_stderr) {
        lane.tell(text).await;
    }
}

/// Waits for whoever reads what was printed, but not for somebody who does not, and hardly when told to stop.
pub(super) async fn end() {
    let told = async {
        match Interrupt::listen() {
            Ok(mut interrupt) => interrupt.received().await,
            Err(_) => std::future::pending().await,
        }
    };
    if lane::of(true).is_some() {
        tokio::select! {
            () = lane::end(interrupt::was_received()) => {}
            () = told => lane::end(true).await,
        }
    }
}

/// Without what steers a terminal: HAProxy repeats what servers have answered, and people give reasons.
pub(super) fn clean(text: &str) -> String {
    harmless::lines(text)
}
