//! Progress on standard error: a spinner on a terminal, lines elsewhere.

use std::io::IsTerminal as _;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use jiff::{SignedDuration, Timestamp};

use super::screen::Screen;
use super::{clock, lane, print};

/// Shows the current wait, and the events so far.
pub(super) struct Progress {
    terminal: bool,
    spinner: Option<ProgressBar>,
    shown: String,
    shown_at: Option<Timestamp>,
}

impl Progress {
    /// Creates it; shows nothing yet.
    pub(super) fn new() -> Self {
        Self { terminal: std::io::stderr().is_terminal(), spinner: None, shown: String::new(), shown_at: None }
    }

    /// Shows the current wait. Without a terminal: prints a line when it changes, at most one a second.
    pub(super) fn waiting(&mut self, text: &str) {
        if self.terminal {
            let spinner = self.spinner.get_or_insert_with(spinner);
            spinner.set_message(print::clean(text).replace('\n', " "));
            return;
        }
        let now = clock::now();
        let soon = self.shown_at.is_some_and(|at| now.duration_since(at) < SignedDuration::from_secs(1));
        if text == self.shown || soon {
            return;
        }
        print::err(text);
        self.shown = text.to_owned();
        self.shown_at = Some(now);
    }

    /// Prints a line that stays.
    pub(super) fn line(&self, text: &str) {
        match &self.spinner {
            Some(spinner) => spinner.suspend(|| print::err(text)),
            None => print::err(text),
        }
    }

    /// Removes the spinner, so that other text can be printed.
    pub(super) fn clear(&mut self) {
        if let Some(spinner) = self.spinner.take() {
            spinner.finish_and_clear();
        }
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
