//! Blue-green: the idle side gets the new version and then the traffic, and the other side is the standby.

use std::time::Duration;

use teeter_lab::{FarmSpec, Load, LoadSpec, Sample};

use crate::fixtures::exit;
use crate::fixtures::site::{Site, edited, until};

const EDITS: [(&str, &str); 1] = [("deadline = \"60s\"", "deadline = \"20s\"")];

async fn shop() -> Site {
    let work = Duration::from_millis(1)..Duration::from_millis(10);
    Site::start_spec(FarmSpec { sample: Sample::BlueGreen, work, ..FarmSpec::default() }, &EDITS).await
}

/// The names of the servers that teeter keeps out.
async fn out(site: &Site) -> Vec<String> {
    let holds = site.json(&["holds"]).await;
    let members = holds["holds"].as_array().into_iter().flatten().flat_map(|hold| hold["members"].as_array());
    members.flatten().filter_map(|member| member.as_str().map(str::to_owned)).collect()
}

#[tokio::test]
async fn idle_side_gets_the_version_and_then_the_traffic() {
    let site = shop().await;
    let idle = site.teeter(&["idle", "shop"]).await;
    assert!(idle.out.contains("TEETER_GROUP=green\nTEETER_SERVERS='green01 green02'\nTEETER_ADDRESSES="), "{idle:?}");
    let planned = site.json(&["deploy", "shop", "--strategy", "blue-green", "--to", "v2", "--dry-run"]).await;
    let load = LoadSpec { connections: 16, pause: Duration::from_millis(2), ..LoadSpec::new(site.farm.addr()) };
    let load = Load::start(load).expect("load starts");
    load.more(300).await;
    let hook = site.hook();
    let deploy = ["deploy", "shop", "--strategy", "blue-green", "--to", "v2", "--", &hook];
    let ended = site.teeter(&deploy).await;
    assert_eq!(ended.code, 0, "{ended:?}\n{}", site.daemon.log());
    assert!(ended.err.contains("`teeter flip shop blue`"), "{ended:?}");
    load.more(300).await;
    let report = load.stop().await.expect("load ends");
    assert!(report.failed().is_empty(), "{report}");
    assert_eq!(site.farm.versions(), ["v1", "v1", "v2", "v2"]);
    assert_eq!(
        (site.route("shop").await.as_str(), out(&site).await),
        ("shop_green", vec!["blue01".into(), "blue02".into()])
    );
    let run = site.json(&["show", "1"]).await;
    assert_eq!(planned["steps"].as_array().map(Vec::len), run["steps"].as_array().map(Vec::len));
    assert_eq!(site.json(&["idle", "shop"]).await["idle"], "blue");
    // A restart of HAProxy changes nothing.
    site.farm.haproxy().restart().await.expect("it starts again");
    until(|| async { site.json(&["status"]).await["instances"][0]["agrees"] == true }).await;
    assert_eq!((site.route("shop").await.as_str(), out(&site).await.len()), ("shop_green", 2));
    // A flip back takes no work, and the next deploy begins with the side that is idle then.
    let back = site.teeter(&["flip", "shop", "blue"]).await;
    assert_eq!(back.code, 0, "{back:?}");
    assert_eq!(teeter_lab::get(site.farm.addr(), "/").await.expect("it answers").version(), "v1");
    let ended = site.teeter(&["deploy", "shop", "--strategy", "blue-green", "--to", "v3", "--", &hook]).await;
    assert_eq!(ended.code, 0, "{ended:?}");
    assert_eq!(site.farm.versions(), ["v1", "v1", "v3", "v3"]);
}

#[tokio::test]
async fn bad_version_gets_no_traffic() {
    let site = shop().await;
    site.daemon.reconfigure(|toml| edited(toml, &[("deadline = \"20s\"", "deadline = \"3s\"")])).await;
    for (hook, at) in [("exit 1", "work green"), ("true", "verify green")] {
        let deploy = ["deploy", "shop", "--strategy", "blue-green", "--to", "v2", "--", "sh", "-c", hook];
        let ended = site.teeter(&deploy).await;
        assert_eq!(ended.code, exit::FAILED, "{ended:?}");
        assert!(ended.err.contains(at), "{ended:?}");
        assert_eq!(site.route("shop").await, "shop_blue");
        let run = site.json(&["show"]).await["id"].to_string();
        for _ in 0..2 {
            let ended = site.teeter(&["abort", &run]).await;
            assert_eq!(ended.code, 0, "{ended:?}");
        }
        assert_eq!(out(&site).await, ["green01", "green02"], "it stays the standby");
    }
    let hook = site.hook();
    let ended = site.teeter(&["deploy", "shop", "--strategy", "blue-green", "--to", "v2", "--", &hook]).await;
    assert_eq!(ended.code, 0, "{ended:?}");
    assert_eq!(site.route("shop").await, "shop_green");
}

#[tokio::test]
async fn without_a_route_the_side_on_standby_is_idle() {
    let site = Site::start().await;
    let ended = site.teeter(&["idle", "web"]).await;
    assert_eq!(ended.code, exit::REFUSED, "{ended:?}");
    assert!(ended.err.contains("`teeter flip web a`"), "{ended:?}");
    let flipped = site.teeter(&["flip", "web", "a"]).await;
    assert_eq!(flipped.code, 0, "{flipped:?}");
    assert_eq!(site.json(&["idle", "web"]).await["idle"], "b");
    let hook = site.hook();
    let ended = site.teeter(&["deploy", "web", "--strategy", "blue-green", "--to", "v2", "--", &hook]).await;
    assert_eq!(ended.code, 0, "{ended:?}");
    assert_eq!(site.farm.versions(), ["v1", "v1", "v2", "v2"]);
    assert_eq!(out(&site).await, ["web01", "web02"]);
    // A see-saw begins with all servers in service.
    let ended = site.teeter(&["deploy", "web", "--to", "v3", "--", &hook]).await;
    assert_eq!(ended.code, exit::REFUSED, "{ended:?}");
}

/// A new HAProxy process sends the traffic to the side that teeter keeps out, because the map file was changed.
#[tokio::test]
async fn side_is_released_when_the_route_was_switched_to_it_outside_teeter() {
    let site = shop().await;
    assert_eq!(site.teeter(&["begin", "shop", "--strategy", "blue-green", "--to", "v2"]).await.code, 0);
    until(|| async { site.json(&["show", "1"]).await["work"]["group"] == "green" }).await;
    let switched = site.map_file().replace("shop_blue", "shop_green");
    std::fs::write(site.farm.map(), switched).expect("it is written");
    site.farm.haproxy().restart().await.expect("it starts again");
    until(|| async { site.json(&["show", "1"]).await["state"] == "failed" }).await;
    let shown = site.teeter(&["show", "1"]).await;
    assert!(shown.out.contains("the traffic was switched to backend shop_green outside teeter"), "{shown:?}");
    assert_eq!((site.route("shop").await.as_str(), out(&site).await.len()), ("shop_green", 0));
    assert_eq!(teeter_lab::get(site.farm.addr(), "/").await.expect("it answers").status, 200);
    assert_eq!(site.bits().await, [0; 4]);
    let ended = site.teeter(&["abort", "1"]).await;
    assert_eq!(ended.code, 0, "{ended:?}");
    assert_eq!(site.json(&["holds"]).await["holds"], serde_json::json!([]));
}
