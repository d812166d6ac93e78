//! The API's documents as plain columns, two blanks apart, as HAProxy's own tables look.
//!
//! Pure: the time is an argument, the answer is text.

use std::collections::BTreeSet;

use comfy_table::presets::NOTHING;
use comfy_table::{CellAlignment, Table};
use jiff::Timestamp;

use super::clock;
use crate::control::api::{HoldView, InstanceView, RunView, ServerView, SessionView, StatusView};

/// `teeter status`.
pub(super) fn status(view: &StatusView) -> String {
    let several = view.instances.len() > 1;
    let header = ["BACKEND/SERVER", "STATUS", "ADMIN", "IN FLIGHT", "QUEUE", "WEIGHT", "LAST CHECK", "HELD BY"];
    let rows = view.servers.iter().map(|server| {
        [
            line_name(server, several),
            server.status.clone(),
            server.admin.clone(),
            server.in_flight.to_string(),
            server.qcur.to_string(),
            server.weight.to_string(),
            server.last_check.clone(),
            server.held_by.join(", "),
        ]
    });
    let mut text = columns(header, rows, &[3, 4, 5]);
    for trouble in view.instances.iter().filter_map(trouble) {
        text.push('\n');
        text.push_str(&trouble);
    }
    text
}

/// A server's line by name, with its HAProxy where there are several.
pub(super) fn line_name(server: &ServerView, several: bool) -> String {
    let name = format!("{}/{}", server.backend, server.server);
    if several { format!("{}:{name}", server.instance) } else { name }
}

fn trouble(instance: &InstanceView) -> Option<String> {
    let why = instance.trouble.as_deref();
    let what = match (instance.reachable, instance.agrees) {
        (false, _) => "does not answer; its servers are shown as last seen",
        (true, false) => "does not agree with the holds yet",
        (true, true) => return why.map(|why| format!("{}: {why}", instance.name)),
    };
    let why = why.map(|why| format!(": {why}")).unwrap_or_default();
    Some(format!("{} ({}) {what}{why}", instance.name, instance.socket))
}

/// `teeter holds`.
pub(super) fn holds(holds: &[HoldView], now: Timestamp) -> String {
    if holds.is_empty() {
        return "no holds: teeter keeps no server out".to_owned();
    }
    let header = ["HOLD", "OWNER", "SERVERS", "MODE", "STAGE", "AGE", "ENDS IN", "REASON"];
    let rows = holds.iter().map(|hold| {
        [
            hold.id.to_string(),
            hold.owner.clone(),
            servers(hold),
            hold.mode.clone(),
            hold.stage.clone(),
            clock::age(hold.since, now),
            hold.expires.map_or_else(|| "-".to_owned(), |at| clock::length(at.duration_since(now))),
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

/// What a hold keeps out, for people.
pub(super) fn servers(hold: &HoldView) -> String {
    if hold.members.is_empty() { hold.entries.join(" ") } else { hold.members.join(" ") }
}

/// `teeter why`.
pub(super) fn sessions(sessions: &[SessionView]) -> String {
    if sessions.is_empty() {
        return "no sessions are left".to_owned();
    }
    let instances: BTreeSet<&str> = sessions.iter().map(|session| session.instance.as_str()).collect();
    let header = ["SERVER", "CLIENT", "FRONTEND", "AGE", "BYTES IN", "BYTES OUT", "SESSION"];
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
        ]
    });
    columns(header, rows, &[3, 4, 5])
}

/// `teeter runs`.
pub(super) fn runs(runs: &[RunView], now: Timestamp) -> String {
    if runs.is_empty() {
        return "no runs yet: `teeter deploy FARM --dry-run` shows what one would do".to_owned();
    }
    let header = ["RUN", "FARM", "STRATEGY", "VERSION", "STATE", "STEP", "AGE", "BY", "NEXT"];
    let rows = runs.iter().map(|run| {
        [
            run.id.to_string(),
            run.farm.clone(),
            run.strategy.clone(),
            run.version.clone().unwrap_or_else(|| "-".to_owned()),
            run.state.clone(),
            run.steps.get(run.cursor).map_or_else(|| "-".to_owned(), |step| step.text.clone()),
            clock::age(run.started, now),
            run.by.clone(),
            run.next.clone().unwrap_or_default(),
        ]
    });
    columns(header, rows, &[0])
}

/// A run's steps, marked.
pub(super) fn steps(run: &RunView) -> String {
    let lines = run.steps.iter().map(|step| {
        let mark = match step.state.as_str() {
            "done" => "+",
            "now" => ">",
            "failed" => "!",
            _ => " ",
        };
        format!("  {mark} {}", step.text)
    });
    lines.collect::<Vec<_>>().join("\n")
}

fn columns<const N: usize>(header: [&str; N], rows: impl Iterator<Item = [String; N]>, numbers: &[usize]) -> String {
    let mut table = Table::new();
    table.load_style(NOTHING).force_no_tty().set_header(header);
    for row in rows {
        // A line break in what HAProxy repeats would break the row.
        table.add_row(row.map(|cell| cell.replace(['\n', '\r', '\t'], " ")));
    }
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    for number in numbers {
        if let Some(column) = table.column_mut(*number) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table.lines().map(|line| line.trim_end().to_owned()).collect::<Vec<_>>().join("\n")
}
