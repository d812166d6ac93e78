//! The terminal: raw, on its other screen, and put back at every end.
//!
//! Frames go through the lane of standard output, so that a terminal that is stopped does not keep the process from
//! obeying a signal. A frame is left out while the one before is not written.

use std::io::{self, IsTerminal as _, Write};
use std::os::fd::AsFd as _;
use std::sync::OnceLock;

use ratatui::Frame;
use ratatui::backend::TermionBackend;
use ratatui::termion::event::Key;
use ratatui::termion::input::TermRead as _;
use rustix::termios::{OptionalActions, Termios, tcgetattr, tcsetattr};
use tokio::sync::mpsc;

use crate::cli::error::CliError;
use crate::cli::lane::{self, Lane};

/// The terminal while the screen is open.
pub(super) struct Terminal {
    lane: &'static Lane,
    terminal: ratatui::Terminal<TermionBackend<Out>>,
}

/// The settings of the terminal before; `None` while it has them.
static BEFORE: OnceLock<Termios> = OnceLock::new();

impl Terminal {
    /// Why there can be no screen here; `None` if there can be one.
    pub(super) fn refusal() -> Option<CliError> {
        let can_move = std::env::var("TERM").is_ok_and(|term| !term.is_empty() && term != "dumb");
        let why = match (io::stdin().is_terminal(), io::stdout().is_terminal(), can_move) {
            (true, true, true) => return None,
            (false, _, _) => "standard input is not a terminal",
            (_, false, _) => "standard output is not a terminal",
            _ => "the terminal cannot move its cursor (TERM)",
        };
        let text = format!(
            "`teeter top` needs a terminal, and {why}; `teeter status --watch` prints the status again and again"
        );
        Some(CliError::Usage { text })
    }

    /// Opens the screen. The lanes must have begun.
    ///
    /// # Errors
    /// The terminal cannot be set.
    pub(super) fn open() -> Result<Self, CliError> {
        let lane = lane::for_output(false)
            .ok_or_else(|| CliError::Output(io::Error::other("standard output has no writer")))?;
        let set = || -> io::Result<_> {
            let mut settings = tcgetattr(io::stdin().as_fd())?;
            // The first settings stay: they are those to put back.
            let _ = BEFORE.set(settings.clone());
            settings.make_raw();
            tcsetattr(io::stdin().as_fd(), OptionalActions::Now, &settings)?;
            put_back_at_panic();
            lane.answer(OPEN.to_owned());
            ratatui::Terminal::new(TermionBackend::new(Out { lane, frame: Vec::new() }))
        };
        let terminal = set().map_err(|error| {
            put_back();
            CliError::Output(error)
        })?;
        Ok(Self { lane, terminal })
    }

    /// The rows of the terminal.
    pub(super) fn rows(&self) -> u16 {
        self.terminal.size().map_or(24, |size| size.height)
    }

    /// Draws a frame, unless the terminal is behind. Returns whether it was drawn.
    ///
    /// # Errors
    /// The terminal is gone.
    pub(super) fn draw(&mut self, draw: impl FnOnce(&mut Frame<'_>)) -> Result<bool, CliError> {
        if self.lane.bytes() > 0 {
            return Ok(false);
        }
        self.terminal.draw(draw).map_err(CliError::Output)?;
        Ok(true)
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        self.lane.answer(CLOSE.to_owned());
        put_back();
    }
}

/// Gives the terminal its settings from before.
fn put_back() {
    if let Some(before) = BEFORE.get() {
        // If the terminal is gone, there is nothing to put back.
        let _ = tcsetattr(io::stdin().as_fd(), OptionalActions::Now, before);
    }
}

/// Lets a panic put the terminal back before its message is printed: no destructor runs when a panic aborts.
fn put_back_at_panic() {
    let earlier = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        let _ = io::stdout().lock().write_all(CLOSE.as_bytes());
        let _ = io::stdout().lock().flush();
        put_back();
        earlier(panic);
    }));
}

/// The keys that are typed. A thread reads them, until the process ends.
pub(super) fn keys() -> mpsc::Receiver<Key> {
    let (keys, typed) = mpsc::channel(TYPED_AHEAD);
    std::thread::spawn(move || {
        for key in io::stdin().lock().keys() {
            let Ok(key) = key else { return };
            if apart(key).into_iter().flatten().any(|key| keys.blocking_send(key).is_err()) {
                return;
            }
        }
    });
    typed
}

/// The keys that arrived as one. Esc and a key that follows at once cannot be told from the key with Alt, which no key
/// here has.
fn apart(key: Key) -> [Option<Key>; 2] {
    match key {
        Key::Alt('\x1b') => [Some(Key::Esc), Some(Key::Esc)],
        Key::Alt('\x03') => [Some(Key::Esc), Some(Key::Ctrl('c'))],
        Key::Alt('\r') => [Some(Key::Esc), Some(Key::Char('\n'))],
        Key::Alt(c) => [Some(Key::Esc), Some(Key::Char(c))],
        key => [Some(key), None],
    }
}

/// Collects a frame, and hands it to the lane as one piece.
struct Out {
    lane: &'static Lane,
    frame: Vec<u8>,
}

impl Write for Out {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.frame.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        if !self.frame.is_empty() {
            self.lane.answer(String::from_utf8_lossy(&std::mem::take(&mut self.frame)).into_owned());
        }
        Ok(())
    }
}

/// Goes to the other screen, and hides the cursor.
const OPEN: &str = "\x1b[?1049h\x1b[?25l\x1b[2J";

/// Shows the cursor, and goes back to the first screen.
const CLOSE: &str = "\x1b[0m\x1b[?25h\x1b[?1049l";

/// The keys that may be typed before the first of them is handled.
const TYPED_AHEAD: usize = 64;
