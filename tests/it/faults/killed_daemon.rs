//! Killed daemons and HAProxy processes: the store stays correct, and one command continues.

use teeter_lab::FarmSpec;
use tokio::io::AsyncWriteExt as _;
use tokio::net::UnixStream;

use crate::fixtures::exit;
use crate::fixtures::site::{DRAIN, MAINT, Site, finish, until};

#[tokio::test]
async fn killed_daemon_continues_at_its_step() {
    let mut site = Site::start().await;
    assert_eq!(site.teeter(&["begin", "web"]).await.code, 0);
    let before = site.json(&["show", "1"]).await;
    site.daemon.kill().await;
    // HAProxy loses its states while no daemon runs.
    site.farm.haproxy().reload().await.expect("HAProxy reloads");
    assert_eq!(site.bits().await, [0; 4]);
    site.daemon.restart().await;
    site.wait_for_bits([MAINT, MAINT, 0, 0]).await;
    let after = site.json(&["show", "1"]).await;
    assert_eq!(after["cursor"], before["cursor"]);
    assert_eq!(after["state"], "running");
    for _ in 0..2 {
        assert_eq!(site.teeter(&["advance", "1"]).await.code, 0);
    }
    assert_eq!(site.json(&["show", "1"]).await["state"], "done");
    assert_eq!(site.bits().await, [0; 4]);
}

#[tokio::test]
async fn run_can_be_aborted_after_a_killed_daemon() {
    let mut site = Site::start().await;
    assert_eq!(site.teeter(&["begin", "web"]).await.code, 0);
    assert_eq!(site.teeter(&["advance", "1"]).await.code, 0);
    site.daemon.kill().await;
    site.daemon.restart().await;
    assert_eq!(site.bits().await, [0, 0, MAINT, MAINT]);
    assert_eq!(site.teeter(&["abort", "1"]).await.code, 0);
    assert_eq!(site.bits().await, [0; 4]);
}

#[tokio::test]
async fn reloaded_haproxy_gets_its_states_again() {
    for master in [false, true] {
        let site = Site::start_with("", FarmSpec { master, ..FarmSpec::default() }).await;
        assert_eq!(site.teeter(&["begin", "web"]).await.code, 0);
        let before = site.farm.haproxy().pid().await.expect("HAProxy answers");
        site.farm.haproxy().reload().await.expect("HAProxy reloads");
        assert_ne!(site.farm.haproxy().pid().await.expect("HAProxy answers"), before);
        site.wait_for_bits([MAINT, MAINT, 0, 0]).await;
        until(|| async { site.teeter(&["events"]).await.out.contains("another process") }).await;
        site.farm.haproxy().restart().await.expect("HAProxy restarts");
        site.wait_for_bits([MAINT, MAINT, 0, 0]).await;
        for _ in 0..2 {
            assert_eq!(site.teeter(&["advance", "1"]).await.code, 0);
        }
        assert_eq!(site.bits().await, [0; 4]);
    }
}

#[tokio::test]
async fn sigterm_does_not_change_the_traffic() {
    let mut site = Site::start().await;
    assert_eq!(site.teeter(&["drain", "web01", "--reason", "r"]).await.code, 0);
    site.daemon.signal("-TERM").await;
    assert_eq!(site.daemon.ended().await, Some(0));
    assert_eq!(site.bits().await, [DRAIN, 0, 0, 0]);
    let gone = site.teeter(&["holds"]).await;
    assert_eq!(gone.code, exit::UNREACHABLE, "{gone:?}");
    site.daemon.restart().await;
    assert_eq!(site.teeter(&["ready", "web01"]).await.code, 0);
    assert_eq!(site.bits().await, [0; 4]);
}

#[tokio::test]
async fn absent_haproxy_is_shown_as_unknown() {
    let site = Site::start().await;
    assert_eq!(site.teeter(&["drain", "web01", "--reason", "r"]).await.code, 0);
    site.farm.haproxy().kill();
    let status = site.json(&["status"]).await;
    assert_eq!(status["instances"][0]["reachable"], false);
    assert!(
        status["servers"].as_array().is_some_and(|all| all.iter().all(|server| server["status"] == "unknown")),
        "{status}"
    );
    assert_eq!(site.teeter(&["drain", "web02", "--reason", "r"]).await.code, exit::UNREACHABLE);
    site.farm.haproxy().start_again().await.expect("HAProxy starts");
    site.wait_for_bits([DRAIN, 0, 0, 0]).await;
}

#[tokio::test]
async fn verification_begins_again_with_the_daemon() {
    let mut site = Site::start().await;
    assert_eq!(site.teeter(&["maint", "web01", "--reason", "r"]).await.code, 0);
    site.farm.app("web01").set_healthy(false);
    assert_eq!(site.teeter(&["ready", "web01", "--no-wait"]).await.code, 0);
    site.daemon.kill().await;
    site.daemon.restart().await;
    assert_eq!(site.bits().await, [MAINT, 0, 0, 0]);
    site.farm.app("web01").set_healthy(true);
    site.wait_for_bits([0; 4]).await;
}

#[tokio::test]
async fn reload_during_a_drain_is_reported_with_the_hidden_sessions() {
    let site = Site::start().await;
    let addr = site.farm.addr();
    let slow: Vec<_> = (0..8).map(|_| tokio::spawn(teeter_lab::get(addr, "/slow?ms=3000"))).collect();
    until(|| async { site.farm.app("web01").in_flight() > 0 }).await;
    assert_eq!(site.teeter(&["drain", "web01", "--reason", "r", "--no-wait"]).await.code, 0);
    until(|| async { !site.json(&["holds"]).await["holds"][0]["in_flight"].as_object().unwrap().is_empty() }).await;
    site.farm.haproxy().reload().await.expect("HAProxy reloads");
    until(|| async { site.teeter(&["events"]).await.out.contains("may still serve them, unseen") }).await;
    for slow in slow {
        assert_eq!(slow.await.unwrap().expect("it is answered").status, 200);
    }
}

#[tokio::test]
async fn started_daemon_takes_no_step_before_it_has_read_haproxy() {
    let mut site = Site::start().await;
    assert_eq!(site.teeter(&["begin", "web", "--phase", "before-out"]).await.code, 0);
    assert_eq!(site.teeter(&["pause", "1"]).await.code, 0);
    let advance = site.daemon.spawn(&["advance", "1"]);
    until(|| async { site.json(&["show", "1"]).await["cursor"] == 1 }).await;
    drop(advance);
    site.daemon.kill().await;
    site.farm.haproxy().pause().expect("it is stopped");
    site.daemon.restart().await;
    let resume = site.daemon.spawn(&["resume", "1"]);
    until(|| async { site.json(&["show", "1"]).await["paused"] == false }).await;
    until(|| async {
        site.json(&["show", "1"]).await["waiting"].as_str().is_some_and(|reason| reason.contains("edge"))
    })
    .await;
    // The earlier states of the servers are unknown, so teeterd takes no server out.
    assert_eq!(site.json(&["holds"]).await["holds"], serde_json::json!([]));
    site.farm.haproxy().resume().expect("it goes on");
    assert_eq!(finish(resume).await.code, 0);
    site.wait_for_bits([MAINT, MAINT, 0, 0]).await;
    let whole = site.teeter(&["store", "verify"]).await;
    assert_eq!(whole.code, 0, "{whole:?}");
    assert_eq!(site.teeter(&["abort", "1"]).await.code, 0);
    assert_eq!(site.bits().await, [0; 4]);
}

#[tokio::test]
async fn request_hung_up_before_it_began_changes_nothing() {
    let site = Site::start().await;
    site.farm.haproxy().pause().expect("it is stopped");
    let hold = r#"{ "selectors": ["app/web01"], "mode": "drain", "reason": "r" }"#;
    let head = "POST /v1/holds HTTP/1.1\r\nhost: teeter\r\ncontent-type: application/json\r\n";
    let request = format!("{head}content-length: {}\r\n\r\n{hold}", hold.len());
    let mut impatient = UnixStream::connect(site.daemon.socket()).await.expect("it listens");
    impatient.write_all(request.as_bytes()).await.expect("it takes it");
    // A later request that needs no answer of HAProxy is answered first.
    assert_eq!(site.teeter(&["holds"]).await.code, 0);
    drop(impatient);
    assert_eq!(site.teeter(&["holds"]).await.code, 0);
    site.farm.haproxy().resume().expect("it goes on");
    let patient = site.teeter(&["drain", "app/web02", "--reason", "r"]).await;
    assert_eq!(patient.code, 0, "{patient:?}");
    let holds = site.json(&["holds"]).await;
    assert_eq!(holds["holds"].as_array().map(Vec::len), Some(1), "{holds}");
    assert!(holds.to_string().contains("web02"), "{holds}");
}
