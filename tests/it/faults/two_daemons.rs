//! Two teeterds that work with one HAProxy.

use crate::fixtures::exit;
use crate::fixtures::site::{Daemon, Site, farm_config, until};

#[tokio::test]
async fn second_teeterd_at_one_haproxy_is_reported() {
    let site = Site::start().await;
    let dir = tempfile::tempdir().expect("a directory");
    let mut second = Daemon::start(dir.path(), &farm_config(&site.farm, "")).await;
    let who = format!("another teeterd works with it, too (process {} of user", site.daemon.pid());
    until(|| async { second.log().contains(&who) }).await;
    let doctor = second.teeter(&["doctor"]).await;
    assert!(doctor.code == exit::FAILED && doctor.out.contains(&who), "{doctor:?}");
    let status = second.teeter(&["status"]).await;
    assert!(status.out.contains(&who), "{status:?}");
    // Whoever was there first has it, and is told nothing.
    assert_eq!(site.teeter(&["doctor"]).await.code, 0);
    second.kill().await;
    second.restart().await;
    until(|| async { second.log().matches(&who).count() == 2 }).await;
}
