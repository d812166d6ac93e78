//! The verdict of a watch on a real HAProxy: worse, no worse, or none, and what follows.

use std::time::Duration;

use serde_json::Value;
use teeter_lab::{FarmSpec, Load, LoadSpec, Sample};

use crate::fixtures::exit;
use crate::fixtures::site::{Site, finish, until};

/// A canary whose watches last a second.
const SHORT: [(&str, &str); 2] = [("pause = \"5m\"", "pause = \"1s\""), ("for = \"60s\"", "for = \"1s\"")];

async fn canary(edits: &[(&str, &str)]) -> Site {
    Site::start_spec(FarmSpec { sample: Sample::Canary, ..FarmSpec::default() }, edits).await
}

/// One client that asks again and again, with a pause.
fn client(site: &Site, pause: u64) -> Load {
    let pause = Duration::from_millis(pause);
    Load::start(LoadSpec { connections: 1, pause, ..LoadSpec::new(site.farm.addr()) }).expect("load starts")
}

async fn run(site: &Site) -> Value {
    site.json(&["show", "1"]).await
}

async fn waits_for_an_operator(site: &Site) {
    until(|| async { run(site).await["waiting"].as_str().is_some_and(|text| text.starts_with("no verdict yet")) })
        .await;
}

#[tokio::test]
async fn canary_without_a_verdict_waits_for_an_operator() {
    let site = canary(&SHORT).await;
    let hook = site.hook();
    let args = ["deploy", "web", "--strategy", "canary", "--steps", "20%", "--to", "v2"];
    let planned = site.teeter(&[&args[..], &["--dry-run"]].concat()).await;
    assert!(planned.out.contains("a verdict needs") && planned.out.contains("or for an operator"), "{planned:?}");
    let deploy = site.daemon.spawn(&[&args[..], &["--", &hook]].concat());
    waits_for_an_operator(&site).await;
    let shown = site.teeter(&["show", "1"]).await;
    assert!(shown.out.contains("`teeter continue 1` goes on without a verdict"), "{shown:?}");
    assert!(shown.out.contains("`teeter rollback 1` switches the traffic back"), "{shown:?}");
    let watch = run(&site).await["watches"][0].clone();
    assert_eq!((&watch["verdict"], &watch["waits"]), (&"inconclusive".into(), &true.into()), "{watch}");
    assert_eq!((&watch["concurrent"], &watch["ended"]), (&true.into(), &Value::Null), "{watch}");
    // The share goes on, and the watch after the flip waits, too.
    let went_on = site.teeter(&["continue", "1"]).await;
    assert_eq!((went_on.code, went_on.out.trim()), (0, "run 1 goes on without a verdict"), "{went_on:?}");
    until(|| async { run(&site).await["watches"].as_array().is_some_and(|watches| watches.len() == 2) }).await;
    waits_for_an_operator(&site).await;
    let went_on = site.teeter(&["continue", "1"]).await;
    assert_eq!(went_on.code, 0, "{went_on:?}");
    let ended = finish(deploy).await;
    assert_eq!(ended.code, 0, "{ended:?}\n{}", site.daemon.log());
    assert!(ended.err.contains("was cut short, without a verdict"), "{ended:?}");
}

#[tokio::test]
async fn failing_version_is_found_within_the_first_requests_and_its_watch_is_kept() {
    let bake = "bake = { for = \"60s\", max_5xx = \"1%\" }";
    let site = Site::start_with(bake, FarmSpec::default()).await;
    let before = client(&site, 1);
    before.more(600).await;
    before.stop().await.expect("load ends");
    let load = client(&site, 40);
    let hook = site.hook();
    let ended = site.teeter(&["deploy", "web", "--to", "v2-bad", "--", &hook]).await;
    assert_eq!(ended.code, exit::FAILED, "{ended:?}");
    load.stop().await.expect("load ends");
    let run = run(&site).await;
    let watch = &run["watches"][0];
    assert_eq!((&watch["verdict"], &watch["concurrent"]), (&"worse".into(), &false.into()), "{watch}");
    let points = watch["points"].as_array().expect("it has points");
    let [.., before, last] = points.as_slice() else { panic!("it has several points: {watch}") };
    // About the tenth request decides: the look before had not seen as many.
    assert!(before["new"]["requests"].as_u64() < Some(12), "{watch}");
    assert!(last["old"]["requests"].as_u64() >= Some(300), "{watch}");
    let verified = site.json(&["store", "verify"]).await;
    assert_eq!((&verified["watches"], &verified["problems"]), (&1.into(), &Value::Array(Vec::new())), "{verified}");
}

#[tokio::test]
async fn watch_goes_on_counting_in_a_new_haproxy_process() {
    let bake = "bake = { for = \"3s\", max_5xx = \"20%\", min_requests = 20, on_inconclusive = \"rollback\" }";
    let site = Site::start_with(bake, FarmSpec::default()).await;
    let load = client(&site, 2);
    load.more(500).await;
    let hook = site.hook();
    let deploy = site.daemon.spawn(&["deploy", "web", "--to", "v2", "--", &hook]);
    let counted = |run: &Value| run["watches"][0]["points"].as_array()?.last()?["new"]["requests"].as_u64();
    until(|| async { counted(&run(&site).await) > Some(20) }).await;
    let sent = load.count();
    site.farm.haproxy().reload().await.expect("HAProxy reloads");
    until(|| async { counted(&run(&site).await) > Some(60) }).await;
    let ended = finish(deploy).await;
    assert_eq!(ended.code, 0, "{ended:?}\n{}", site.daemon.log());
    let run = run(&site).await;
    assert_eq!(run["watches"][0]["verdict"], "no worse", "{run}");
    assert!(counted(&run) < Some(load.count()), "{run} after {sent} requests");
    load.stop().await.expect("load ends");
}

#[tokio::test]
async fn past_watches_and_counters_in_a_file_are_judged_again() {
    let bake = "bake = { for = \"1s\", max_5xx = \"90%\" }";
    let site = Site::start_with(bake, FarmSpec::default()).await;
    let load = client(&site, 2);
    load.more(300).await;
    let hook = site.hook();
    let ended = site.teeter(&["deploy", "web", "--to", "v2-bad", "--", &hook]).await;
    assert!([0, exit::FAILED].contains(&ended.code), "{ended:?}");
    load.stop().await.expect("load ends");
    for args in [&["verdict", "1"][..], &["verdict", "--farm", "web", "--since", "1h"]] {
        let strict = site.json(&[args, &["--max-5xx", "1%"]].concat()).await;
        assert_eq!((&strict[0]["verdict"], &strict[0]["run"]), (&"worse".into(), &1.into()), "{strict}");
    }
    let points = run(&site).await["watches"][0]["points"].clone();
    let file = site.farm.dir().join("points.json");
    std::fs::write(&file, points.to_string()).expect("it is written");
    let file = file.to_str().expect("a path");
    let judged = site.teeter(&["verdict", "--file", file]).await;
    assert!(judged.code == 0 && judged.out.contains("1 watch: 1 would be rolled back"), "{judged:?}");
    for (args, code, words) in [
        (&["verdict", "--farm", "web", "--since", "2099-01-01"][..], exit::NOT_FOUND, "has no run in that time"),
        (&["verdict", "7"], exit::NOT_FOUND, "no run 7"),
        (&["verdict", "1", "--alpha", "0%"], exit::USAGE, "no chance of a false rollback"),
        (&["verdict", "1", "--max-5xx", "one"], exit::USAGE, "is not a share"),
        (&["verdict", "--file", "/dev/null"], exit::USAGE, "is not an array of points"),
        (&["verdict", "--file", "/nonexistent"], exit::NOT_FOUND, "cannot read /nonexistent"),
        (&["verdict"], exit::USAGE, "required"),
    ] {
        let refused = site.teeter(args).await;
        assert!(refused.code == code && refused.err.contains(words), "{args:?}: {refused:?}");
    }
}
