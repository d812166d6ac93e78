//! Progress on standard error: a spinner or the live view of a run on a terminal, lines elsewhere.

use std::cell::RefCell;
use std::io::IsTerminal as _;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use jiff::{SignedDuration, Timestamp};

use super::painter::Painter;
use super::screen::Screen;
use super::{clock, lane, print};

/// Shows the current wait, and the events so far.
pub(super) struct Progress {
    terminal: bool,
    spinner: RefCell<Option<ProgressBar>>,
    /// The last wait that was printed as a line, and when.
    shown: RefCell<Option<(String, Timestamp)>>,
    /// Draws the live view of a run, where there is one.
    painter: Option<&'static Painter>,
}

impl Progress {
    /// Creates it; shows nothing yet.
    pub(super) fn new() -> Self {
        Self::with(None)
    }

    /// Creates it for a run: on a terminal it shows the live view.
    pub(super) fn of_run() -> Self {
        Self::with(Painter::on_terminal())
    }

    fn with(painter: Option<&'static Painter>) -> Self {
        let terminal = std::io::stderr().is_terminal();
        Self { terminal, spinner: RefCell::default(), shown: RefCell::default(), painter }
    }

    /// The painter of the live view, if there is one.
    pub(super) fn painter(&self) -> Option<&'static Painter> {
        self.painter
    }

    /// Shows the current wait. Without a terminal: prints a line when it changes, at most one a second, and the same
    /// line again after [`AGAIN`], so that a log shows that the command still waits.
    pub(super) fn waiting(&self, text: &str) {
        self.waiting_for("", text);
    }

    /// The same, with the time since the start of the run before the text.
    pub(super) fn waiting_for(&self, elapsed: &str, text: &str) {
        if self.painter.is_some() {
            return;
        }
        if self.terminal {
            let mut bar = self.spinner.borrow_mut();
            bar.get_or_insert_with(spinner).set_message(print::clean(text).replace('\n', " "));
            return;
        }
        let now = clock::now();
        let mut shown = self.shown.borrow_mut();
        if let Some((before, at)) = &*shown {
            let after = if before == text { AGAIN } else { A_LINE };
            if now.duration_since(*at) < after {
                return;
            }
        }
        print::err(&if elapsed.is_empty() { text.to_owned() } else { format!("{elapsed}  {text}") });
        *shown = Some((text.to_owned(), now));
    }

    /// Prints a line that stays.
    pub(super) fn line(&self, text: &str) {
        match &*self.spinner.borrow() {
            Some(spinner) => spinner.suspend(|| print::err(text)),
            None => print::err(text),
        }
    }

    /// Removes the spinner or the live view, so that other text can be printed.
    pub(super) fn clear(&self) {
        if let Some(spinner) = self.spinner.borrow_mut().take() {
            spinner.finish_and_clear();
        }
        self.painter.into_iter().for_each(Painter::clear);
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.clear();
    }
}

fn spinner() -> ProgressBar {
    let style =
        ProgressStyle::with_template("{spinner} {wide_msg}").unwrap_or_else(|_| ProgressStyle::default_spinner());
    let spinner = match lane::for_output(true) {
        Some(lane) => ProgressBar::with_draw_target(None, ProgressDrawTarget::term_like(Box::new(Screen::on(lane)))),
        None => ProgressBar::new_spinner(),
    };
    let spinner = spinner.with_style(style);
    spinner.enable_steady_tick(REDRAW);
    spinner
}

const REDRAW: Duration = Duration::from_millis(120);

/// The shortest time between two lines.
const A_LINE: SignedDuration = SignedDuration::from_secs(1);

/// The time after which the same line is printed again.
pub(super) const AGAIN: SignedDuration = SignedDuration::from_secs(15);
