//! The API's documents as tables: plain columns, two blanks apart, like HAProxy's own tables.
//!
//! Pure: the time is an argument, the answer is text.

use std::collections::BTreeSet;

use comfy_table::presets::NOTHING;
use comfy_table::{CellAlignment, Table};
use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::names::{line_name, servers};
use super::{calendar, clock};
use crate::api::{
    FindingView, HoldView, InstanceView, LiveSide, RouteView, RunStatus, RunView, SessionView, StatusView, StepStatus,
};

/// `teeter status`.
pub(super) fn status(view: &StatusView) -> String {
    let several = view.instances.len() > 1;
    let header = ["BACKEND/SERVER", "STATUS", "ADMIN", "IN FLIGHT", "QUEUE", "WEIGHT", "LAST CHECK", "HELD BY"];
    let rows = view.servers.iter().map(|server| {
        [
            line_name(server, several),
            if server.backup { format!("{} (backup)", server.status) } else { server.status.clone() },
            server.admin.to_string(),
            server.in_flight.to_string(),
            server.qcur.to_string(),
            server.weight.to_string(),
            server.last_check.clone(),
            server.held_by.join(", "),
        ]
    });
    let mut text = columns(header, rows, &[3, 4, 5]);
    for server in &view.servers {
        for old in &server.old {
            let (name, age) = (line_name(server, several), clock::seconds(old.age_secs));
            let (pid, in_flight) = (old.pid, old.in_flight);
            text.push_str(&format!(
                "\n{name}: {in_flight} in flight in process {pid}, which a reload left behind (running for {age})"
            ));
        }
    }
    for note in &view.notes {
        text.push('\n');
        text.push_str(note);
    }
    for route in &view.routes {
        text.push('\n');
        text.push_str(&traffic(route));
    }
    for trouble in view.instances.iter().filter_map(trouble) {
        text.push('\n');
        text.push_str(&trouble);
    }
    text
}

/// The side that gets a farm's traffic, as text.
fn traffic(route: &RouteView) -> String {
    let backends: BTreeSet<&str> = route.entries.iter().filter_map(|entry| entry.backend.as_deref()).collect();
    let backends = backends.into_iter().collect::<Vec<_>>().join(", ");
    match (&route.live, backends.as_str()) {
        (LiveSide::NotKnown, "") => {
            format!("{}: the side that gets its traffic is not known: `teeter doctor` shows why", route.farm)
        }
        (LiveSide::NotKnown, backends) => {
            format!("{}: its traffic goes to {backends}: `teeter doctor` shows more", route.farm)
        }
        (LiveSide::Side(live), backends) => format!("{}: its traffic goes to {live} ({backends})", route.farm),
    }
}

/// `teeter doctor`.
pub(super) fn findings(findings: &[FindingView]) -> String {
    let rows = findings.iter().map(|finding| [finding.state.to_string(), finding.about.clone(), finding.text.clone()]);
    columns(["", "WHAT", "FOUND"], rows, &[])
}

fn trouble(instance: &InstanceView) -> Option<String> {
    let why = instance.trouble.as_deref();
    let what = match (instance.reachable, instance.agrees) {
        (false, _) if instance.may_be_away => {
            "is away, as may_be_away allows; it gets the stored state as soon as it answers"
        }
        (false, _) if instance.pid.is_none() => "has not answered since teeterd was started; its servers are not known",
        (false, _) => "does not answer; its servers are shown as last seen",
        (true, false) => "does not agree with the store yet",
        (true, true) => return why.map(|why| format!("{}: {why}", instance.name)),
    };
    let why = why.map(|why| format!(": {why}")).unwrap_or_default();
    Some(format!("{} ({}) {what}{why}", instance.name, instance.socket))
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
    let lines = run.steps.iter().map(|step| {
        let mark = match step.state {
            StepStatus::Done => "+",
            StepStatus::Now => ">",
            StepStatus::Failed => "!",
            StepStatus::Skipped => "-",
            _ => " ",
        };
        let servers = match step.servers.as_slice() {
            [] => String::new(),
            few if few.len() <= SHOWN => format!(": {}", few.join(" ")),
            many => format!(": {} and {} more", many[..SHOWN].join(" "), many.len() - SHOWN),
        };
        format!("  {mark} {}{servers}", step.text)
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// The most servers of a step to name.
const SHOWN: usize = 8;

/// Columns under a header; the columns in `numbers` are aligned to the right.
pub(super) fn columns<const N: usize>(
    header: [&str; N],
    rows: impl Iterator<Item = [String; N]>,
    numbers: &[usize],
) -> String {
    let mut table = Table::new();
    table.load_style(NOTHING).set_header(header);
    for row in rows {
        // A line break in a quoted text would break the row.
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn server(name: &str, held_by: &[&str]) -> serde_json::Value {
        json!({"instance": "edge", "backend": "app", "server": name, "address": "10.0.0.1:80", "status": "UP",
            "admin": "ready", "in_service": held_by.is_empty(), "weight": 100, "in_flight": 12, "scur": 12, "qcur": 0,
            "idle": 0, "last_check": "L7OK/200\nin 1ms", "tracks": null, "holds": [], "held_by": held_by})
    }

    fn instance(name: &str, reachable: bool) -> serde_json::Value {
        json!({"name": name, "socket": "/run/a.sock", "reachable": reachable,
            "trouble": (!reachable).then_some("connection refused"), "pid": 1, "version": "3.0", "level": "admin", "agrees": true})
    }

    #[test]
    fn status_has_plain_columns() {
        let servers =
            [server("web01", &[]), server("web-with-a-long-name", &["alice (kernel)", "run 3 (deploy of web)"])];
        let view = json!({"instances": [instance("edge", true)], "servers": servers});
        let expected = "\
BACKEND/SERVER            STATUS  ADMIN  IN FLIGHT  QUEUE  WEIGHT  LAST CHECK       HELD BY
app/web01                 UP      ready         12      0     100  L7OK/200 in 1ms
app/web-with-a-long-name  UP      ready         12      0     100  L7OK/200 in 1ms  alice (kernel), run 3 (deploy of web)";
        assert_eq!(status(&serde_json::from_value(view).unwrap()), expected);
    }

    #[test]
    fn several_instances_are_named_with_their_problems() {
        let instances = [instance("edge", true), instance("inner", false)];
        let view = json!({"instances": instances, "servers": [server("web01", &[])]});
        let text = status(&serde_json::from_value(view).unwrap());
        let mut lines = text.lines().skip(1);
        assert!(lines.next().unwrap().starts_with("edge:app/web01  UP"));
        let trouble = "inner (/run/a.sock) does not answer; its servers are shown as last seen: connection refused";
        assert_eq!(lines.next(), Some(trouble));
        assert_eq!(lines.next(), None);
    }

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
