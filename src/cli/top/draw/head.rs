//! The first rows: the numbers of all servers, the time, and whether the data is old.

use jiff::Timestamp;
use ratatui::layout::Rect;

use super::Look;
use super::pen::{Pen, Place};
use crate::cli::clock;
use crate::cli::paint::Ink;
use crate::cli::top::state::State;

pub(super) fn draw(pen: &mut Pen<'_>, area: Rect, state: &State, look: &Look, now: Timestamp) {
    let sum = &state.listing.sum;
    let time = clock::within(now, &look.zone, "%H:%M:%S");
    let right = match area.width {
        0..30 => String::new(),
        30..60 => time,
        _ => format!("every {}  {time}", look.interval),
    };
    let room = area.width.saturating_sub(u16::try_from(right.chars().count()).unwrap_or(0) + 1);
    let rate = sum.rate.map(|rate| format!(", {rate} req/s")).unwrap_or_default();
    let numbers = format!("{} servers: {}; {} in flight{rate}", sum.servers(), sum.summary, sum.summary.in_flight);
    let stale = stale(state, look, now);
    // In a low terminal there is one row for both.
    let first = if area.height < 2 { stale.clone() } else { None };
    let troubled = sum.summary.down + sum.summary.unknown > 0;
    let (text, ink) = match first {
        Some(stale) => (stale, Ink::Bad),
        None => (numbers, if troubled { Ink::Bad } else { Ink::Heading }),
    };
    pen.put(area, Place { row: 0, column: 0, room }, &text, ink);
    pen.put_right(area, Place { row: 0, column: room, room: area.width - room }, &right, Ink::Faint);
    if let Some(stale) = stale {
        pen.line(area, 1, &stale, Ink::Bad);
    } else {
        pen.line(area, 1, &below(state), Ink::Faint);
    }
}

/// Since when teeterd has not answered, and how old the data is.
fn stale(state: &State, look: &Look, now: Timestamp) -> Option<String> {
    let (since, why) = state.away.as_ref()?;
    let at = |time: Timestamp| clock::within(time, &look.zone, "%H:%M:%S");
    let (age, away) = (state.read.map(|read| clock::age(read, now)).unwrap_or_default(), clock::age(*since, now));
    let read = state.read.map(at).unwrap_or_default();
    Some(format!("OLD DATA of {read}, {age} ago: no answer since {} ({away}): {why}", at(*since)))
}

/// How the table is listed, and what teeterd notes.
fn below(state: &State) -> String {
    let mut parts = vec![format!("by {}", state.shape.order.word())];
    if !state.filter.is_empty() {
        let all = state.servers.len();
        parts.push(format!("filter {:?}: {} of {all} servers", state.filter, state.listing.sum.servers()));
    }
    match state.notes.as_slice() {
        [] => {}
        [note] => parts.push(format!("note (n): {note}")),
        [first, rest @ ..] => parts.push(format!("{} notes (n): {first}", rest.len() + 1)),
    }
    parts.join("  ")
}
