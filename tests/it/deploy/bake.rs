//! The bake after a flip: a worse version is rolled back, and a version that is no worse stays.

use std::time::Duration;

use teeter_lab::{FarmSpec, Load, LoadSpec, Sample};

use crate::fixtures::exit;
use crate::fixtures::site::{Site, finish, until};

const BAKE: &str = "bake = { for = \"2s\", max_5xx = \"1%\", max_errors = \"1%\", min_requests = 50 }";

fn load(site: &Site) -> Load {
    let spec = LoadSpec { connections: 8, pause: Duration::from_millis(2), ..LoadSpec::new(site.farm.addr()) };
    Load::start(spec).expect("load starts")
}

/// The sample with a bake of two seconds.
async fn site(sample: Sample) -> Site {
    match sample {
        Sample::Servers => Site::start_with(BAKE, FarmSpec::default()).await,
        _ => Site::start_sample(sample, &[("min_available", &format!("{BAKE}\nmin_available"))]).await,
    }
}

async fn version(site: &Site) -> String {
    teeter_lab::get(site.farm.addr(), "/").await.expect("it answers").version().to_owned()
}

#[tokio::test]
async fn failing_version_is_rolled_back_by_the_bake() {
    for (sample, farm, strategy) in [
        (Sample::Servers, "web", "see-saw"),
        (Sample::Route, "web", "see-saw"),
        (Sample::BlueGreen, "shop", "blue-green"),
    ] {
        let site = site(sample).await;
        let load = load(&site);
        load.more(200).await;
        let hook = site.hook();
        let deploy = ["deploy", farm, "--strategy", strategy, "--to", "v2-bad", "--", &hook];
        let ended = site.teeter(&deploy).await;
        assert_eq!(ended.code, exit::FAILED, "{sample:?}: {ended:?}\n{}", site.daemon.log());
        assert!(ended.err.contains("rolled back: since the flip"), "{sample:?}: {ended:?}");
        assert!(ended.err.contains("were answered with 5xx, 0% of"), "{sample:?}: {ended:?}");
        for _ in 0..8 {
            assert_eq!(version(&site).await, "v1", "{sample:?}");
        }
        let versions = site.farm.versions();
        assert_eq!(versions.iter().filter(|version| *version == "v1").count(), 2, "the other side is untouched");
        load.stop().await.expect("load ends");
    }
}

#[tokio::test]
async fn healthy_version_passes_the_bake() {
    let bake = "bake = { for = \"1s\", max_5xx = \"10%\", max_errors = \"10%\", on_inconclusive = \"wait\" }";
    let site = Site::start_with(bake, FarmSpec::default()).await;
    let load = load(&site);
    let hook = site.hook();
    let ended = site.teeter(&["deploy", "web", "--to", "v2", "--", &hook]).await;
    assert_eq!(ended.code, 0, "{ended:?}");
    let report = load.stop().await.expect("load ends");
    assert!(report.failed().is_empty(), "{report}");
    let events = site.teeter(&["events", "1"]).await;
    assert!(events.out.contains("no worse: 0% of"), "{events:?}");
    assert_eq!(site.bits().await, [0; 4]);
}

#[tokio::test]
async fn bake_without_traffic_has_no_verdict() {
    let site = site(Sample::Route).await;
    let hook = site.hook();
    let ended = site.teeter(&["deploy", "web", "--to", "v2-bad", "--", &hook]).await;
    assert_eq!(ended.code, 0, "{ended:?}");
    let events = site.teeter(&["events", "1"]).await;
    assert!(events.out.contains("passed without a verdict: 0% of 0 requests"), "{events:?}");
}

#[tokio::test]
async fn bake_survives_a_killed_daemon() {
    let mut site = site(Sample::Route).await;
    let hook = site.hook();
    let deploy = site.daemon.spawn(&["deploy", "web", "--to", "v2-bad", "--", &hook]);
    until(|| async {
        let run = &site.json(&["runs"]).await["runs"][0];
        run["waiting"].as_str().is_some_and(|waiting| waiting.starts_with("watching"))
    })
    .await;
    site.daemon.kill().await;
    let load = load(&site);
    load.more(200).await;
    site.daemon.restart().await;
    let ended = finish(deploy).await;
    assert!(ended.err.contains("rolled back"), "{ended:?}\n{}", site.daemon.log());
    assert_eq!(version(&site).await, "v1");
    load.stop().await.expect("load ends");
}
