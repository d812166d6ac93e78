//! Drains that have ended are kept, and give an estimate for the next one.

use serde_json::Value;
use teeter_lab::{Answer, get};
use tokio::task::JoinHandle;

use crate::fixtures::site::{Site, until};

/// Requests that take so long, two for each server, so that none is left out.
async fn slow(site: &Site, millis: u64) -> Vec<JoinHandle<std::io::Result<Answer>>> {
    let (addr, path) = (site.farm.addr(), format!("/slow?ms={millis}"));
    let requests = (0..8).map(|_| {
        let path = path.clone();
        tokio::spawn(async move { get(addr, &path).await })
    });
    let requests = requests.collect();
    until(|| async { site.farm.in_flight() == 8 }).await;
    requests
}

async fn answered(requests: Vec<JoinHandle<std::io::Result<Answer>>>) {
    for request in requests {
        assert_eq!(request.await.unwrap().expect("it is answered").status, 200);
    }
}

/// The latest run; null before the first.
async fn latest(site: &Site) -> Value {
    let shown = site.teeter(&["--json", "show"]).await;
    if shown.code == 0 { serde_json::from_str(&shown.out).expect("it is JSON") } else { Value::Null }
}

#[tokio::test]
async fn drains_of_a_run_are_kept_with_their_curves() {
    let site = Site::start().await;
    let requests = slow(&site, 800).await;
    let deployed = site.teeter(&["deploy", "web", "--", "true"]).await;
    assert_eq!(deployed.code, 0, "{deployed:?}");
    answered(requests).await;
    let run = site.json(&["show", "1"]).await;
    let drains = run["drains"].as_array().cloned().unwrap_or_default();
    let groups: Vec<&str> = drains.iter().filter_map(|drain| drain["group"].as_str()).collect();
    assert_eq!(groups, ["a", "b"], "{run}");
    assert_eq!(drains[0]["servers"], serde_json::json!(["web01", "web02"]), "{run}");
    assert_eq!(drains[0]["outcome"], "empty");
    let points = drains[0]["in_flight"].as_array().cloned().unwrap_or_default();
    assert!((2..=32).contains(&points.len()), "{run}");
    assert_eq!(points.first().map(|point| point[1].clone()), Some(4.into()), "{run}");
    assert_eq!(points.last().map(|point| point[1].clone()), Some(0.into()), "{run}");
    let shown = site.teeter(&["show", "1"]).await;
    assert!(shown.out.contains("drained a: ") && shown.out.contains("4 in flight at first"), "{shown:?}");
}

#[tokio::test]
async fn estimate_needs_earlier_drains_that_took_as_long() {
    let site = Site::start().await;
    let begin = ["begin", "web", "--deadline", "60s"];
    let estimate = || async { latest(&site).await["estimate"].clone() };
    let drains = || async {
        let run = latest(&site).await;
        run["waiting"].as_str().is_some_and(|waiting| waiting.contains("in flight"))
    };
    let requests = slow(&site, 1000).await;
    let begun = site.daemon.spawn(&begin);
    until(drains).await;
    assert!(estimate().await.is_null(), "without an earlier drain there is no ground");
    answered(requests).await;
    drop(begun);
    assert_eq!(site.teeter(&["abort", "1"]).await.code, 0);
    for _ in 0..10 {
        let requests = slow(&site, 1000).await;
        let drained = site.teeter(&["drain", "web01", "--reason", "test"]).await;
        assert_eq!(drained.code, 0, "{drained:?}");
        answered(requests).await;
        assert_eq!(site.teeter(&["ready", "web01"]).await.code, 0);
    }
    let requests = slow(&site, 6000).await;
    let begun = site.daemon.spawn(&begin);
    until(|| async { !estimate().await.is_null() }).await;
    let first = site.json(&["show", "2"]).await["estimate"].clone();
    assert!(first.is_null() || first["drains"].as_u64().is_some_and(|drains| (9..=11).contains(&drains)), "{first}");
    // It lasts longer than the earlier ones: they say nothing any more.
    until(|| async { estimate().await.is_null() }).await;
    assert!(drains().await);
    answered(requests).await;
    drop(begun);
    assert_eq!(site.teeter(&["abort", "2"]).await.code, 0);
}
