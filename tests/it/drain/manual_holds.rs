//! Holds of operators: what they wait for, what a release restores, what teeter refuses.

use teeter_lab::{FarmSpec, Held};

use crate::fixtures::exit;
use crate::fixtures::site::{DRAIN, MAINT, Site, finish, until};

#[tokio::test]
async fn drain_ends_with_the_last_request() {
    let site = Site::start().await;
    let addr = site.farm.addr();
    let slow: Vec<_> = (0..8).map(|_| tokio::spawn(teeter_lab::get(addr, "/slow?ms=1200"))).collect();
    until(|| async { site.farm.app("web01").in_flight() > 0 }).await;
    let drained = site.teeter(&["drain", "web01", "--reason", "kernel"]).await;
    assert_eq!(drained.code, 0, "{drained:?}");
    assert_eq!(site.farm.app("web01").in_flight(), 0);
    for slow in slow {
        assert_eq!(slow.await.unwrap().expect("it is answered").status, 200);
    }
    assert_eq!(site.bits().await, [DRAIN, 0, 0, 0]);
    let status = site.teeter(&["status", "web01"]).await;
    assert!(status.out.contains("kernel"), "{status:?}");
    let ready = site.teeter(&["ready", "web01"]).await;
    assert_eq!(ready.code, 0, "{ready:?}");
    assert_eq!(site.bits().await, [0; 4]);
}

#[tokio::test]
async fn drain_ladder_goes_from_drain_to_maintenance() {
    let site = Site::start().await;
    let drained = site.teeter(&["drain", "app/web01", "--reason", "r", "--grace", "1s"]).await;
    assert_eq!(drained.code, 0, "{drained:?}");
    assert_eq!(site.bits().await, [MAINT, 0, 0, 0]);
    // The line that tracks it shares its maintenance and is held with it.
    assert!(site.json(&["holds"]).await["holds"][0]["entries"].to_string().contains("edge:api/web01"));
    let ready = site.teeter(&["ready", "app/web01"]).await;
    assert_eq!(ready.code, 0, "{ready:?}");
    assert_eq!(site.bits().await, [0; 4]);
}

#[tokio::test]
async fn dead_server_gets_no_traffic_after_its_hold() {
    let site = Site::start().await;
    assert_eq!(site.teeter(&["maint", "web01", "--reason", "r"]).await.code, 0);
    site.farm.app("web01").stop().await.expect("it stops");
    let load = teeter_lab::Load::start(teeter_lab::LoadSpec::new(site.farm.addr())).expect("load starts");
    let ready = site.daemon.spawn(&["ready", "web01"]);
    until(|| async { site.json(&["holds"]).await["holds"][0]["stage"] == "verifying" }).await;
    load.more(200).await;
    assert_eq!(site.bits().await[0], MAINT);
    site.farm.app("web01").start_again().await.expect("it starts");
    assert_eq!(finish(ready).await.code, 0);
    let report = load.stop().await.expect("load ends");
    assert!(report.failed().is_empty(), "{report}");
    assert_eq!(site.bits().await, [0; 4]);
}

#[tokio::test]
async fn two_holds_on_a_member_do_not_conflict() {
    let site = Site::start().await;
    assert_eq!(site.teeter(&["maint", "app/web01", "--reason", "disk"]).await.code, 0);
    assert_eq!(site.teeter(&["drain", "web01", "web02", "--reason", "kernel"]).await.code, 0);
    assert_eq!(site.bits().await, [MAINT, DRAIN, 0, 0]);
    assert_eq!(site.json(&["holds"]).await["holds"].as_array().map(Vec::len), Some(2));
    // web02 has one hold and web01 both: a release of web02 leaves web01 unchanged.
    assert_eq!(site.teeter(&["ready", "web02", "--no-verify"]).await.code, 0);
    assert_eq!(site.bits().await, [MAINT, 0, 0, 0]);
    assert_eq!(site.teeter(&["ready", "web01"]).await.code, 0);
    assert_eq!(site.bits().await, [0; 4]);
}

#[tokio::test]
async fn guard_keeps_the_last_servers_in_service() {
    let site = Site::start_with("min_available = \"50%\"", FarmSpec::default()).await;
    let refused = site.teeter(&["drain", "web0*", "--reason", "r"]).await;
    assert_eq!(refused.code, exit::REFUSED, "{refused:?}");
    let refused = site.teeter(&["drain", "web01", "web02", "web03", "--reason", "r"]).await;
    assert_eq!(refused.code, exit::REFUSED, "{refused:?}");
    assert!(refused.err.contains("min_available = 50%"), "{refused:?}");
    assert_eq!(site.bits().await, [0; 4]);
    let allowed = site.teeter(&["drain", "web0*", "--reason", "r", "--allow-outage"]).await;
    assert_eq!(allowed.code, 0, "{allowed:?}");
    assert_eq!(site.bits().await, [DRAIN; 4]);
}

#[tokio::test]
async fn expired_hold_releases_its_server_verified() {
    let site = Site::start().await;
    assert_eq!(site.teeter(&["maint", "web01", "--reason", "r", "--for", "1s", "--no-wait"]).await.code, 0);
    site.wait_for_bits([0; 4]).await;
    let events = site.teeter(&["events"]).await;
    assert!(events.out.contains("expired"), "{events:?}");
}

#[tokio::test]
async fn why_names_the_remaining_sessions() {
    let site = Site::start().await;
    let held = Held::open(site.farm.addr(), "/ws", &[]).await.expect("a websocket opens");
    let server = held.answer().server().to_owned();
    let why = site.json(&["why", &server]).await;
    let sessions = why["sessions"].as_array().expect("a list");
    assert_eq!(sessions.len(), 1, "{why}");
    assert!(sessions[0]["client"].as_str().unwrap_or_default().starts_with("127.0.0.1:"), "{why}");
    assert!(sessions[0]["bytes_in"].as_u64().is_some_and(|bytes| bytes > 0), "{why}");
}

#[tokio::test]
async fn unhealthy_server_does_not_keep_a_healthy_one_out() {
    let site = Site::start_with("verify.deadline = \"2s\"", FarmSpec::default()).await;
    assert_eq!(site.teeter(&["maint", "web01", "web02", "--reason", "r"]).await.code, 0);
    site.farm.app("web01").set_healthy(false);
    let ready = site.teeter(&["ready", "web01", "web02"]).await;
    assert_eq!(ready.code, exit::FAILED, "{ready:?}");
    site.wait_for_bits([MAINT, 0, 0, 0]).await;
    let holds = site.json(&["holds"]).await;
    assert_eq!(holds["holds"][0]["members"], serde_json::json!(["web01"]), "{holds}");
    site.farm.app("web01").set_healthy(true);
    assert_eq!(site.teeter(&["ready", "web01"]).await.code, 0);
    assert_eq!(site.bits().await, [0; 4]);
}

#[tokio::test]
async fn hold_on_one_line_does_not_claim_the_whole_server() {
    let site = Site::start().await;
    let drained = site.teeter(&["drain", "api/web01", "--reason", "r"]).await;
    assert!(drained.out.contains("api/web01 is out"), "{drained:?}");
    assert_eq!(site.bits().await, [0; 4]);
    assert_eq!(site.teeter(&["ready", "api/web01"]).await.code, 0);
}
