//! The API's documents as tables: plain columns, two blanks apart, like HAProxy's own tables.
//!
//! Pure: the time is an argument, the answer is text.

use std::collections::BTreeSet;

use comfy_table::presets::NOTHING;
use comfy_table::{CellAlignment, Table};
use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::names::servers;
use super::{calendar, clock};
use crate::api::{FindingView, HoldView, RunStatus, RunView, SessionView, StepStatus};

/// `teeter doctor`.
pub(super) fn findings(findings: &[FindingView]) -> String {
    let rows = findings.iter().map(|finding| [finding.state.to_string(), finding.about.clone(), finding.text.clone()]);
    columns(["", "WHAT", "FOUND"], rows, &[])
}

/// `teeter holds`.
pub(super) fn holds(holds: &[HoldView], now: Timestamp, zone: &TimeZone) -> String {
    let header = ["HOLD", "OWNER", "SERVERS", "MODE", "STATE", "AGE", "UNTIL", "REASON"];
    let rows = holds.iter().map(|hold| {
        [
            hold.id.to_string(),
            hold.owner.clone(),
            servers(hold),
            hold.mode.to_string(),
            hold.stage.to_string(),
            clock::age(hold.since, now),
            calendar::until(hold, now, zone),
            hold.reason.clone(),
        ]
    });
    let mut text = columns(header, rows, &[0]);
    for hold in holds {
        let waiting = hold.waiting.iter().map(|waiting| format!("\nhold {}: {waiting}", hold.id));
        let note = hold.note.iter().map(|note| format!("\nhold {}: {note}", hold.id));
        let left =
            (hold.left > 0).then(|| format!("\nhold {}: {} requests were left when it went on", hold.id, hold.left));
        text.extend(waiting.chain(note).chain(left));
    }
    text
}

/// `teeter why`.
pub(super) fn sessions(sessions: &[SessionView]) -> String {
    if sessions.is_empty() {
        return "no sessions are left".to_owned();
    }
    let instances: BTreeSet<&str> = sessions.iter().map(|session| session.instance.as_str()).collect();
    let header = ["SERVER", "CLIENT", "FRONTEND", "AGE", "BYTES IN", "BYTES OUT", "SESSION", "OLD PROCESS"];
    let bytes = |bytes: Option<u64>| bytes.map_or_else(|| "-".to_owned(), |bytes| bytes.to_string());
    let rows = sessions.iter().map(|session| {
        [
            if instances.len() > 1 {
                format!("{}:{}", session.instance, session.server)
            } else {
                session.server.clone()
            },
            session.client.clone(),
            session.frontend.clone(),
            session.age.clone(),
            bytes(session.bytes_in),
            bytes(session.bytes_out),
            session.id.clone(),
            session.old_pid.map(|pid| pid.to_string()).unwrap_or_default(),
        ]
    });
    columns(header, rows, &[3, 4, 5])
}

/// `teeter runs`.
pub(super) fn runs(runs: &[RunView], now: Timestamp) -> String {
    if runs.is_empty() {
        return "no runs yet: `teeter deploy FARM --dry-run` shows the plan of one".to_owned();
    }
    let header = ["RUN", "FARM", "STRATEGY", "VERSION", "STATE", "STEP", "AGE", "BY", "NEXT"];
    let rows = runs.iter().map(|run| {
        [
            run.id.to_string(),
            run.farm.clone(),
            run.strategy.to_string(),
            run.version.clone().unwrap_or_else(|| "-".to_owned()),
            state(run).to_owned(),
            run.steps.get(run.cursor).map_or_else(|| "-".to_owned(), |step| step.text.clone()),
            clock::age(run.started, now),
            run.by.clone(),
            next(run, now),
        ]
    });
    columns(header, rows, &[0])
}

/// The state of a run, in one or two words.
pub(super) fn state(run: &RunView) -> &str {
    if run.paused && run.state == RunStatus::Running { "paused" } else { run.state.as_str() }
}

/// The command that continues a run, or the caller that works on it.
fn next(run: &RunView, now: Timestamp) -> String {
    let at_work = run.attendant.as_ref().map(|at| format!("{}, for {}", at.text, clock::age(at.since, now)));
    run.next.clone().or(at_work).unwrap_or_default()
}

/// The steps of a run, each with a mark of its state.
pub(super) fn steps(run: &RunView) -> String {
    let lines = run.steps.iter().zip(step_texts(run)).map(|(step, text)| {
        let mark = match step.state {
            StepStatus::Done => "+",
            StepStatus::Now => ">",
            StepStatus::Failed => "!",
            StepStatus::Skipped => "-",
            _ => " ",
        };
        format!("  {mark} {text}")
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// The text of each step, with the servers that the caller works on.
pub(super) fn step_texts(run: &RunView) -> impl Iterator<Item = String> {
    run.steps.iter().map(|step| {
        let servers = match step.servers.as_slice() {
            [] => String::new(),
            few if few.len() <= SHOWN => format!(": {}", few.join(" ")),
            many => format!(": {} and {} more", many[..SHOWN].join(" "), many.len() - SHOWN),
        };
        format!("{}{servers}", step.text)
    })
}

/// The most servers of a step to name.
const SHOWN: usize = 8;

/// Columns under a header; the columns in `numbers` are aligned to the right.
pub(super) fn columns<const N: usize>(
    header: [&str; N],
    rows: impl Iterator<Item = [String; N]>,
    numbers: &[usize],
) -> String {
    lines(&header, rows, numbers).join("\n")
}

/// The lines of a table: the header, and one for each row.
pub(super) fn lines(
    header: &[&str],
    rows: impl Iterator<Item = impl IntoIterator<Item = String>>,
    numbers: &[usize],
) -> Vec<String> {
    let mut table = Table::new();
    table.load_style(NOTHING).set_header(header);
    for row in rows {
        // A line break in a quoted text would break the row.
        table.add_row(row.into_iter().map(|cell| cell.replace(['\n', '\r', '\t'], " ")));
    }
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    for number in numbers {
        if let Some(column) = table.column_mut(*number) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table.lines().map(|line| line.trim_end().to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn holds_have_ages_and_notes() {
        let hold = json!({"id": 4, "owner": "alice", "reason": "new kernel", "entries": ["edge:app/web01"], "members": ["web01"],
            "mode": "drain", "stage": "stuck", "left": 0, "since": "2026-01-01T00:00:00Z", "expires": "2026-01-01T02:00:00Z",
            "waiting": null, "wait": null, "in_flight": {"web01": 2}, "note": "2 requests were left"});
        let text =
            holds(&[serde_json::from_value(hold).unwrap()], "2026-01-01T00:03:20Z".parse().unwrap(), &TimeZone::UTC);
        let expected = "\
HOLD  OWNER  SERVERS  MODE   STATE  AGE     UNTIL                            REASON
   4  alice  web01    drain  stuck  3m 20s  2026-01-01 02:00:00 (in 1h 56m)  new kernel
hold 4: 2 requests were left";
        assert_eq!(text, expected);
    }
}
