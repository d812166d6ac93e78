//! Changes to held servers from outside teeter.

use crate::fixtures::site::{DRAIN, MAINT, Site, until};

#[tokio::test]
async fn hold_undone_outside_teeter_is_reasserted_and_recorded() {
    let site = Site::start().await;
    assert_eq!(site.teeter(&["drain", "web01", "--reason", "r"]).await.code, 0);
    for _ in 0..2 {
        site.farm.haproxy().cmd("set server app/web01 state ready").await.unwrap();
        site.wait_for_bits([DRAIN, 0, 0, 0]).await;
    }
    until(|| async { site.teeter(&["events"]).await.out.contains("from drain to ready: corrected") }).await;
}

#[tokio::test]
async fn stricter_outside_state_stays_and_outlives_the_hold() {
    let site = Site::start().await;
    assert_eq!(site.teeter(&["drain", "web01", "--reason", "r"]).await.code, 0);
    site.farm.haproxy().cmd("set server app/web01 state maint").await.unwrap();
    until(|| async { site.teeter(&["events"]).await.out.contains("from drain to maint: it stays in maint") }).await;
    assert_eq!(site.bits().await, [MAINT, 0, 0, 0]);
    let ready = site.teeter(&["ready", "web01"]).await;
    assert_eq!(ready.code, 0, "{ready:?}");
    assert_eq!(site.bits().await, [MAINT, 0, 0, 0]);
    let holds = site.json(&["holds"]).await;
    assert_eq!(holds["holds"].as_array().map(Vec::len), Some(0), "{holds} {ready:?} {}", site.daemon.log());
}

#[tokio::test]
async fn stricter_outside_state_can_be_withdrawn() {
    let site = Site::start().await;
    assert_eq!(site.teeter(&["drain", "web01", "--reason", "r"]).await.code, 0);
    let haproxy = site.farm.haproxy();
    haproxy.cmd("set server app/web01 state maint").await.unwrap();
    until(|| async { site.teeter(&["events"]).await.out.contains("from drain to maint: it stays in maint") }).await;
    haproxy.cmd("set server app/web01 state drain").await.unwrap();
    until(|| async { site.teeter(&["events"]).await.out.contains("from maint to drain") }).await;
    // The hold asks for drain, and the stricter state from outside has ended.
    site.wait_for_bits([DRAIN, 0, 0, 0]).await;
    haproxy.cmd("set server app/web01 state maint").await.unwrap();
    until(|| async { site.teeter(&["events"]).await.out.matches("from drain to maint").count() == 2 }).await;
    haproxy.cmd("set server app/web01 state ready").await.unwrap();
    until(|| async { site.teeter(&["events"]).await.out.contains("from maint to ready: corrected") }).await;
    site.wait_for_bits([DRAIN, 0, 0, 0]).await;
    assert_eq!(site.teeter(&["ready", "web01"]).await.code, 0);
    assert_eq!(site.bits().await, [0; 4]);
}
