//! A terminal for the spinner that never blocks: it draws through the lane of standard error, or drops the picture.

use std::fmt::Write as _;
use std::io;
use std::sync::Mutex;

use indicatif::TermLike;

use super::lane::Lane;
use super::terminal;

use crate::platform::lock;

/// Standard error, if it is a terminal.
#[derive(Debug)]
pub(super) struct Screen {
    lane: &'static Lane,
    /// The current picture, until it is complete.
    drawn: Mutex<String>,
}

impl Screen {
    /// Draws through this lane.
    pub(super) fn on(lane: &'static Lane) -> Self {
        Self { lane, drawn: Mutex::default() }
    }

    fn draw(&self, what: std::fmt::Arguments<'_>) -> io::Result<()> {
        lock(&self.drawn).write_fmt(what).map_err(io::Error::other)
    }

    /// A move of the cursor; the terminal would take zero for one.
    fn go(&self, n: usize, to: char) -> io::Result<()> {
        if n == 0 { Ok(()) } else { self.draw(format_args!("\x1b[{n}{to}")) }
    }
}

impl TermLike for Screen {
    fn width(&self) -> u16 {
        terminal::size(io::stderr()).0.and_then(|columns| columns.try_into().ok()).unwrap_or(80)
    }

    fn move_cursor_up(&self, n: usize) -> io::Result<()> {
        self.go(n, 'A')
    }

    fn move_cursor_down(&self, n: usize) -> io::Result<()> {
        self.go(n, 'B')
    }

    fn move_cursor_right(&self, n: usize) -> io::Result<()> {
        self.go(n, 'C')
    }

    fn move_cursor_left(&self, n: usize) -> io::Result<()> {
        self.go(n, 'D')
    }

    fn write_line(&self, text: &str) -> io::Result<()> {
        self.draw(format_args!("{text}\n"))
    }

    fn write_str(&self, text: &str) -> io::Result<()> {
        self.draw(format_args!("{text}"))
    }

    fn clear_line(&self) -> io::Result<()> {
        self.draw(format_args!("\r\x1b[2K"))
    }

    fn flush(&self) -> io::Result<()> {
        let drawn = std::mem::take(&mut *lock(&self.drawn));
        // Drop this picture; the next one replaces it.
        if !drawn.is_empty() && self.lane.bytes() < BEHIND {
            self.lane.answer(drawn);
        }
        Ok(())
    }
}

/// With this many unread bytes, drawing stops.
const BEHIND: usize = 4 << 10;
