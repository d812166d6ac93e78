//! Draws the state. Nothing here decides anything.

mod above;
mod foot;
mod haproxys;
mod head;
mod pen;
mod runs;
mod table;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use ratatui::Frame;
use ratatui::layout::Rect;

use self::pen::Pen;
use super::state::{Above, State};
use crate::cli::live::Marks;
use crate::farm::Span;

/// How to draw.
#[derive(Debug, Clone)]
pub(super) struct Look {
    pub(super) marks: Marks,
    /// Whether there are colours.
    pub(super) colours: bool,
    /// The time between two reads.
    pub(super) interval: Span,
    /// The time zone of times.
    pub(super) zone: TimeZone,
}

/// Draws the screen.
pub(super) fn draw(frame: &mut Frame<'_>, state: &State, look: &Look, now: Timestamp) {
    let area = frame.area();
    let mut pen = Pen::new(frame.buffer_mut(), look);
    let layout = state.layout();
    let mut y = area.y;
    let mut part = |rows: u16| {
        let part = Rect { x: area.x, y, width: area.width, height: rows }.intersection(area);
        y += rows;
        part
    };
    head::draw(&mut pen, part(layout.head), state, look, now);
    let panes = Rect { height: layout.servers + layout.detail + layout.runs + layout.haproxys, ..part(0) };
    table::draw(&mut pen, part(layout.servers), state);
    table::draw_detail(&mut pen, part(layout.detail), state);
    runs::draw(&mut pen, part(layout.runs), state, now);
    haproxys::draw(&mut pen, part(layout.haproxys), state, now);
    let foot = part(layout.foot);
    match &state.above {
        Above::Text(text) => above::draw_text(&mut pen, panes.intersection(area), text),
        Above::Question(question) => above::draw_question(&mut pen, panes.intersection(area), question),
        Above::Nothing | Above::Filter => {}
    }
    foot::draw(&mut pen, foot, state);
}
