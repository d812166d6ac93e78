//! Old worker processes after reloads: teeter counts their sessions, shows them, ends them, and keeps none alive.

use teeter_lab::{FarmSpec, Held};

use crate::fixtures::site::{MAINT, Site, edited, finish, until};

/// A site in master-worker mode; teeterd knows the master's socket if `knows_master`.
async fn site(knows_master: bool) -> Site {
    let mut site = Site::start_with("", FarmSpec { master: true, ..FarmSpec::default() }).await;
    if knows_master {
        let text = std::fs::read_to_string(site.daemon.config()).expect("it is there");
        let master = format!("name = \"edge\"\nmaster = {:?}\n", site.farm.haproxy().master_socket());
        std::fs::write(site.daemon.config(), edited(&text, &[("name = \"edge\"\n", &master)])).expect("it is written");
        site.daemon.kill().await;
        site.daemon.restart().await;
    }
    site
}

/// A websocket on this server.
async fn held(site: &Site, server: &str) -> Held {
    loop {
        let held = Held::open(site.farm.addr(), "/ws", &[]).await.expect("it opens");
        if held.answer().server() == server {
            return held;
        }
    }
}

#[tokio::test]
async fn requests_in_an_old_worker_are_in_flight() {
    let site = site(true).await;
    let mut held = held(&site, "web01").await;
    let old = site.farm.haproxy().pid().await.expect("HAProxy answers");
    site.farm.haproxy().reload().await.expect("HAProxy reloads");
    let drain = site.daemon.spawn(&["drain", "web01", "--reason", "r", "--deadline", "60s"]);
    until(|| async { site.bits().await[0] != 0 }).await;
    // The session is in the old worker.
    until(|| async {
        let shown = site.json(&["status", "app/web01"]).await;
        shown["servers"][0]["old"][0]["pid"] == old && shown["servers"][0]["in_flight"] == 1
    })
    .await;
    let status = site.teeter(&["status", "app/web01"]).await.out;
    assert!(status.contains(&format!("in flight in process {old}, which a reload left behind")), "{status}");
    let why = site.teeter(&["why", "web01"]).await.out;
    assert!(why.contains(&old.to_string()), "{why}");
    let holds = site.json(&["holds"]).await;
    assert_eq!(holds["holds"][0]["stage"], "draining", "{holds}");
    assert!(site.json(&["status"]).await["instances"][0]["sees_old"] == true);
    held.echo(b"still").await.expect("it is alive");
    drop(held);
    let ended = finish(drain).await;
    assert_eq!(ended.code, 0, "{ended:?}\n{}", site.daemon.log());
    // No connection of teeter keeps the old worker alive.
    until(|| async { !site.farm.haproxy().pids().contains(&old) }).await;
}

#[tokio::test]
async fn kill_reaches_old_workers() {
    let site = site(true).await;
    let mut sockets = vec![held(&site, "web01").await];
    for _ in 0..3 {
        site.farm.haproxy().reload().await.expect("HAProxy reloads");
        sockets.push(held(&site, "web01").await);
    }
    let ended = site.teeter(&["maint", "web01", "--reason", "r", "--deadline", "1s", "--on-deadline", "kill"]).await;
    assert_eq!(ended.code, 0, "{ended:?}\n{}", site.daemon.log());
    for held in &mut sockets {
        held.closed().await;
    }
    assert_eq!(site.farm.app("web01").in_flight(), 0);
}

#[tokio::test]
async fn old_worker_that_dies_during_a_query_is_gone() {
    let site = site(true).await;
    let _held = held(&site, "web01").await;
    let old = site.farm.haproxy().pid().await.expect("HAProxy answers");
    site.farm.haproxy().reload().await.expect("HAProxy reloads");
    let drain = site.daemon.spawn(&["drain", "web01", "--reason", "r", "--deadline", "60s"]);
    until(|| async { site.json(&["status", "app/web01"]).await["servers"][0]["old"][0]["pid"] == old }).await;
    let killed = std::process::Command::new("kill").args(["-9", &old.to_string()]).status().expect("kill runs");
    assert!(killed.success());
    let ended = finish(drain).await;
    assert_eq!(ended.code, 0, "{ended:?}\n{}", site.daemon.log());
    // A master that is killed and started again has no old workers.
    site.farm.haproxy().restart().await.expect("HAProxy restarts");
    until(|| async { site.bits().await[0] != 0 }).await;
    until(|| async { site.json(&["status"]).await["instances"][0]["agrees"] == true }).await;
}

#[tokio::test]
async fn missing_master_socket_is_reported() {
    let site = site(false).await;
    let _held = held(&site, "web01").await;
    let drain = site.daemon.spawn(&["drain", "web01", "--reason", "r", "--deadline", "60s"]);
    until(|| async { site.json(&["status", "app/web01"]).await["servers"][0]["in_flight"] == 1 }).await;
    until(|| async { site.bits().await[0] != 0 }).await;
    site.farm.haproxy().reload().await.expect("HAProxy reloads");
    let ended = finish(drain).await;
    assert_eq!(ended.code, 0, "{ended:?}");
    let holds = site.teeter(&["holds"]).await.out;
    assert!(holds.contains("may still serve them, unseen") && holds.contains("master = "), "{holds}");
    let doctor = site.teeter(&["doctor"]).await.out;
    assert!(doctor.contains("teeter does not see the processes that reloads leave behind"), "{doctor}");
}

#[tokio::test]
async fn many_reloads_keep_the_farm_as_stored() {
    let site = site(true).await;
    assert_eq!(site.teeter(&["begin", "web"]).await.code, 0);
    for _ in 0..5 {
        site.farm.haproxy().reload().await.expect("HAProxy reloads");
    }
    site.wait_for_bits([MAINT, MAINT, 0, 0]).await;
    for _ in 0..2 {
        let advanced = site.teeter(&["advance", "1"]).await;
        assert_eq!(advanced.code, 0, "{advanced:?}\n{}", site.daemon.log());
    }
    assert_eq!(site.bits().await, [0; 4]);
}
