//! The only printer. Answers go to standard output, everything else to standard error.

use std::io::{self, Write as _};

use serde::Serialize;

use super::error::CliError;
use crate::control::harmless;

/// Prints an answer.
///
/// # Errors
/// It cannot be written; a closed pipe ends the command quietly.
pub(super) fn out(text: &str) -> Result<(), CliError> {
    let mut stdout = io::stdout().lock();
    writeln!(stdout, "{}", clean(text)).and_then(|()| stdout.flush()).map_err(CliError::Output)
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
    let _ = writeln!(io::stderr().lock(), "{}", clean(text));
}

/// Prints lines that are clean and ended already. That nobody reads them is no reason to stop.
pub(super) fn lines(text: &str, to_stderr: bool) {
    let _ = if to_stderr {
        io::stderr().lock().write_all(text.as_bytes())
    } else {
        let mut stdout = io::stdout().lock();
        stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush())
    };
}

/// Without what steers a terminal: HAProxy repeats what servers have answered, and people give reasons.
pub(super) fn clean(text: &str) -> String {
    harmless::lines(text)
}
