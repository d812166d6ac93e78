//! Commands that wait, and that a signal stops.

use teeter_lab::Held;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};

use crate::fixtures::exit;
use crate::fixtures::site::{Site, finish, step_of, until};

async fn send(signal: &str, to: &Child) {
    let pid = to.id().expect("it runs").to_string();
    assert!(Command::new("kill").args([signal, &pid]).status().await.expect("kill runs").success());
}

/// Websockets that stay open on every server, so that no server can be drained.
async fn busy_servers(site: &Site) -> Vec<Held> {
    let mut held = Vec::new();
    for _ in 0..8 {
        held.push(Held::open(site.farm.addr(), "/ws", &[]).await.expect("a websocket opens"));
    }
    held
}

#[tokio::test]
async fn ctrl_c_of_a_drain_exits_130_and_leaves_the_hold() {
    let site = Site::start().await;
    let busy = busy_servers(&site).await;
    for (signal, code) in [("-INT", exit::INTERRUPTED), ("-TERM", exit::FAILED), ("-HUP", exit::FAILED)] {
        let drain = site.daemon.spawn(&["drain", "web01", "--reason", "r"]);
        until(|| async { !site.json(&["holds"]).await["holds"].as_array().expect("a list").is_empty() }).await;
        send(signal, &drain).await;
        let ended = finish(drain).await;
        assert_eq!(ended.code, code, "{signal}: {ended:?}");
        assert!(ended.err.contains("stays and goes on without this command"), "{signal}: {ended:?}");
        assert_eq!(site.teeter(&["ready", "web01", "--no-verify"]).await.code, 0);
    }
    drop(busy);
}

#[tokio::test]
async fn ctrl_c_of_a_deploy_ends_its_hook_and_exits_130() {
    for (signal, code) in [("-INT", exit::INTERRUPTED), ("-TERM", exit::FAILED)] {
        let site = Site::start().await;
        let deploy = site.daemon.spawn(&["deploy", "web", "--", "sleep", "600"]);
        until(|| async { step_of(&site.json(&["show", "1"]).await) == Some("work a") }).await;
        send(signal, &deploy).await;
        let ended = finish(deploy).await;
        assert_eq!(ended.code, code, "{signal}: {ended:?}");
        assert!(ended.err.contains("teeter advance 1"), "{signal}: {ended:?}");
        assert_eq!(site.json(&["show", "1"]).await["failure"], "work");
    }
}

#[tokio::test]
async fn ctrl_c_of_begin_exits_130_and_the_script_sees_it() {
    let site = Site::start().await;
    let busy = busy_servers(&site).await;
    let begin = site.daemon.spawn(&["begin", "web"]);
    until(|| async { step_of(&site.json(&["show", "1"]).await) == Some("drain a") }).await;
    send("-INT", &begin).await;
    let ended = finish(begin).await;
    assert_eq!((ended.code, ended.out.trim().ends_with("(exit 130)")), (exit::INTERRUPTED, true), "{ended:?}");
    drop(busy);
}

#[tokio::test]
async fn ctrl_c_of_a_viewer_exits_130_and_changes_nothing() {
    let site = Site::start().await;
    assert_eq!(site.teeter(&["begin", "web"]).await.code, 0);
    let before = site.json(&["show", "1"]).await;
    let mut viewer = site.daemon.spawn(&["show", "--follow"]);
    let mut lines = BufReader::new(viewer.stderr.take().expect("a pipe")).lines();
    let first = lines.next_line().await.expect("it can be read").expect("there is a line");
    assert!(first.starts_with("run 1: see-saw of web"), "{first}");
    send("-INT", &viewer).await;
    assert_eq!(viewer.wait().await.expect("it ends").code(), Some(exit::INTERRUPTED));
    let after = site.json(&["show", "1"]).await;
    assert_eq!((after["state"].clone(), after["cursor"].clone()), (before["state"].clone(), before["cursor"].clone()));
}
