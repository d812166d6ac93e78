//! The only printer. Answers go to standard output, everything else to standard error.

use std::io::{self, Write as _};

use serde::Serialize;

use super::error::CliError;
use super::interrupt::{self, Interrupt};
use super::lane::{self, Lane};
use super::paint::{Ink, paint};
use super::painter::Painter;
use crate::api::Exit;
use crate::control::client::ClientError;
use crate::control::harmless;

/// Prints an answer.
///
/// # Errors
/// The output cannot be written; a closed pipe ends the command quietly.
pub(super) fn out(text: &str) -> Result<(), CliError> {
    write(clean(text))
}

/// Prints lines, each in its colour.
///
/// # Errors
/// As [`out`].
pub(super) fn lines_in_colour(lines: &[(Ink, String)]) -> Result<(), CliError> {
    write(lines.iter().map(|(ink, line)| paint(*ink, &clean(line))).collect::<Vec<_>>().join("\n"))
}

/// Replaces what the terminal shows by these lines, each in its colour. Lines that it has no room for are counted in
/// the last one.
///
/// # Errors
/// As [`out`].
pub(super) fn screen(lines: &[(Ink, String)], rows: usize) -> Result<(), CliError> {
    let room = rows.saturating_sub(2).max(1);
    let mut text = "\x1b[H".to_owned();
    for (ink, line) in lines.iter().take(room) {
        text.push_str(&format!("{}\x1b[K\n", paint(*ink, &clean(line))));
    }
    if lines.len() > room {
        text.push_str(&format!("... and {} lines more\x1b[K\n", lines.len() - room));
    }
    write(text + "\x1b[J")
}

fn write(text: String) -> Result<(), CliError> {
    if let Some(lane) = lane_of(false) {
        lane.answer(placed(text + "\n", false));
        return Ok(());
    }
    let mut stdout = io::stdout().lock();
    writeln!(stdout, "{text}").and_then(|()| stdout.flush()).map_err(CliError::Output)
}

/// Prints an answer as a JSON document.
///
/// # Errors
/// As [`out`].
pub(super) fn json(value: &impl Serialize) -> Result<(), CliError> {
    let text = serde_json::to_string_pretty(value).map_err(|error| CliError::Output(io::Error::other(error)))?;
    out(&text)
}

/// Prints an answer as a JSON document on one line.
///
/// # Errors
/// As [`out`].
pub(super) fn json_line(value: &impl Serialize) -> Result<(), CliError> {
    let text = serde_json::to_string(value).map_err(|error| CliError::Output(io::Error::other(error)))?;
    out(&text)
}

/// Prints to standard error. A closed or stopped output does not stop the command.
pub(super) fn err(text: &str) {
    let text = clean(text);
    match lane_of(true) {
        Some(lane) => lane.say(placed(text + "\n", true)),
        None => {
            let _ = writeln!(io::stderr().lock(), "{text}");
        }
    }
}

/// The lane for text on an output, if output goes through lanes. On a terminal with the live view all text has the lane
/// of the view, which keeps them in order.
fn lane_of(to_stderr: bool) -> Option<&'static Lane> {
    lane::for_output(to_stderr || Painter::for_output(to_stderr).is_some())
}

/// The text as its lane gets it: above the live view, where there is one.
fn placed(text: String, to_stderr: bool) -> String {
    Painter::for_output(to_stderr).map(|painter| painter.above(&text)).unwrap_or(text)
}

/// Prints why a command failed; with `json`, prints a problem document on standard output as well. Returns the exit code.
pub(super) fn failure(error: &CliError, as_json: bool) -> Exit {
    let exit = error.exit();
    if exit == Exit::Done {
        return exit;
    }
    if let (true, CliError::Client(ClientError::Problem(problem))) = (as_json, error) {
        // If this fails as well, the exit code still reports the error.
        let _ = json(problem);
    }
    err(&error.text());
    exit
}

/// Prints complete lines that are safe to print, when there is room. A closed output does not stop the command.
pub(super) async fn lines(text: String, to_stderr: bool) {
    if let Some(lane) = lane_of(to_stderr) {
        lane.tell(|| placed(text, to_stderr)).await;
    }
}

/// Waits until the output is read; only for a moment if the reader is stopped or the command was told to stop.
pub(super) async fn end() {
    let interrupted = async {
        match Interrupt::listen() {
            Ok(mut interrupt) => interrupt.received().await,
            Err(_) => std::future::pending().await,
        }
    };
    if lane::for_output(true).is_some() {
        tokio::select! {
            () = lane::end(interrupt::was_received()) => {}
            () = interrupted => lane::end(true).await,
        }
    }
}

/// Removes terminal controls: HAProxy repeats answers of servers, and users write reasons.
pub(super) fn clean(text: &str) -> String {
    harmless::lines(text)
}
