//! Golden screens: what the live view shows at the moments of a run, on terminals of several sizes.

use jiff::Timestamp;
use serde_json::json;

use super::*;
use crate::api::{RunStatus, RunView};

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + second).unwrap()
}

/// A see-saw in its second minute, with the step at which it is and that step's state.
fn see_saw(cursor: usize, state: &str) -> RunView {
    let steps =
        ["ask a", "out a", "drain a", "work a", "verify a", "flip b to a", "drain b", "work b", "verify b", "in b"];
    let group =
        |text: &str| text.rsplit_once(' ').map(|(_, group)| group.to_owned()).filter(|_| !text.starts_with("flip"));
    let steps: Vec<_> = steps
        .iter()
        .enumerate()
        .map(|(index, text)| {
            let began = (index <= cursor).then(|| at(12 * index as i64));
            let ended = (index < cursor).then(|| at(12 * index as i64 + if index == 1 { 0 } else { 12 }));
            let how = match index.cmp(&cursor) {
                std::cmp::Ordering::Less => "done",
                std::cmp::Ordering::Equal => state,
                std::cmp::Ordering::Greater => "to do",
            };
            let phase = text.starts_with("work").then_some("deploy");
            json!({"text": text, "group": group(text), "state": how, "phase": phase, "began": began, "ended": ended})
        })
        .collect();
    let servers = json!([
        {"name": "web01", "group": "a", "status": "DRAIN", "in_service": false, "in_flight": 12, "version": "v1", "left_out": null},
        {"name": "web02", "group": "a", "status": "DRAIN", "in_service": false, "in_flight": 0, "version": "v1", "left_out": null},
    ]);
    serde_json::from_value(json!({
        "id": 12, "farm": "web", "strategy": "see-saw", "version": "v2", "state": "running", "why": null,
        "failure": null, "by": "ann", "started": at(0), "finished": null, "cursor": cursor, "steps": steps,
        "waiting": "waiting for 12 requests in flight: 12 on web01", "within_s": 270, "in_flight": {"web01": 12},
        "work": null, "skipped": {}, "versions": {}, "out": ["web01", "web02"], "next": null, "servers": servers,
    }))
    .unwrap()
}

fn screen(run: &RunView, hook: &HookState, size: (usize, usize), marks: Marks) -> String {
    let mut trends = Trends::default();
    for in_flight in [40, 35, 20, 12] {
        let mut servers = run.servers.clone();
        servers.first_mut().into_iter().for_each(|server| server.in_flight = in_flight);
        trends.add(&servers);
    }
    let picture = Picture { run, trends: &trends, hook, until: "until 10:04:30 at most", now: at(100), marks };
    let lines = picture.lines(Size { columns: size.0, rows: size.1 });
    assert!(lines.len() < size.1, "{lines:#?}");
    lines.join("\n")
}

fn unicode() -> Marks {
    Marks::for_locale(|_| Some("C.UTF-8".to_owned()))
}

#[test]
fn a_drain_shows_its_servers_and_how_many_requests_are_left() {
    let shown = screen(&see_saw(2, "now"), &HookState::default(), (80, 24), unicode());
    assert_eq!(shown, include_str!("golden/drain-80.txt").trim_end(), "\n{shown}");
}

#[test]
fn work_shows_the_hook_and_its_last_line() {
    let mut run = see_saw(3, "now");
    run.waiting = None;
    let hook = HookState::default();
    hook.begin(at(40));
    hook.line(at(92), "copying 部署 of 120 files to web02: assets/images/2026/11/a-very-long-name-of-a-file.png");
    for (size, golden) in
        [((120, 24), include_str!("golden/work-120.txt")), ((40, 24), include_str!("golden/work-40.txt"))]
    {
        let shown = screen(&run, &hook, size, unicode());
        assert_eq!(shown, golden.trim_end(), "\n{shown}");
    }
}

#[test]
fn a_failure_shows_the_next_command() {
    let mut run = see_saw(6, "failed");
    run.waiting = None;
    run.state = RunStatus::Failed;
    run.next = Some(
        "`teeter continue 12` to try `drain b` again; or `teeter abort 12` to bring back the healthy servers"
            .to_owned(),
    );
    let shown = screen(&run, &HookState::default(), (200, 50), unicode());
    assert_eq!(shown, include_str!("golden/failed-200.txt").trim_end(), "\n{shown}");
}

#[test]
fn a_small_terminal_without_utf_8_shows_what_matters_most() {
    let ascii = Marks::for_locale(|_| None);
    let shown = screen(&see_saw(6, "now"), &HookState::default(), (60, 12), ascii);
    assert!(shown.is_ascii(), "{shown}");
    assert_eq!(shown, include_str!("golden/small.txt").trim_end(), "\n{shown}");
}

#[test]
fn no_terminal_is_too_small() {
    for columns in [1, 2, 5, 20] {
        for rows in [8, 10] {
            let shown = screen(&see_saw(2, "now"), &HookState::default(), (columns, rows), unicode());
            assert!(shown.lines().all(|line| line.chars().count() < columns.max(2)), "{shown}");
        }
    }
}
