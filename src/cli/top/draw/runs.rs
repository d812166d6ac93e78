//! The pane of runs: each with its step and what it waits for; the active ones with all their steps in a row.

use jiff::Timestamp;
use ratatui::layout::Rect;

use super::pen::Pen;
use crate::api::{RunStatus, RunView, StepStatus};
use crate::cli::live::{Marks, Size, position, step_lines};
use crate::cli::paint::Ink;
use crate::cli::top::layout::Focus;
use crate::cli::top::state::State;
use crate::cli::{clock, run_text, tables};

pub(super) fn draw(pen: &mut Pen<'_>, area: Rect, state: &State, now: Timestamp) {
    if area.height == 0 {
        return;
    }
    let focused = state.focus == Focus::Runs;
    let active = state.runs.iter().filter(|run| run.finished.is_none()).count();
    let text = if state.runs.is_empty() { "RUNS  none yet".to_owned() } else { format!("RUNS  {active} active") };
    pen.heading(area, &text, focused);
    let from = if focused { state.run } else { 0 };
    let mut row = 1;
    for (at, run) in state.runs.iter().enumerate().skip(from) {
        if row >= area.height {
            break;
        }
        let is_chosen = focused && at == state.run;
        pen.line(area, row, &summary(run, now), ink(run));
        if is_chosen {
            pen.mark(area, row);
        }
        row += 1;
        if is_chosen {
            let room = Size { columns: usize::from(area.width), rows: usize::from(area.height.saturating_sub(row)) };
            let lines = step_lines(run, now, pen.marks, room);
            let next = run.next.iter().map(|next| format!("  next: {next}"));
            for line in next.chain(lines) {
                pen.line(area, row, &line, Ink::Plain);
                row += 1;
            }
        } else if run.finished.is_none() && row < area.height {
            pen.line(area, row, &strip(run, pen.marks, usize::from(area.width)), Ink::Plain);
            row += 1;
        }
    }
}

/// A run in one line.
fn summary(run: &RunView, now: Timestamp) -> String {
    let version = run_text::version(run);
    let age = clock::age(run.started, run.finished.unwrap_or(now));
    let mut text = format!("run {}: {} of {}{version}, {} {age}", run.id, run.strategy, run.farm, tables::state(run));
    if run.finished.is_none() {
        let position = position(run);
        if !position.is_empty() {
            text.push_str(&format!("  {position}"));
        }
    }
    let last = run.why.as_ref().or(run.waiting.as_ref().filter(|_| run.finished.is_none()));
    text.extend(last.map(|why| format!("  {}", why.replace('\n', " "))));
    text
}

/// The steps in one line, from the one before the current on, if all have no room.
fn strip(run: &RunView, marks: Marks, columns: usize) -> String {
    let step = |step: &crate::api::StepView| {
        let mark = match step.state {
            StepStatus::Done => marks.done,
            StepStatus::Now => marks.now,
            StepStatus::Failed => marks.failed,
            StepStatus::Skipped => marks.skipped,
            _ => marks.to_do,
        };
        format!("{mark} {}", step.text)
    };
    let steps: Vec<String> = run.steps.iter().map(step).collect();
    let whole = format!("  {}", steps.join("  "));
    if whole.chars().count() <= columns || run.cursor < 2 {
        return whole;
    }
    format!("  {} {}", marks.cut, steps[(run.cursor - 1).min(steps.len())..].join("  "))
}

fn ink(run: &RunView) -> Ink {
    match (&run.state, &run.finished) {
        (RunStatus::Failed, _) => Ink::Bad,
        (_, None) => Ink::Held,
        _ => Ink::Faint,
    }
}
