//! Golden screens: what the screen shows at several sizes. And keys: what each does, and what none does.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use ratatui::backend::TestBackend;
use ratatui::buffer::Buffer;
use ratatui::style::Color;
use ratatui::termion::event::Key;
use serde_json::{Value, json};

use super::draw::{Look, draw};
use super::layout::Focus;
use super::listing::{Item, Order};
use super::state::{Above, Effect, Failure, Snapshot, State};
use crate::api::{Exit, RunView, Sessions, StatusView};
use crate::cli::live::Marks;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + second).unwrap()
}

fn look(locale: &str) -> Look {
    let marks = Marks::for_locale(|_| Some(locale.to_owned()));
    Look { marks, colours: true, interval: "1s".parse().unwrap(), zone: TimeZone::UTC }
}

fn server(backend: &str, name: &str, group: Option<&str>, requests: u64) -> Value {
    json!({
        "instance": "edge", "backend": backend, "server": name, "address": "10.0.0.1:8080", "status": "UP",
        "admin": "ready", "in_service": true, "weight": 100, "in_flight": requests % 7, "scur": requests % 7, "qcur": 0,
        "requests": requests, "idle": 2, "last_check": "L7OK/200", "tracks": null, "holds": [], "held_by": [],
        "farm": group.map(|_| "web"), "group": group, "member": group.map(|_| name), "version": group.map(|_| "v1"),
    })
}

fn change(server: &mut Value, changes: Value) {
    for (key, value) in changes.as_object().unwrap() {
        server[key] = value.clone();
    }
}

/// Four servers of a farm, each with a line that tracks it, and two servers of no farm.
fn status(second: i64) -> StatusView {
    let mut servers = Vec::new();
    for (number, group) in [(1, "a"), (2, "a"), (3, "b"), (10, "b")] {
        let name = format!("web{number:02}");
        servers.push(server("app", &name, Some(group), (100 * number + second * (10 + number)) as u64));
        servers.push(server("api", &name, Some(group), 50));
        change(servers.last_mut().unwrap(), json!({"tracks": format!("app/{name}")}));
    }
    change(
        &mut servers[2],
        json!({"status": "DRAIN", "admin": "drain", "in_service": false, "holds": [3], "holders": ["ann"],
            "held_by": ["ann (new disk)"]}),
    );
    servers.push(server("db", "db1", None, 900));
    servers.push(server("db", "db2", None, 900));
    let (down, maint) =
        (json!({"status": "DOWN", "in_service": false, "last_check": "L4CON in 0ms"}), "maint, set outside teeter");
    change(&mut servers[8], down);
    change(
        &mut servers[9],
        json!({"status": "MAINT", "admin": "maint", "in_service": false, "held_by": [maint], "qcur": 4}),
    );
    serde_json::from_value(json!({
        "instances": [{"name": "edge", "socket": "/run/haproxy/admin.sock", "reachable": true, "trouble": null, "pid": 4711,
            "version": "2.6.12", "level": "admin", "agrees": true, "looked": at(second)}],
        "servers": servers, "notes": ["hold 3: web02 has 2 requests left"],
    }))
    .unwrap()
}

fn runs() -> Vec<RunView> {
    let step = |text: &str, state: &str| json!({"text": text, "state": state, "began": at(-60), "phase": null});
    let run = |id: u64, state: &str, finished: Option<Timestamp>| {
        json!({
            "id": id, "farm": "web", "strategy": "rolling", "version": "v2", "state": state, "why": null, "failure": null,
            "by": "ann", "started": at(-100), "finished": finished, "cursor": 1,
            "steps": [step("out batch 1", "done"), step("drain batch 1", "now"), step("work batch 1", "to do")],
            "waiting": "waiting for 2 requests in flight", "in_flight": {}, "work": null, "skipped": {}, "versions": {},
            "out": [], "next": "`teeter advance 12`",
        })
    };
    let all = [run(11, "done", Some(at(-90))), run(12, "running", None)];
    all.into_iter().map(|run| serde_json::from_value(run).unwrap()).collect()
}

fn snapshot(second: i64) -> Snapshot {
    Snapshot { status: status(second), whole: true, runs: runs() }
}

/// The screen after three reads, with this many rows.
fn state(rows: u16, allows_changes: bool) -> State {
    let mut state = State::new("", allows_changes);
    state.resize(rows);
    (0..3).for_each(|second| state.add(snapshot(second), at(second)));
    state
}

fn cells(state: &State, look: &Look, size: (u16, u16)) -> Buffer {
    let mut terminal = ratatui::Terminal::new(TestBackend::new(size.0, size.1)).unwrap();
    terminal.draw(|frame| draw(frame, state, look, at(5))).unwrap();
    terminal.backend().buffer().clone()
}

fn screen(state: &State, look: &Look, size: (u16, u16)) -> String {
    let cells = cells(state, look, size);
    let row = |y: u16| (0..size.0).map(|x| cells[(x, y)].symbol()).collect::<String>().trim_end().to_owned();
    (0..size.1).map(row).collect::<Vec<_>>().join("\n")
}

/// Compares a screen with a file of `golden`; `TEETER_GOLDEN=write` writes the file.
fn compare(shown: &str, name: &str) {
    let path = format!("{}/src/cli/top/golden/{name}.txt", env!("CARGO_MANIFEST_DIR"));
    if std::env::var_os("TEETER_GOLDEN").is_some_and(|what| what == "write") {
        std::fs::write(&path, format!("{}\n", shown.trim_end())).unwrap();
    }
    let golden = std::fs::read_to_string(&path).unwrap();
    assert_eq!(shown.trim_end(), golden.trim_end(), "{name}:\n{shown}");
}

fn press(state: &mut State, keys: &str) -> Effect {
    let mut last = Effect::Draw;
    for key in keys.chars() {
        last = state.handle(if key == '\x1b' { Key::Esc } else { Key::Char(key) });
    }
    last
}

#[test]
fn the_screen_fits_every_width() {
    for (columns, rows) in [(40, 24), (80, 24), (60, 20), (120, 30), (200, 40)] {
        compare(&screen(&state(rows, false), &look("C.UTF-8"), (columns, rows)), &format!("screen-{columns}"));
    }
}

#[test]
fn a_terminal_without_utf_8_gets_ascii() {
    let shown = screen(&state(24, false), &look("C"), (80, 24));
    assert!(shown.is_ascii(), "{shown}");
    compare(&shown, "ascii-80");
}

#[test]
fn no_terminal_is_too_small_and_the_pane_with_the_keys_is_shown() {
    compare(&screen(&state(5, false), &look("C.UTF-8"), (20, 5)), "small");
    for columns in [1, 2, 5, 20, 39] {
        for rows in 1..16 {
            let mut state = state(rows, true);
            for keys in ["", "\t", "\t", "\t?", "\x1b/db\n", "jd", "reason", "\x1b\x1bG", "\n"] {
                press(&mut state, keys);
                screen(&state, &look("C.UTF-8"), (columns, rows));
            }
        }
    }
}

#[test]
fn without_colours_no_cell_has_one() {
    let all = |look: &Look| {
        let cells = cells(&state(24, false), look, (80, 24));
        cells.content.iter().any(|cell| cell.fg != Color::Reset || cell.bg != Color::Reset)
    };
    assert!(all(&look("C")));
    assert!(!all(&Look { colours: false, ..look("C") }));
}

#[test]
fn the_sizes_of_the_screen_follow_the_terminal() {
    let mut state = state(40, false);
    press(&mut state, "G");
    state.resize(8);
    let shown = screen(&state, &look("C.UTF-8"), (80, 8));
    assert!(shown.contains("db/db2"), "the cursor stays on the screen: {shown}");
    state.resize(40);
    assert!(screen(&state, &look("C.UTF-8"), (80, 40)).contains("web01"));
}

#[test]
fn old_data_stays_and_says_how_old_it_is() {
    let mut state = state(24, false);
    state.fail("teeterd does not answer on /run/teeter/control.sock".to_owned(), at(3));
    state.fail("teeterd does not answer on /run/teeter/control.sock".to_owned(), at(4));
    let shown = screen(&state, &look("C.UTF-8"), (120, 24));
    let line = "OLD DATA of 08:00:02, 3s ago: no answer since 08:00:03 (2s): teeterd does not answer";
    assert!(shown.contains(line) && shown.contains("app/web02"), "{shown}");
    state.add(snapshot(5), at(5));
    assert!(!screen(&state, &look("C.UTF-8"), (120, 24)).contains("OLD DATA"));
}

#[test]
fn rates_come_from_two_looks_and_bear_a_new_process() {
    let mut state = State::new("", false);
    state.resize(24);
    let rate = |state: &State, name: &str| state.servers.rows().find(|row| row.server().server == name).unwrap().rate();
    state.add(snapshot(0), at(0));
    assert_eq!(rate(&state, "web01"), None);
    state.add(snapshot(2), at(2));
    assert_eq!(rate(&state, "web01"), Some(11));
    // The same look again tells nothing new.
    state.add(snapshot(2), at(3));
    assert_eq!(rate(&state, "web01"), Some(11));
    let mut restarted = snapshot(4);
    restarted.status.servers.iter_mut().for_each(|server| server.requests = Some(1));
    state.add(restarted, at(4));
    assert_eq!(rate(&state, "web01"), Some(11));
}

#[test]
fn a_status_of_some_servers_leaves_the_others_as_they_were() {
    let mut state = state(24, false);
    let mut some = snapshot(9);
    some.whole = false;
    some.status.servers.retain(|server| server.server == "web01");
    some.status.servers[0].status = "MAINT".to_owned();
    state.add(some, at(9));
    let shown = screen(&state, &look("C.UTF-8"), (80, 24));
    assert!(shown.contains("10.0.0.1") || shown.contains("web10"), "{shown}");
    assert!(shown.contains("MAINT") && shown.contains("web10") && shown.contains("note (n)"), "{shown}");
}

#[test]
fn a_haproxy_that_does_not_answer_has_unknown_servers() {
    let mut state = state(24, false);
    let mut away = snapshot(9);
    away.whole = false;
    away.status.servers.clear();
    away.status.instances[0].reachable = false;
    state.add(away, at(9));
    assert!(state.servers.rows().all(|row| row.state() == crate::cli::args::ServerState::Unknown));
    assert!(screen(&state, &look("C.UTF-8"), (80, 24)).contains("does not answer"));
}

#[test]
fn a_filter_is_typed_and_taken_back() {
    let mut state = state(24, false);
    press(&mut state, "/ANN");
    assert!(matches!(state.above, Above::Filter));
    assert_eq!(state.listing.sum.servers(), 1);
    press(&mut state, "\n");
    assert!(screen(&state, &look("C.UTF-8"), (80, 24)).contains("filter \"ANN\": 1 of 6 servers"));
    press(&mut state, "/ nothing\n");
    assert!(screen(&state, &look("C.UTF-8"), (80, 24)).contains("no server contains"));
    press(&mut state, "\x1b");
    assert_eq!(state.listing.sum.servers(), 6);
    // Words are all wanted, and a state is matched as a whole.
    press(&mut state, "/up a\n");
    assert_eq!(state.listing.sum.servers(), 3);
}

#[test]
fn servers_are_sorted_by_numbers_and_the_cursor_stays_on_its_server() {
    let mut state = state(24, false);
    press(&mut state, "jj");
    let under = |state: &State| state.item().and_then(|item| state.row(item)).unwrap().server().server.clone();
    assert_eq!(under(&state), "web01");
    press(&mut state, "ssss");
    assert_eq!((state.shape.order, under(&state).as_str()), (Order::Rate, "web01"));
    assert_eq!(
        state
            .servers
            .row(match state.listing.items[0] {
                Item::Server(row) => row,
                _ => panic!(),
            })
            .unwrap()
            .server()
            .server,
        "web10"
    );
    press(&mut state, "s");
    assert_eq!(state.shape.order, Order::Names);
}

#[test]
fn enter_folds_a_group_and_opens_the_sessions_of_a_server() {
    let mut state = state(24, false);
    let before = state.listing.items.len();
    press(&mut state, "\n");
    assert_eq!(state.listing.items.len(), before - 6);
    press(&mut state, "\njj");
    let Effect::Sessions(selectors) = press(&mut state, "\n") else { panic!("no sessions were requested") };
    assert_eq!(selectors, ["edge:app/web01", "edge:api/web01"]);
    let session = json!({"instance": "edge", "server": "app/web01", "id": "0x1", "client": "10.1.1.1", "frontend": "www",
        "age": "5m", "bytes_in": 3, "bytes_out": 9});
    let sessions: Sessions = serde_json::from_value(json!({"sessions": [session]})).unwrap();
    state.show_sessions(selectors.clone(), Ok(sessions), "08:00:05");
    let shown = screen(&state, &look("C.UTF-8"), (80, 24));
    assert!(shown.contains("1 session on edge:app/web01") && shown.contains("10.1.1.1"), "{shown}");
    assert!(matches!(press(&mut state, "\n"), Effect::Sessions(again) if again == selectors));
    press(&mut state, "\x1b");
    // An answer that comes after Esc opens nothing.
    state.show_sessions(selectors, Err("late".to_owned()), "08:00:06");
    assert!(matches!(state.above, Above::Nothing));
}

#[test]
fn panes_are_visited_by_tab_and_left_by_esc() {
    let mut state = state(40, false);
    press(&mut state, "\t");
    assert_eq!(state.focus, Focus::Runs);
    compare(&screen(&state, &look("C.UTF-8"), (100, 40)), "runs-100");
    press(&mut state, "\t");
    assert_eq!(state.focus, Focus::Haproxys);
    assert!(screen(&state, &look("C.UTF-8"), (100, 40)).contains("last look 3s ago"));
    press(&mut state, "\x1b");
    assert_eq!(state.focus, Focus::Servers);
}

#[test]
fn q_ends_with_0_and_ctrl_c_with_130_from_everywhere() {
    assert!(matches!(press(&mut state(24, false), "q"), Effect::Quit(Exit::Done)));
    for keys in ["", "?", "/web", "jjd", "\t", "jj\n"] {
        let mut state = state(24, true);
        press(&mut state, keys);
        assert!(matches!(state.handle(Key::Ctrl('c')), Effect::Quit(Exit::Interrupted)), "{keys:?}");
    }
}

#[test]
fn without_permission_no_key_changes_anything_and_the_help_names_none() {
    let mut state = state(24, false);
    for key in ('\u{20}'..'\u{7f}').filter(|key| *key != 'q') {
        for keys in [format!("{key}"), format!("jj{key}"), format!("jj{key}reason\n"), format!("jj{key}y")] {
            assert!(!matches!(press(&mut state, &keys), Effect::Send(_)), "{keys:?}");
            press(&mut state, "\x1b\x1b\x1b");
        }
    }
    press(&mut state, "d");
    assert!(screen(&state, &look("C.UTF-8"), (80, 24)).contains("start with --allow-changes"));
    press(&mut state, "?");
    assert!(!screen(&state, &look("C.UTF-8"), (120, 40)).contains("drain"));
}

#[test]
fn a_drain_names_what_happens_and_wants_a_reason() {
    let mut state = state(30, true);
    press(&mut state, "jjd");
    compare(&screen(&state, &look("C.UTF-8"), (80, 30)), "question-80");
    assert!(matches!(press(&mut state, "\n"), Effect::Draw), "Enter without a reason sends nothing");
    assert!(matches!(press(&mut state, "new disk"), Effect::Draw));
    let Effect::Send(change) = press(&mut state, "\n") else { panic!("nothing was sent") };
    assert_eq!(change.command, "teeter drain app/web01 --reason 'new disk'");
    // One change at a time.
    press(&mut state, "d");
    assert!(screen(&state, &look("C.UTF-8"), (120, 30)).contains("is being sent"));
    state.sent(&change.command, Ok("hold 4: web01 is going out (draining)".to_owned()));
    assert!(screen(&state, &look("C.UTF-8"), (80, 30)).contains("hold 4: web01 is going out"));
}

#[test]
fn a_flip_wants_the_name_of_the_group_and_ready_another_key() {
    let mut state = state(30, true);
    press(&mut state, "jf");
    let Above::Question(question) = &state.above else { panic!("no question") };
    assert_eq!(question.lines[1], "farm web: 3 of 4 servers are in service; 2 then; on standby: web03, web10");
    assert!(matches!(press(&mut state, "b\n"), Effect::Draw), "another word sends nothing");
    assert!(matches!(press(&mut state, "\x1bjjr"), Effect::Draw));
    assert!(matches!(press(&mut state, "r"), Effect::Draw), "the same key again sends nothing");
    let Effect::Send(change) = press(&mut state, "y") else { panic!("nothing was sent") };
    assert_eq!(change.command, "teeter ready app/web02");
    state.sent(&change.command, Ok("released".to_owned()));
    press(&mut state, "kkfx");
    state.handle(Key::Backspace);
    let Effect::Send(change) = press(&mut state, "a\n") else { panic!("nothing was sent") };
    assert_eq!(change.command, "teeter flip web a");
    state.sent(&change.command, Ok(String::new()));
    // A server of no farm cannot be flipped.
    press(&mut state, "Gf");
    assert!(screen(&state, &look("C.UTF-8"), (80, 30)).contains("only a farm can be flipped"));
}

#[test]
fn a_refusal_is_shown_in_its_own_words() {
    let mut state = state(24, true);
    press(&mut state, "jjdx");
    let Effect::Send(change) = press(&mut state, "\n") else { panic!("nothing was sent") };
    let text = "web01 is the last server of app\nhint: --allow-outage".to_owned();
    state.sent(&change.command, Err(Failure { refused: true, text }));
    let shown = screen(&state, &look("C.UTF-8"), (80, 24));
    assert!(shown.contains("web01 is the last server of app") && shown.contains("hint: --allow-outage"), "{shown}");
}

#[test]
fn nothing_can_be_changed_while_teeterd_is_away() {
    let mut state = state(24, true);
    state.fail("away".to_owned(), at(3));
    press(&mut state, "jjd");
    assert!(matches!(state.above, Above::Nothing));
    assert!(screen(&state, &look("C.UTF-8"), (80, 24)).contains("nothing can be changed now"));
}

#[test]
fn control_characters_of_servers_and_users_do_not_reach_the_terminal() {
    let mut state = state(24, false);
    let mut hostile = snapshot(7);
    hostile.status.servers[0].last_check = "a\x1b[31mb\u{202e}c".to_owned();
    hostile.status.servers[0].held_by = vec!["ann (\x1b]0;title\x07)".to_owned()];
    state.add(hostile, at(7));
    let shown = screen(&state, &look("C.UTF-8"), (200, 24));
    assert!(!shown.contains(|c: char| c != '\n' && crate::haproxy::controls_terminal(c)), "{shown:?}");
}
