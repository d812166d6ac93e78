//! Pause, resume and retry; and the same command twice in a row or from two terminals at once.

use teeter_lab::FarmSpec;

use crate::fixtures::exit;
use crate::fixtures::site::{MAINT, Site, finish, until};

async fn waiting(site: &Site) -> String {
    site.json(&["show", "1"]).await["waiting"].as_str().unwrap_or_default().to_owned()
}

#[tokio::test]
async fn paused_run_begins_no_step() {
    for strategy in ["see-saw", "rolling", "canary"] {
        let site = Site::start().await;
        let begun = site.teeter(&["begin", "web", "--strategy", strategy]).await;
        assert_eq!(begun.code, 0, "{begun:?}");
        let (one, other) = (site.daemon.spawn(&["pause", "1"]), site.daemon.spawn(&["pause", "1"]));
        for ended in [finish(one).await, finish(other).await] {
            assert_eq!(ended.code, 0, "{ended:?}");
        }
        let held = site.bits().await;
        let advance = site.daemon.spawn(&["advance", "1", "--step", &step(&site).await]);
        until(|| async { waiting(&site).await.starts_with("paused") }).await;
        assert_eq!(site.bits().await, held, "{strategy}");
        let shown = site.teeter(&["show", "1"]).await;
        assert!(shown.out.contains("teeter continue 1"), "{shown:?}");
        // A paused run can be aborted.
        drop(advance);
        for _ in 0..2 {
            let ended = site.teeter(&["abort", "1"]).await;
            assert_eq!(ended.code, 0, "{ended:?}");
        }
        assert_eq!(site.bits().await, [0; 4]);
        assert_eq!(site.teeter(&["resume", "1"]).await.code, exit::REFUSED, "it has ended");
    }
}

async fn step(site: &Site) -> String {
    site.json(&["show", "1"]).await["cursor"].to_string()
}

#[tokio::test]
async fn resumed_run_continues_at_its_step() {
    let site = Site::start().await;
    let hook = site.hook();
    let pause = format!("{hook}; [ $TEETER_GROUP = b ] || {} pause $TEETER_RUN", env!("CARGO_BIN_EXE_teeter"));
    let deploy = site.daemon.spawn(&["deploy", "web", "--to", "v2", "--", "sh", "-c", &pause]);
    until(|| async { waiting(&site).await.starts_with("paused") }).await;
    assert_eq!(site.bits().await, [MAINT, MAINT, 0, 0]);
    for _ in 0..2 {
        let resumed = site.teeter(&["resume", "1"]).await;
        assert_eq!(resumed.code, 0, "{resumed:?}");
    }
    let ended = finish(deploy).await;
    assert_eq!(ended.code, 0, "{ended:?}");
    assert_eq!(site.farm.versions(), ["v2"; 4]);
}

#[tokio::test]
async fn failed_step_can_be_retried() {
    let site = Site::start_with("verify.deadline = \"3s\"", FarmSpec::default()).await;
    let deploy = ["deploy", "web", "--strategy", "rolling", "--batch", "2", "--settle", "0s", "--", "false"];
    let ended = site.teeter(&deploy).await;
    assert_eq!(ended.code, exit::FAILED, "{ended:?}");
    // `retry` asks for the failed work again.
    let retried = site.teeter(&["retry", "1"]).await;
    assert!(retried.out.contains("TEETER_SERVERS='web01 web02'"), "{retried:?}");
    assert_eq!(site.teeter(&["retry", "1"]).await.code, exit::REFUSED, "it has not failed");
    // `retry` repeats a failed verification.
    site.farm.app("web02").set_healthy(false);
    let advanced = site.teeter(&["advance", "1"]).await;
    assert_eq!(advanced.code, exit::FAILED, "{advanced:?}");
    let retried = site.teeter(&["retry", "1"]).await;
    assert_eq!(retried.code, exit::FAILED, "{retried:?}");
    assert_eq!(site.bits().await, [MAINT, MAINT, 0, 0]);
    site.farm.app("web02").set_healthy(true);
    let retried = site.teeter(&["retry", "1"]).await;
    assert!(retried.out.contains("TEETER_SERVERS='web03 web04'"), "{retried:?}");
}

#[tokio::test]
async fn only_one_of_several_reports_on_a_step_counts() {
    let site = Site::start().await;
    assert_eq!(site.teeter(&["begin", "web"]).await.code, 0);
    let step = step(&site).await;
    let reports = ["1", "2", "3"].map(|_| site.daemon.spawn(&["advance", "1", "--step", &step]));
    let mut codes = Vec::new();
    for report in reports {
        codes.push(finish(report).await.code);
    }
    codes.sort_unstable();
    assert_eq!(codes, [0, exit::REFUSED, exit::REFUSED]);
    assert_eq!(site.json(&["show", "1"]).await["work"]["group"], "b");
    assert_eq!(site.bits().await, [0, 0, MAINT, MAINT]);
    let aborts = ["1", "2"].map(|_| site.daemon.spawn(&["abort", "1"]));
    for abort in aborts {
        assert_eq!(finish(abort).await.code, 0);
    }
    assert_eq!(site.bits().await, [0; 4]);
}
