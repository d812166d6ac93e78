//! A status as lines: the summary, the servers that are listed, and notes.
//!
//! Pure: the width of the terminal is an argument.

use super::notes::notes;
use super::rows::{Row, rows};
use super::summary::Summary;
use crate::api::StatusView;
use crate::cli::args::ServerState;
use crate::cli::names::line_name;
use crate::cli::paint::Ink;
use crate::cli::tables;

/// What is listed, and how wide.
#[derive(Debug, Clone, Copy)]
pub(super) struct Shape {
    /// List each server, not only those that are not in their normal state.
    pub(super) each: bool,
    /// The columns of the terminal; `None` if lines may have any length.
    pub(super) width: Option<usize>,
}

/// The status of the servers that the filter selects.
pub(super) fn picture(view: &StatusView, filter: impl Fn(&Row<'_>) -> bool, shape: Shape) -> Vec<(Ink, String)> {
    let all: Vec<Row<'_>> = rows(view).into_iter().filter(filter).collect();
    let summary = Summary::of(&all);
    let (count, in_flight) = (summary.servers(), summary.in_flight);
    let listed: Vec<&Row<'_>> = all.iter().filter(|row| shape.each || !row.is_normal()).collect();
    let servers = if count == 1 { "server" } else { "servers" };
    let more = if listed.len() < count { " (--all lists each server)" } else { "" };
    let mut lines = vec![(Ink::Heading, format!("{count} {servers}: {summary}; {in_flight} in flight{more}"))];
    if !listed.is_empty() {
        lines.extend(table(&listed, view.instances.len() > 1, shape.width));
    }
    lines.extend(notes(view));
    lines
}

/// The header and the rows. The last column is wrapped if the terminal is too narrow for it.
fn table(rows: &[&Row<'_>], several: bool, width: Option<usize>) -> Vec<(Ink, String)> {
    let versions = rows.iter().any(|row| row.version().is_some());
    let queues = rows.iter().any(|row| row.queued() > 0);
    let shown = |is_shown: bool, cell: String| is_shown.then_some(cell);
    let cells = |name: String, status: String, version: String, numbers: [String; 3], check: String| {
        let [in_flight, queue, weight] = numbers;
        let (version, queue) = (shown(versions, version), shown(queues, queue));
        [Some(name), Some(status), version, Some(in_flight), queue, Some(weight), Some(check)].into_iter().flatten()
    };
    let words = ["SERVER", "STATUS", "VERSION", "IN FLIGHT", "QUEUE", "WEIGHT", "LAST CHECK"].map(str::to_owned);
    let [name, status, version, in_flight, queue, weight, check] = words;
    let header: Vec<String> = cells(name, status, version, [in_flight, queue, weight], check).collect();
    let header: Vec<&str> = header.iter().map(String::as_str).collect();
    let numbers: Vec<usize> = (0..header.len()).filter(|at| NUMBERS.contains(&header[*at])).collect();
    let body = rows.iter().map(|row| {
        let server = row.server;
        let status = if server.backup { format!("{} (backup)", server.status) } else { server.status.clone() };
        let version = row.version().unwrap_or("-").to_owned();
        let numbers = [row.in_flight(), row.queued(), u64::from(server.weight)].map(|number| number.to_string());
        cells(name_of(row, several), status, version, numbers, server.last_check.clone())
    });
    let left = tables::lines(&header, body, &numbers);
    let held: Vec<String> = rows.iter().map(|row| row.held_by()).collect();
    let inks = std::iter::once(Ink::Heading).chain(rows.iter().map(|row| ink(row)));
    let with_last = held.iter().any(|held| !held.is_empty());
    let last = std::iter::once(if with_last { "HELD BY" } else { "" }).chain(held.iter().map(String::as_str));
    let indent = left.iter().map(|line| line.chars().count()).max().unwrap_or(0) + 2;
    let lines = left.iter().zip(last).zip(inks);
    lines
        .flat_map(|((left, last), ink)| beside(left, last, indent, width).into_iter().map(move |line| (ink, line)))
        .collect()
}

/// A row with its last cell beside it; below it, if too little room is left.
fn beside(left: &str, last: &str, indent: usize, width: Option<usize>) -> Vec<String> {
    let room = width.map_or(usize::MAX, |width| width.saturating_sub(indent));
    if last.is_empty() {
        return vec![left.to_owned()];
    }
    if room >= LEAST || last.chars().count() <= room {
        let mut pieces = wrapped(last, room).into_iter();
        let first = format!("{left:indent$}{}", pieces.next().unwrap_or_default());
        return std::iter::once(first).chain(pieces.map(|piece| format!("{:indent$}{piece}", ""))).collect();
    }
    let below = wrapped(last, width.unwrap_or(usize::MAX).saturating_sub(BELOW)).into_iter();
    std::iter::once(left.to_owned()).chain(below.map(|piece| format!("{:BELOW$}{piece}", ""))).collect()
}

/// A text in lines of at most `room` characters, broken at blanks. A longer word has a line of its own.
pub(in crate::cli) fn wrapped(text: &str, room: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.chars().count() + 1 + word.chars().count() <= room => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

/// The name of the server, and of the lines that track it: the backend, if the server has the same name there.
fn name_of(row: &Row<'_>, several: bool) -> String {
    let mut name = line_name(row.server, several);
    for line in &row.tracking {
        if line.server == row.server.server {
            name.push_str(&format!(" +{}", line.backend));
        } else {
            name.push_str(&format!(" +{}/{}", line.backend, line.server));
        }
    }
    name
}

fn ink(row: &Row<'_>) -> Ink {
    match row.state {
        ServerState::Down => Ink::Bad,
        ServerState::Held | ServerState::Out => Ink::Held,
        ServerState::Unknown => Ink::Faint,
        ServerState::Up if row.is_normal() => Ink::Plain,
        ServerState::Up => Ink::Held,
    }
}

/// The columns with numbers, aligned to the right.
const NUMBERS: [&str; 3] = ["IN FLIGHT", "QUEUE", "WEIGHT"];

/// The least room in which the last column stands beside the others.
const LEAST: usize = 20;

/// The indent of a last cell that stands below its row.
const BELOW: usize = 4;
