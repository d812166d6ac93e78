//! Canary: a share of the clients with a route, and a share by weights without one.

use teeter_lab::{Browser, FarmSpec, Load, LoadSpec, Sample};
use tokio::process::Child;

use crate::fixtures::exit;
use crate::fixtures::site::{MAINT, Site, finish, step_of, until};

/// Makes the pause longer than the test.
const LONG_PAUSE: [(&str, &str); 1] = [("pause = \"5m\"", "pause = \"10m\"")];

/// Starts a canary deploy, and waits until it watches its first share.
async fn deploy_to_first_share(site: &Site, version: &str, steps: &str) -> Child {
    let hook = site.hook();
    let deploy =
        ["deploy", "web", "--strategy", "canary", "--steps", steps, "--pause", "10m", "--to", version, "--", &hook];
    let child = site.daemon.spawn(&deploy);
    wait_for_bake(site).await;
    child
}

/// Waits until the run watches group a.
async fn wait_for_bake(site: &Site) {
    until(|| async {
        let run = &site.json(&["runs"]).await["runs"][0];
        step_of(run).is_some_and(|text| text.starts_with("bake a"))
            && run["waiting"].as_str().is_some_and(|text| text.starts_with("watching"))
    })
    .await;
}

/// The weights of every server, in the order of the sample.
async fn weights(site: &Site) -> Vec<u64> {
    let status = site.json(&["status"]).await;
    let servers = status["servers"].as_array().expect("there are servers").iter();
    servers.filter(|server| server["backend"] == "app").filter_map(|server| server["weight"].as_u64()).collect()
}

/// The number of clients that get v2, of a hundred with different bucket numbers.
async fn share(site: &Site) -> usize {
    let mut share = 0;
    for number in 0..100 {
        let mut visitor = Browser::new(site.farm.addr());
        visitor.forge("bucket", &number.to_string());
        let first = visitor.get("/").await.expect("it answers").version().to_owned();
        let second = visitor.get("/").await.expect("it answers").version().to_owned();
        assert_eq!(first, second, "a client gets one version");
        share += usize::from(first == "v2");
    }
    share
}

#[tokio::test]
async fn share_of_the_clients_gets_the_canary_and_each_sees_one_version() {
    let site = Site::start_spec(FarmSpec { sample: Sample::Canary, ..FarmSpec::default() }, &LONG_PAUSE).await;
    // A client without a bucket number gets one in a cookie.
    let mut newcomer = Browser::new(site.farm.addr());
    newcomer.get("/").await.expect("it answers");
    assert!(newcomer.cookie("bucket").is_some_and(|number| number.parse::<u8>().is_ok_and(|number| number < 100)));
    let deploy = deploy_to_first_share(&site, "v2", "5%,25%,100%").await;
    assert_eq!(share(&site).await, 5);
    let mut first = Browser::new(site.farm.addr());
    first.forge("bucket", "4");
    assert_eq!(first.get("/").await.expect("it answers").version(), "v2");
    for forged in ["-1", "999", "x", ""] {
        let mut visitor = Browser::new(site.farm.addr());
        visitor.forge("bucket", forged);
        assert_eq!(visitor.get("/").await.expect("it answers").status, 200);
    }
    // A reload of HAProxy and a restart of teeterd change nothing.
    site.farm.haproxy().reload().await.expect("it reloads");
    until(|| async { site.json(&["status"]).await["instances"][0]["agrees"] == true }).await;
    assert_eq!(share(&site).await, 5);
    let cut_short = site.daemon.spawn(&["advance", "1", "--step", "5"]);
    until(|| async { site.route("web.share").await == "25" }).await;
    wait_for_bake(&site).await;
    assert_eq!(share(&site).await, 25);
    assert_eq!(first.get("/").await.expect("it answers").version(), "v2", "a client with v2 keeps it");
    let advanced = site.daemon.spawn(&["advance", "1"]);
    until(|| async { site.route("web").await == "web_a" }).await;
    assert_eq!((site.route("web.share").await, site.route("web.trial").await), (String::new(), String::new()));
    assert_eq!(share(&site).await, 100);
    finish_run(&site, deploy, [cut_short, advanced]).await;
    assert_eq!(site.farm.versions(), ["v2"; 4]);
    assert!(!site.map_file().contains("web.share"), "{}", site.map_file());
}

/// Ends the last bake and waits for the end of the deploy.
async fn finish_run(site: &Site, deploy: Child, advanced: [Child; 2]) {
    wait_for_bake(site).await;
    let last = site.daemon.spawn(&["advance", "1"]);
    let ended = finish(deploy).await;
    assert_eq!(ended.code, 0, "{ended:?}\n{}", site.daemon.log());
    drop((advanced, last));
}

#[tokio::test]
async fn without_a_route_weights_make_the_share() {
    let site = Site::start().await;
    let before = weights(&site).await;
    let load = Load::start(LoadSpec { connections: 8, ..LoadSpec::new(site.farm.addr()) }).expect("load starts");
    let deploy = deploy_to_first_share(&site, "v2", "10%,100%").await;
    let shared = weights(&site).await;
    let part = 100 * (shared[0] + shared[1]) / shared.iter().sum::<u64>();
    assert!((9..=11).contains(&part), "{shared:?}");
    assert_eq!(site.bits().await, [0; 4]);
    load.more(2000).await;
    let advanced = site.daemon.spawn(&["advance", "1"]);
    let ended = finish(deploy).await;
    assert_eq!(ended.code, 0, "{ended:?}\n{}", site.daemon.log());
    drop(advanced);
    let report = load.stop().await.expect("load ends");
    assert!(report.failed().is_empty(), "{report}");
    assert_eq!((weights(&site).await, site.bits().await), (before, vec![0; 4]));
    assert_eq!(site.farm.versions(), ["v2"; 4]);
}

#[tokio::test]
async fn aborted_or_failed_canary_loses_its_share() {
    // An operator aborts a share by weights.
    let site = Site::start().await;
    let before = weights(&site).await;
    let deploy = deploy_to_first_share(&site, "v2", "10%").await;
    for _ in 0..2 {
        let ended = site.teeter(&["abort", "1"]).await;
        assert_eq!(ended.code, 0, "{ended:?}");
    }
    let ended = finish(deploy).await;
    assert_eq!(ended.code, exit::FAILED, "{ended:?}");
    assert_eq!((site.bits().await, weights(&site).await), (vec![MAINT, MAINT, 0, 0], before));
    // The bake fails with a share of the clients.
    let edits = [("min_requests = 200", "min_requests = 20")];
    let site = Site::start_spec(FarmSpec { sample: Sample::Canary, ..FarmSpec::default() }, &edits).await;
    let load = Load::start(LoadSpec { connections: 8, ..LoadSpec::new(site.farm.addr()) }).expect("load starts");
    load.more(200).await;
    let hook = site.hook();
    let deploy = ["deploy", "web", "--strategy", "canary", "--steps", "20%", "--to", "v2-bad", "--", &hook];
    let ended = site.teeter(&deploy).await;
    assert_eq!(ended.code, exit::FAILED, "{ended:?}\n{}", site.daemon.log());
    assert!(ended.err.contains("on the other side meanwhile; 1% more is allowed"), "{ended:?}");
    assert!(ended.err.contains("rolled back: since group a was given 20% of the traffic"), "{ended:?}");
    assert_eq!((site.route("web.share").await, site.route("web").await), (String::new(), "web_all".to_owned()));
    load.stop().await.expect("load ends");
    let mut visitor = Browser::new(site.farm.addr());
    visitor.forge("bucket", "0");
    assert_eq!(visitor.get("/").await.expect("it answers").version(), "v1");
}

#[tokio::test]
async fn invalid_shares_are_refused() {
    let site = Site::start().await;
    for steps in ["0%", "101%", "25%,5%", "100%", "5"] {
        let ended = site.teeter(&["deploy", "web", "--strategy", "canary", "--steps", steps, "--", "true"]).await;
        assert_eq!(ended.code, exit::USAGE, "{steps}: {ended:?}");
    }
    let ended = site.teeter(&["deploy", "web", "--steps", "5%", "--", "true"]).await;
    assert_eq!(ended.code, exit::USAGE, "{ended:?}");
}
