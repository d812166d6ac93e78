//! Writes text into the cells of the screen: made harmless, cut to its room, in the colour of its ink.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::{Color, Modifier, Style};

use super::Look;
use crate::cli::live::{Marks, fit};
use crate::cli::paint::Ink;
use crate::control::harmless;

/// Writes into the cells of the screen.
pub(super) struct Pen<'a> {
    cells: &'a mut Buffer,
    pub(super) marks: Marks,
    colours: bool,
}

impl<'a> Pen<'a> {
    /// Writes into these cells.
    pub(super) fn new(cells: &'a mut Buffer, look: &Look) -> Self {
        Self { cells, marks: look.marks, colours: look.colours }
    }

    /// Writes text from a column of a row on, cut to its room.
    pub(super) fn put(&mut self, area: Rect, place: Place, text: &str, ink: Ink) {
        let room = place.room.min(area.width.saturating_sub(place.column));
        if place.row >= area.height || room == 0 {
            return;
        }
        let text = fit(&harmless::one_line(text), usize::from(room), self.marks);
        let style = self.style(ink);
        self.cells.set_stringn(area.x + place.column, area.y + place.row, text, usize::from(room), style);
    }

    /// Writes a number at the right end of its room.
    pub(super) fn put_right(&mut self, area: Rect, place: Place, text: &str, ink: Ink) {
        let length = u16::try_from(text.chars().count()).unwrap_or(place.room).min(place.room);
        let column = place.column + place.room - length;
        self.put(area, Place { column, room: length, ..place }, text, ink);
    }

    /// Writes a whole row.
    pub(super) fn line(&mut self, area: Rect, row: u16, text: &str, ink: Ink) {
        self.put(area, Place { row, column: 0, room: area.width }, text, ink);
    }

    /// Writes the heading of a pane; `active`: the pane has the keys.
    pub(super) fn heading(&mut self, area: Rect, text: &str, active: bool) {
        self.line(area, 0, text, Ink::Heading);
        if area.height > 0 {
            let style = if active { Modifier::REVERSED } else { Modifier::UNDERLINED };
            self.cells.set_style(Rect { height: 1, ..area }, Style::new().add_modifier(style));
        }
    }

    /// Marks the row under the cursor.
    pub(super) fn mark(&mut self, area: Rect, row: u16) {
        if row < area.height {
            let row = Rect { y: area.y + row, height: 1, ..area };
            self.cells.set_style(row, Style::new().add_modifier(Modifier::REVERSED));
        }
    }

    /// Empties an area.
    pub(super) fn clear(&mut self, area: Rect) {
        let area = area.intersection(self.cells.area);
        for y in area.top()..area.bottom() {
            for x in area.left()..area.right() {
                if let Some(cell) = self.cells.cell_mut((x, y)) {
                    cell.reset();
                }
            }
        }
    }

    fn style(&self, ink: Ink) -> Style {
        let colour = |colour| if self.colours { Style::new().fg(colour) } else { Style::new() };
        match ink {
            Ink::Plain => Style::new(),
            Ink::Heading => Style::new().add_modifier(Modifier::BOLD),
            Ink::Bad => colour(Color::Red).add_modifier(Modifier::BOLD),
            Ink::Held => colour(Color::Yellow),
            Ink::Faint => Style::new().add_modifier(Modifier::DIM),
        }
    }
}

/// Where a text stands in its area.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    pub(super) row: u16,
    pub(super) column: u16,
    /// The most columns that it takes.
    pub(super) room: u16,
}
