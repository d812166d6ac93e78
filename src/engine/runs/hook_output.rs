//! The output of a run's hooks: kept with the run, up to a limit.

use crate::api::{LONGEST_OUTPUT_LINE, MOST_OUTPUT_OF_A_RUN, OUTPUT_LINE_OVERHEAD};
use crate::engine::Engine;
use crate::engine::error::EngineError;
use crate::farm::RunId;
use crate::state::{Caller, NewEvent, asked, event};

/// A line of a hook's output. Terminal controls are removed before, where the API reads it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HookLine {
    /// The group or the server that the hook worked on.
    pub from: String,
    /// The line itself.
    pub text: String,
}

impl Engine {
    /// Keeps lines of a run's hooks, as far as there is room. Returns whether there is room for more.
    ///
    /// # Errors
    /// There is no such run, or the store cannot be written.
    pub async fn keep_output(&self, id: RunId, lines: Vec<HookLine>, caller: &Caller) -> Result<bool, EngineError> {
        // Locked to the end, so that two callers do not both take the last room.
        let ledger = self.record.lock().await;
        let other_user = ledger.run(id).await?.by != caller.person();
        if ledger.tally(id, HOOK_CUT).await?.events > 0 {
            return Ok(false);
        }
        let kept = ledger.tally(id, HOOK_OUTPUT).await?;
        let room = MOST_OUTPUT_OF_A_RUN.saturating_sub(kept.bytes + kept.events * OUTPUT_LINE_OVERHEAD);
        let now = self.clock.now();
        let happened = |kind, text| {
            let event = event(now, kind, text, Some(id), None);
            // The caller is only recorded with the event if it is not the user that began the run.
            if other_user { asked(event, caller) } else { event }
        };
        let (texts, more) = fitting(lines, room);
        let mut events: Vec<NewEvent> = texts.into_iter().map(|text| happened(HOOK_OUTPUT, text)).collect();
        if !more {
            let kib = MOST_OUTPUT_OF_A_RUN / 1024;
            events
                .push(happened(HOOK_CUT, format!("the output of hooks is not kept any further: it passed {kib} KiB")));
        }
        ledger.record(events).await?;
        drop(ledger);
        self.fleet.bump();
        Ok(more)
    }
}

/// The lines that fit, as they are recorded, and whether all of them fit.
fn fitting(lines: Vec<HookLine>, mut room: usize) -> (Vec<String>, bool) {
    let mut texts = Vec::new();
    for HookLine { from, mut text } in lines {
        if text.len() > LONGEST_OUTPUT_LINE {
            let fits = |end: &usize| text.is_char_boundary(*end);
            text.truncate((0..=LONGEST_OUTPUT_LINE).rev().find(fits).unwrap_or(0));
            text.push('…');
        }
        let text = format!("{from} | {text}");
        let Some(rest) = room.checked_sub(text.len() + OUTPUT_LINE_OVERHEAD) else { return (texts, false) };
        room = rest;
        texts.push(text);
    }
    (texts, true)
}

/// The kind of the events that are lines of hooks.
pub const HOOK_OUTPUT: &str = "hook.output";

/// The kind of the event after which no more lines are kept.
const HOOK_CUT: &str = "hook.cut";

#[cfg(test)]
mod tests {
    use super::*;

    fn line(text: &str) -> HookLine {
        HookLine { from: "a".to_owned(), text: text.to_owned() }
    }

    #[test]
    fn lines_are_kept_while_there_is_room() {
        let lines = vec![line("one"), line("two"), line("three")];
        let texts = vec!["a | one".to_owned(), "a | two".to_owned()];
        assert_eq!(fitting(lines.clone(), 2 * (7 + OUTPUT_LINE_OVERHEAD)), (texts, false));
        assert_eq!(fitting(lines, 1000).0.len(), 3);
    }

    #[test]
    fn a_too_long_line_is_cut_between_two_characters() {
        let (texts, more) = fitting(vec![line(&format!("x{}", "ü".repeat(LONGEST_OUTPUT_LINE)))], MOST_OUTPUT_OF_A_RUN);
        assert!(more);
        assert_eq!(texts[0].len(), "a | ".len() + LONGEST_OUTPUT_LINE - 1 + "…".len());
        assert!(texts[0].ends_with("ü…"));
    }
}
