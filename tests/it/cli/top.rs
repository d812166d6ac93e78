//! `teeter top` in a terminal, on a real HAProxy.

use std::process::Stdio;

use teeter_lab::Held;
use tokio::process::Command;

use crate::fixtures::exit;
use crate::fixtures::pty::Pty;
use crate::fixtures::site::{Site, finish, until};

const SIZE: (u16, u16) = (100, 30);

#[tokio::test]
async fn a_held_server_appears_and_can_be_filtered_and_opened() {
    let site = Site::start().await;
    let mut top = Pty::start(&site, &["top", "--interval", "100ms"], &[], SIZE);
    top.shows(&["4 servers: 4 up", "web  4: 4 up", "app/web01 +api", "HAPROXY  1 of 1 answer", "RUNS  none yet"]).await;
    assert_eq!(site.teeter(&["maint", "web02", "--reason", "new disk"]).await.code, 0);
    top.shows(&["3 up, 1 held", "MAINT", "(new disk)"]).await;
    let session = loop {
        let held = Held::open(site.farm.addr(), "/ws", &[]).await.expect("a websocket opens");
        if held.answer().server() == "web01" {
            break held;
        }
    };
    top.keys("/held\r");
    top.shows(&["filter \"held\": 1 of 4 servers"]).await;
    assert!(!top.text().contains("web01"), "{}", top.text());
    top.keys("\x1b");
    top.shows(&["4 servers: 3 up", "app/web01 +api"]).await;
    top.keys("jj\r");
    top.shows(&["1 session on edge:app/web01", "CLIENT", "127.0.0.1"]).await;
    drop(session);
    top.keys("\x1b");
    top.shows(&["RUNS  none yet"]).await;
    top.keys("?");
    top.shows(&["Help", "FLIGHT"]).await;
    assert!(!top.text().contains("drain the server"), "{}", top.text());
    top.keys("\x1b");
    top.shows(&["RUNS  none yet"]).await;
    top.keys("q");
    assert_eq!(top.ended().await, 0);
}

#[tokio::test]
async fn keys_drain_and_bring_back_a_server_if_changes_are_allowed() {
    let site = Site::start().await;
    let mut top = Pty::start(&site, &["top", "--interval", "100ms", "--allow-changes"], &[], SIZE);
    top.shows(&["app/web01 +api", "d drain"]).await;
    top.keys("jjd");
    top.shows(&["farm web: 4 of 4 servers are in service; 3 stay in service", "app/web01 +api", "Reason:"]).await;
    top.keys("new disk\r");
    top.shows(&["hold 1: web01 is going out", "3 up, 1 held"]).await;
    let holds = site.json(&["holds"]).await;
    let hold = &holds["holds"][0];
    assert_eq!(
        (&hold["reason"], &hold["mode"], &hold["entries"]),
        (&"new disk".into(), &"drain".into(), &holds["holds"][0]["entries"])
    );
    assert!(hold["entries"].as_array().is_some_and(|entries| entries.contains(&"edge:app/web01".into())), "{hold}");
    top.keys("r");
    top.shows(&["y brings it back"]).await;
    top.keys("y");
    top.shows(&["4 servers: 4 up"]).await;
    until(|| async { site.json(&["holds"]).await["holds"].as_array().is_some_and(Vec::is_empty) }).await;
    // A refusal is shown in the words of teeterd, with the next command.
    top.keys("kkd");
    top.shows(&["drain farm:web"]).await;
    top.keys("all of them\r");
    top.shows(&["Refused: teeter drain farm:web", "hint:", "--allow-outage"]).await;
    top.keys("\x1b\x03");
    assert_eq!(top.ended().await, exit::INTERRUPTED);
    assert_eq!(site.json(&["holds"]).await["holds"].as_array().map(Vec::len), Some(0));
}

#[tokio::test]
async fn keys_flip_a_farm_if_changes_are_allowed() {
    let site = Site::start().await;
    let mut top = Pty::start(&site, &["top", "--interval", "100ms", "--allow-changes"], &[], SIZE);
    top.shows(&["app/web01 +api"]).await;
    top.keys("jf");
    top.shows(&["2 then; on standby: web03, web04", "Type a and Enter"]).await;
    top.keys("a\r");
    top.shows(&["run 1: flip of web", "2 up, 2 held"]).await;
    until(|| async { site.json(&["show", "1"]).await["state"] == "done" }).await;
    top.keys("q");
    assert_eq!(top.ended().await, 0);
}

#[tokio::test]
async fn keys_change_nothing_without_permission() {
    let site = Site::start().await;
    let mut top = Pty::start(&site, &["top", "--interval", "100ms"], &[], SIZE);
    top.shows(&["app/web01 +api"]).await;
    for key in ["d", "m", "r", "f"] {
        top.keys(&format!("jj{key}"));
        top.shows(&["start with --allow-changes"]).await;
        top.keys("\ry\x1b\x1b");
        top.shows(&["RUNS  none yet"]).await;
    }
    top.keys("q");
    assert_eq!(top.ended().await, 0);
    assert_eq!(site.json(&["holds"]).await["holds"].as_array().map(Vec::len), Some(0));
    assert_eq!(site.json(&["runs"]).await["runs"].as_array().map(Vec::len), Some(0));
}

#[tokio::test]
async fn the_screen_stays_while_teeterd_is_away_and_goes_on_after_its_restart() {
    let mut site = Site::start().await;
    let mut top = Pty::start(&site, &["top", "--interval", "100ms"], &[], SIZE);
    top.shows(&["app/web01 +api"]).await;
    site.daemon.kill().await;
    top.shows(&["OLD DATA of", "no answer since", "app/web01 +api"]).await;
    site.daemon.restart().await;
    assert_eq!(site.teeter(&["maint", "web02", "--reason", "new disk"]).await.code, 0);
    top.shows(&["3 up, 1 held"]).await;
    assert!(!top.text().contains("OLD DATA"), "{}", top.text());
    top.keys("q");
    assert_eq!(top.ended().await, 0);
}

#[tokio::test]
async fn the_screen_follows_the_size_of_its_terminal() {
    let site = Site::start().await;
    let mut top = Pty::start(&site, &["top", "--interval", "100ms"], &[], SIZE);
    top.shows(&["HAPROXY", "HELD BY"]).await;
    top.resize((20, 5)).await;
    top.shows(&["SERVER       STATUS"]).await;
    assert!(!top.text().contains("HAPROXY"), "{}", top.text());
    top.resize((160, 40)).await;
    top.shows(&["HAPROXY", "DRIFT", "HELD BY"]).await;
    top.keys("q");
    assert_eq!(top.ended().await, 0);
}

#[tokio::test]
async fn the_terminal_is_as_before_after_each_signal() {
    let site = Site::start().await;
    for (signal, code) in [("-INT", exit::INTERRUPTED), ("-TERM", exit::FAILED), ("-HUP", exit::FAILED)] {
        let top = Pty::start(&site, &["top"], &[], SIZE);
        top.shows(&["app/web01 +api"]).await;
        top.signal(signal).await;
        assert_eq!(top.ended().await, code, "{signal}");
    }
}

#[tokio::test]
async fn colours_and_signs_are_those_that_the_terminal_can_show() {
    let site = Site::start().await;
    assert_eq!(site.teeter(&["maint", "web02", "--reason", "new disk"]).await.code, 0);
    let coloured = Pty::start(&site, &["top"], &[], SIZE);
    coloured.shows(&["▾ web", "(new disk)"]).await;
    assert!(coloured.has_colours());
    let plain = Pty::start(&site, &["top"], &[("NO_COLOR", "1"), ("LC_ALL", "C")], SIZE);
    plain.shows(&["v web", "(new disk)"]).await;
    assert!(!plain.has_colours() && plain.text().is_ascii(), "{}", plain.text());
}

#[tokio::test]
async fn without_a_terminal_top_names_the_command_that_needs_none() {
    let site = Site::start().await;
    let ended = site.teeter(&["top"]).await;
    assert_eq!(ended.code, exit::USAGE, "{ended:?}");
    assert!(ended.err.contains("needs a terminal") && ended.err.contains("`teeter status --watch`"), "{ended:?}");
    let dumb = Pty::start(&site, &["top"], &[("TERM", "dumb")], SIZE);
    dumb.shows(&["`teeter status --watch`"]).await;
    assert_eq!(dumb.ended().await, exit::USAGE);
    // teeterd that is away from the beginning is an error, and no empty screen.
    let mut command = Command::new(env!("CARGO_BIN_EXE_teeter"));
    command.args(["--json", "top"]).env("TEETER_SOCKET", "/nonexistent/teeter.sock");
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    let ended = finish(command.spawn().expect("teeter starts")).await;
    assert!(ended.code == exit::USAGE && ended.err.contains("`teeter status --json`"), "{ended:?}");
}
