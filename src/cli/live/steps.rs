//! The steps of a run in a few lines: those just done, the current one, those to come.

use jiff::Timestamp;

use super::picture::Size;
use super::text::{Marks, fit, pad, plural};
use crate::api::{RunView, StepStatus, StepView, WorkPhase};
use crate::cli::clock;
use crate::cli::run_text::took;

/// The current step as text, such as `step 3 of 9, group 1 of 2`; empty once all are done.
pub(in crate::cli) fn position(run: &RunView) -> String {
    let count = run.steps.len();
    if run.cursor >= count {
        return String::new();
    }
    let mut text = format!("step {} of {count}", run.cursor + 1);
    let groups: Vec<&str> = run
        .steps
        .iter()
        .filter(|step| step.phase == Some(WorkPhase::Deploy))
        .filter_map(|step| step.group.as_deref())
        .collect();
    let group = run.steps.get(run.cursor).and_then(|step| step.group.as_deref());
    if let Some(number) = group.and_then(|group| groups.iter().position(|name| *name == group))
        && groups.len() > 1
    {
        text.push_str(&format!(", group {} of {}", number + 1, groups.len()));
    }
    text
}

/// The steps as lines that fit into `room`.
pub(in crate::cli) fn lines(run: &RunView, now: Timestamp, marks: Marks, room: Size) -> Vec<String> {
    let longest = run.steps.iter().map(|step| step.text.chars().count()).max().unwrap_or(0).min(room.columns / 2);
    let line = |step: &StepView| {
        let sign = match step.state {
            StepStatus::Done => marks.done,
            StepStatus::Now => marks.now,
            StepStatus::Failed => marks.failed,
            StepStatus::Skipped => marks.skipped,
            _ => marks.to_do,
        };
        let text = fit(&step.text, longest, marks);
        let time = took(step, run, now).map(clock::precise).unwrap_or_default();
        fit(format!("  {sign} {}  {:>8}", pad(&text, longest), time).trim_end(), room.columns, marks)
    };
    let rows = room.rows.max(3);
    if run.steps.len() <= rows {
        return run.steps.iter().map(line).collect();
    }
    // The current step stands in the upper half: what comes is of more interest than what was.
    let shown = rows - 2;
    let current = run.cursor.min(run.steps.len() - 1);
    let from = current.saturating_sub(shown / 3).min(run.steps.len() - shown);
    let rest = run.steps.len() - from - shown;
    let before = (from > 0).then(|| format!("  {} {from} {} before", marks.done, plural(from, "step")));
    let after = (rest > 0).then(|| format!("  {} {rest} {} to come", marks.to_do, plural(rest, "step")));
    let shown = run.steps.iter().skip(from).take(shown).map(line);
    before.into_iter().chain(shown).chain(after).map(|line| fit(&line, room.columns, marks)).collect()
}
