//! What a command shows of the run that it follows: the live view on a terminal, lines with times elsewhere.

use std::cell::RefCell;

use super::clock;
use super::follow::Awaiting;
use super::live::{HookState, Marks, Picture, Trends};
use super::progress::{AGAIN, Progress};
use crate::api::RunView;

/// The display of one run.
pub(super) struct Display {
    /// Prints the lines that stay.
    pub(super) progress: Progress,
    /// What is known of the running hook.
    pub(super) hook: HookState,
    /// The run as it was last seen.
    run: RunView,
    /// The end of its current wait, as text.
    until: String,
    trends: RefCell<Trends>,
    marks: Marks,
}

impl Display {
    /// Shows nothing yet.
    pub(super) fn new(run: &RunView) -> Self {
        Self {
            progress: Progress::of_run(),
            hook: HookState::default(),
            run: run.clone(),
            until: String::new(),
            trends: RefCell::default(),
            marks: Marks::for_locale(|name| std::env::var(name).ok()),
        }
    }

    /// Shows the run, which waits `until` then at most.
    pub(super) fn update(&mut self, run: &RunView, until: String) {
        self.run = run.clone();
        self.until = until;
        self.print_wait();
        self.draw();
    }

    /// Shows the run again, a second later.
    pub(super) fn refresh(&self) {
        self.trends.borrow_mut().add(&self.run.servers);
        self.print_wait();
        self.draw();
    }

    /// The current step and wait, as text.
    pub(super) fn wait(&self) -> String {
        let step = self.run.steps.get(self.run.cursor).map(|step| format!("{}: ", step.text)).unwrap_or_default();
        format!("{step}{}", self.run.waiting.as_deref().unwrap_or("waiting for teeterd"))
    }

    /// Prints the current wait, where there is no live view. Without a reason to wait there is nothing to print.
    fn print_wait(&self) {
        let now = clock::now();
        let text = match Awaiting::by(&self.run) {
            // The lines of the hook show that it goes on, as long as there are any.
            Awaiting::Work(work) if self.hook.silent_since().is_some_and(|at| now.duration_since(at) >= AGAIN) => {
                format!("{} {}: the hook goes on, and has printed no line lately", work.phase, work.group)
            }
            Awaiting::Nothing if self.run.waiting.is_some() => format!("{} ({})", self.wait(), self.until),
            _ => return,
        };
        self.progress.waiting_for(&clock::elapsed(self.run.started, now), &text);
    }

    fn draw(&self) {
        let Some(painter) = self.progress.painter() else { return };
        let Self { run, hook, until, marks, .. } = self;
        let picture = Picture { run, trends: &self.trends.borrow(), hook, until, now: clock::now(), marks: *marks };
        painter.draw(picture.lines(painter.size()));
    }
}
