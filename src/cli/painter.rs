//! Draws the live view at the end of a terminal, below the lines that stay.
//!
//! Everything goes through the lane of standard error as whole pieces in order, so the picture is erased exactly where it
//! was drawn, also if the terminal is stopped for a while: a picture may be left out, but never its erasure.

use std::io::{self, IsTerminal as _};
use std::sync::{Mutex, OnceLock};

use unicode_width::UnicodeWidthStr as _;

use super::lane::{self, Lane};
use super::live::Size;
use super::terminal;
use crate::platform::lock;

/// The picture on the terminal of standard error.
#[derive(Debug)]
pub(super) struct Painter {
    lane: &'static Lane,
    drawn: Mutex<Vec<String>>,
}

impl Painter {
    /// Begins to paint, if standard error is a terminal that can move its cursor and the lanes have begun. From then on,
    /// everything that this process prints on a terminal goes through the painter.
    pub(super) fn on_terminal() -> Option<&'static Self> {
        let can_move = std::env::var("TERM").is_ok_and(|term| !term.is_empty() && term != "dumb");
        let lane = lane::for_output(true).filter(|_| io::stderr().is_terminal() && can_move)?;
        Some(PAINTER.get_or_init(|| Self { lane, drawn: Mutex::default() }))
    }

    /// The painter for text on an output, if it has begun and the output is a terminal.
    pub(super) fn for_output(to_stderr: bool) -> Option<&'static Self> {
        PAINTER.get().filter(|_| to_stderr || io::stdout().is_terminal())
    }

    /// The size of the terminal.
    pub(super) fn size(&self) -> Size {
        let (columns, rows) = terminal::size(io::stderr());
        Size { columns: columns.unwrap_or(80), rows: rows.unwrap_or(24) }
    }

    /// Replaces the picture, unless the terminal is behind.
    pub(super) fn draw(&self, lines: Vec<String>) {
        if self.lane.bytes() >= BEHIND {
            return;
        }
        let mut drawn = lock(&self.drawn);
        if *drawn == lines {
            return;
        }
        let text = format!("{}{}", self.erasure(&drawn), picture(&lines));
        *drawn = lines;
        self.lane.answer(text);
    }

    /// The text with what puts it above the picture. It is complete lines that are safe to print.
    pub(super) fn above(&self, text: &str) -> String {
        let drawn = lock(&self.drawn);
        format!("{}{text}{}", self.erasure(&drawn), picture(&drawn))
    }

    /// Removes the picture.
    pub(super) fn clear(&self) {
        let mut drawn = lock(&self.drawn);
        if !drawn.is_empty() {
            self.lane.answer(self.erasure(&drawn));
            drawn.clear();
        }
    }

    /// What erases the lines that are drawn. A terminal that has become narrower shows them on more rows.
    fn erasure(&self, drawn: &[String]) -> String {
        let columns = self.size().columns.max(1);
        match drawn.iter().map(|line| line.width().div_ceil(columns).max(1)).sum::<usize>() {
            0 => String::new(),
            rows => format!("\r\x1b[{rows}A\x1b[J"),
        }
    }
}

static PAINTER: OnceLock<Painter> = OnceLock::new();

fn picture(lines: &[String]) -> String {
    lines.iter().map(|line| format!("{line}\n")).collect()
}

/// With this many unread bytes, no new picture is drawn.
const BEHIND: usize = 4 << 10;
