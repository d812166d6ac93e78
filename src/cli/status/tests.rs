//! Golden pictures of a status.

use serde_json::{Value, json};

use super::*;

fn line(backend: &str, server: &str, more: Value) -> Value {
    let mut line = json!({"instance": "edge", "backend": backend, "server": server, "address": "10.0.0.1:80",
        "status": "UP", "admin": "ready", "in_service": true, "weight": 100, "in_flight": 12, "scur": 12, "qcur": 0,
        "idle": 0, "last_check": "L7OK/200\nin 1ms", "tracks": null, "holds": [], "held_by": []});
    for (key, value) in more.as_object().into_iter().flatten() {
        line[key] = value.clone();
    }
    line
}

fn instance(name: &str, reachable: bool) -> Value {
    json!({"name": name, "socket": "/run/a.sock", "reachable": reachable, "pid": 1, "version": "3.0", "level": "admin",
        "trouble": (!reachable).then_some("connection refused"), "agrees": true})
}

fn view(instances: &[Value], servers: &[Value]) -> StatusView {
    serde_json::from_value(json!({"instances": instances, "servers": servers})).unwrap()
}

fn drawn(view: &StatusView, each: bool, width: Option<usize>) -> String {
    let lines = picture(view, |_| true, Shape { each, width });
    lines.into_iter().map(|(_, line)| line).collect::<Vec<_>>().join("\n")
}

/// Twelve servers of two groups, one of which an operator holds and one of which is down.
fn farm() -> StatusView {
    let mut servers = Vec::new();
    for number in 1..=12 {
        let name = format!("web{number}");
        let member = json!({"farm": "web", "group": if number <= 6 { "a" } else { "b" }, "version": "v41"});
        let more = match number {
            10 => json!({"status": "DOWN", "in_service": false, "in_flight": 0, "last_check": "L4CON in 0ms"}),
            4 => json!({"status": "MAINT", "admin": "maint", "in_service": false, "in_flight": 3, "holds": [7],
                "holders": ["alice"], "version": "v42",
                "held_by": ["alice (new kernel, and then a longer look at the disk)"]}),
            _ => json!({}),
        };
        let mut server = line("app", &name, member);
        let tracks = json!({"tracks": format!("app/{name}"), "last_check": ""});
        let mut tracking = line("api", &name, tracks);
        for (key, value) in more.as_object().into_iter().flatten() {
            server[key] = value.clone();
            tracking[key] = value.clone();
        }
        if number == 4 {
            tracking["held_by"] = json!(["MAINT by app/web4"]);
        }
        servers.extend([tracking, server]);
    }
    view(&[instance("edge", true)], &servers)
}

#[test]
fn a_status_begins_with_its_summary_and_lists_what_is_not_normal() {
    let expected = "\
12 servers: 10 up, 1 down, 1 held; 246 in flight (--all lists each server)
SERVER          STATUS  VERSION  IN FLIGHT  WEIGHT  LAST CHECK       HELD BY
app/web4 +api   MAINT   v42              6     100  L7OK/200 in 1ms
    alice (new kernel, and then a longer look at the disk)
app/web10 +api  DOWN    v41              0     100  L4CON in 0ms";
    let drawn = drawn(&farm(), false, Some(80));
    assert_eq!(drawn, expected);
    assert!(drawn.lines().all(|line| line.chars().count() <= 80));
}

#[test]
fn a_wide_terminal_has_the_reason_beside_the_server() {
    let drawn = drawn(&farm(), false, Some(130));
    assert!(drawn.contains("L7OK/200 in 1ms  alice (new kernel, and then a longer look at the disk)"), "{drawn}");
}

#[test]
fn each_server_is_one_row_in_natural_order() {
    let drawn = drawn(&farm(), true, None);
    let names: Vec<&str> = drawn.lines().skip(2).filter_map(|line| line.split(' ').next()).collect();
    let expected: Vec<String> = (1..=12).map(|number| format!("app/web{number}")).collect();
    assert_eq!(names, expected);
    assert!(drawn.starts_with("12 servers: 10 up, 1 down, 1 held; 246 in flight\n"), "{drawn}");
}

#[test]
fn a_tracking_line_in_another_state_has_a_row_of_its_own() {
    let tracking = json!({"tracks": "app/web1", "status": "MAINT", "admin": "maint", "in_service": false});
    let servers = [line("app", "web1", json!({})), line("api", "web1", tracking)];
    let drawn = drawn(&view(&[instance("edge", true)], &servers), true, None);
    assert!(drawn.starts_with("2 servers: 1 up, 1 out;"), "{drawn}");
}

#[test]
fn several_instances_are_named_with_their_problems() {
    let view = view(&[instance("edge", true), instance("inner", false)], &[line("app", "web01", json!({}))]);
    let text = drawn(&view, true, None);
    let mut lines = text.lines().skip(2);
    assert!(lines.next().unwrap().starts_with("edge:app/web01  UP"));
    let trouble = "inner (/run/a.sock) does not answer; its servers are shown as last seen: connection refused";
    assert_eq!(lines.next(), Some(trouble));
    assert_eq!(lines.next(), None);
}

#[test]
fn servers_of_a_haproxy_that_does_not_answer_are_unknown() {
    let servers = [line("app", "web01", json!({})), line("app", "web02", json!({"qcur": 3}))];
    let away = view(&[instance("edge", false)], &servers);
    assert!(drawn(&away, false, None).starts_with("2 servers: 0 up, 2 unknown; 24 in flight\n"));
    // A queue is not normal, and has a column.
    let here = view(&[instance("edge", true)], &servers);
    let expected = "\
2 servers: 2 up; 24 in flight (--all lists each server)
SERVER     STATUS  IN FLIGHT  QUEUE  WEIGHT  LAST CHECK
app/web02  UP             12      3     100  L7OK/200 in 1ms";
    assert_eq!(drawn(&here, false, Some(80)), expected);
}
