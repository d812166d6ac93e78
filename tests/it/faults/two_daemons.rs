//! Two daemons at one HAProxy.

use crate::fixtures::exit;
use crate::fixtures::site::{Daemon, Site, farm_config, until};

#[tokio::test]
async fn second_teeterd_at_one_haproxy_is_reported() {
    let site = Site::start().await;
    let dir = tempfile::tempdir().expect("a directory");
    let mut second = Daemon::start(dir.path(), &farm_config(&site.farm, "")).await;
    let finding = format!("another teeterd works with it, too (process {} of user", site.daemon.pid());
    until(|| async { second.log().contains(&finding) }).await;
    let doctor = second.teeter(&["doctor"]).await;
    assert!(doctor.code == exit::FAILED && doctor.out.contains(&finding), "{doctor:?}");
    let status = second.teeter(&["status"]).await;
    assert!(status.out.contains(&finding), "{status:?}");
    // The first daemon keeps HAProxy and reports nothing.
    assert_eq!(site.teeter(&["doctor"]).await.code, 0);
    second.kill().await;
    second.restart().await;
    until(|| async { second.log().matches(&finding).count() == 2 }).await;
}
