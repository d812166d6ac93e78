//! Progress on standard error: a spinner on a terminal, lines elsewhere.

use std::io::IsTerminal as _;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use jiff::{SignedDuration, Timestamp};

use super::{clock, print};

/// What is being waited for, and what has happened so far.
pub(super) struct Progress {
    spinner: Option<ProgressBar>,
    shown: String,
    shown_at: Option<Timestamp>,
}

impl Progress {
    /// Shows nothing yet.
    pub(super) fn new() -> Self {
        let spinner = std::io::stderr().is_terminal().then(|| {
            let style = ProgressStyle::with_template("{spinner} {wide_msg}")
                .unwrap_or_else(|_| ProgressStyle::default_spinner());
            ProgressBar::new_spinner().with_style(style)
        });
        Self { spinner, shown: String::new(), shown_at: None }
    }

    /// Shows what is being waited for. Off a terminal: a line when it changes, at most one a second.
    pub(super) fn waiting(&mut self, text: &str) {
        if let Some(spinner) = &self.spinner {
            spinner.set_message(print::clean(text).replace('\n', " "));
            spinner.enable_steady_tick(REDRAW);
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

    /// Takes the spinner away: something else is going to write.
    pub(super) fn clear(&mut self) {
        if let Some(spinner) = &self.spinner {
            spinner.disable_steady_tick();
            spinner.set_message("");
            spinner.finish_and_clear();
            spinner.reset();
        }
        self.shown.clear();
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(spinner) = &self.spinner {
            spinner.finish_and_clear();
        }
    }
}

const REDRAW: Duration = Duration::from_millis(120);
