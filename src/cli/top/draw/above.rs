//! Texts and questions above the panes.

use ratatui::layout::Rect;

use super::pen::Pen;
use crate::cli::paint::Ink;
use crate::cli::status::wrapped;
use crate::cli::top::overlay::Overlay;
use crate::cli::top::question::Question;

pub(super) fn draw_text(pen: &mut Pen<'_>, area: Rect, text: &Overlay) {
    pen.clear(area);
    pen.heading(area, &text.title, true);
    // A long line of a message is wrapped; a row of a table is cut.
    let columns = usize::from(area.width.max(10));
    let lines = text.lines.iter().skip(text.from).flat_map(|line| {
        let is_row = text.sessions.is_some() || line.chars().count() <= columns;
        if is_row { vec![line.clone()] } else { wrapped(line, columns) }
    });
    for (row, line) in (1..area.height).zip(lines) {
        pen.line(area, row, &line, Ink::Plain);
    }
}

pub(super) fn draw_question(pen: &mut Pen<'_>, area: Rect, question: &Question) {
    pen.clear(area);
    pen.heading(area, &question.title(), true);
    let columns = usize::from(area.width.max(10));
    let (prompt, typed) = question.prompt();
    let mut lines: Vec<(String, Ink)> = Vec::new();
    for line in &question.lines {
        lines.extend(wrapped(line, columns).into_iter().map(|line| (line, Ink::Plain)));
    }
    lines.extend(wrapped(&prompt, columns).into_iter().map(|line| (line, Ink::Heading)));
    lines.extend(typed.map(|typed| (format!("> {typed}_"), Ink::Held)));
    // What is to be typed stays on the screen.
    let hidden = lines.len().saturating_sub(usize::from(area.height.saturating_sub(1)));
    for (row, (line, ink)) in (1..area.height).zip(lines.into_iter().skip(hidden)) {
        pen.line(area, row, &line, ink);
    }
}
