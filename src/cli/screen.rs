//! A terminal for the spinner that never stands still: what it draws goes where everything is printed, or nowhere.

use std::fmt::Write as _;
use std::io;
use std::sync::{Mutex, PoisonError};

use indicatif::TermLike;

use super::lane::Lane;

/// Standard error, a terminal.
#[derive(Debug)]
pub(super) struct Screen {
    lane: &'static Lane,
    /// One picture, until it is whole.
    drawn: Mutex<String>,
}

impl Screen {
    /// Draws by this way.
    pub(super) fn on(lane: &'static Lane) -> Self {
        Self { lane, drawn: Mutex::default() }
    }

    fn draw(&self, what: std::fmt::Arguments<'_>) -> io::Result<()> {
        self.drawn.lock().unwrap_or_else(PoisonError::into_inner).write_fmt(what).map_err(io::Error::other)
    }

    /// A move of the cursor; `n` of zero would be taken for one.
    fn go(&self, n: usize, to: char) -> io::Result<()> {
        if n == 0 { Ok(()) } else { self.draw(format_args!("\x1b[{n}{to}")) }
    }
}

impl TermLike for Screen {
    fn width(&self) -> u16 {
        let size = rustix::termios::tcgetwinsize(io::stderr());
        size.map(|size| size.ws_col).ok().filter(|columns| *columns > 0).unwrap_or(80)
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
        let drawn = std::mem::take(&mut *self.drawn.lock().unwrap_or_else(PoisonError::into_inner));
        // The next picture is as good, and nobody sees this one.
        if !drawn.is_empty() && self.lane.bytes() < BEHIND {
            self.lane.answer(drawn);
        }
        Ok(())
    }
}

/// With so much unread there is nobody to draw for.
const BEHIND: usize = 4 << 10;
