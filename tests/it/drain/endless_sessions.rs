//! Drains of servers whose sessions never end, with each way at the deadline.

use teeter_lab::Held;

use crate::fixtures::exit;
use crate::fixtures::site::{MAINT, Site};

/// A websocket on web01 or web02, the half that is taken out first.
async fn session_on_first_half(site: &Site) -> Held {
    loop {
        let held = Held::open(site.farm.addr(), "/ws", &[]).await.expect("a websocket opens");
        if ["web01", "web02"].contains(&held.answer().server()) {
            return held;
        }
    }
}

#[tokio::test]
async fn endless_session_fails_the_deploy_at_the_deadline() {
    let site = Site::start().await;
    let held = session_on_first_half(&site).await;
    let server = held.answer().server().to_owned();
    let ended = site.teeter(&["deploy", "web", "--deadline", "1s", "--", "true"]).await;
    assert_eq!(ended.code, exit::TIMED_OUT, "{ended:?}");
    assert!(ended.err.contains(&server) && ended.err.contains("127.0.0.1:"), "{ended:?}");
    assert_eq!(site.bits().await, [MAINT, MAINT, 0, 0]);
    // `advance` continues once the session has ended.
    drop(held);
    let advanced = site.teeter(&["advance", "1"]).await;
    assert!(advanced.out.contains("TEETER_GROUP=a"), "{advanced:?}");
}

#[tokio::test]
async fn kill_at_the_deadline_lets_the_deploy_continue() {
    let site = Site::start().await;
    let mut held = session_on_first_half(&site).await;
    let hook = site.hook();
    let args = ["deploy", "web", "--to", "v2", "--deadline", "1s", "--on-deadline", "kill", "--", &hook];
    let ended = site.teeter(&args).await;
    assert_eq!(ended.code, 0, "{ended:?}");
    held.closed().await;
    assert!(site.farm.apps().iter().all(|app| app.version() == "v2"));
    let killed = site.teeter(&["events"]).await;
    assert!(killed.out.contains("still in flight; ending sessions"), "{killed:?}");
}

#[tokio::test]
async fn proceed_keeps_the_session_and_restore_brings_the_server_back() {
    let site = Site::start().await;
    let held = session_on_first_half(&site).await;
    let server = held.answer().server().to_owned();
    let args = ["drain", &server, "--reason", "r", "--deadline", "1s", "--on-deadline", "restore"];
    let restored = site.teeter(&args).await;
    assert_eq!(restored.code, exit::TIMED_OUT, "{restored:?}");
    site.wait_for_bits([0; 4]).await;
    let args = ["maint", &server, "--reason", "r", "--deadline", "1s", "--on-deadline", "proceed"];
    let proceeded = site.teeter(&args).await;
    assert_eq!(proceeded.code, 0, "{proceeded:?}");
    assert_eq!(site.json(&["holds"]).await["holds"][0]["left"], 1);
}
