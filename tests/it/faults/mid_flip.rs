//! HAProxy reloaded or killed between any two commands of a flip: afterwards only the side of the store is live.

use std::collections::BTreeSet;

use teeter_lab::{FarmSpec, Load, LoadSpec, Sample, TestFarm};

use crate::fixtures::site::{Daemon, Site, edited, finish, until};
use crate::fixtures::socket_relay::Relay;

/// What happens to HAProxy in the middle of a line.
#[derive(Clone, Copy, Debug)]
enum Fault {
    /// Only the connection ends.
    None,
    Reload,
    Kill,
}

/// A site whose teeterd reaches HAProxy through a relay; group b runs v2.
async fn site(sample: Sample, line: &'static str) -> (Site, Relay) {
    let farm = TestFarm::start_spec(FarmSpec { sample, version: "v1".into(), ..FarmSpec::default() }).await;
    let farm = farm.expect("a farm starts");
    for app in &farm.apps()[2..] {
        app.replace("v2").await.expect("it is replaced");
    }
    let relay = Relay::start(farm.dir().join("relay.sock"), &farm.socket(), line);
    let (shipped, socket) = (farm.toml().expect("it has a configuration"), farm.socket());
    let config = edited(&shipped, &[(&socket.display().to_string(), &relay.path.display().to_string())]);
    let daemon = Daemon::start(farm.dir(), &config).await;
    (Site { daemon, farm }, relay)
}

/// The versions that answer new requests.
async fn served(site: &Site) -> BTreeSet<String> {
    let load = Load::start(LoadSpec { connections: 4, ..LoadSpec::new(site.farm.addr()) }).expect("load starts");
    load.more(60).await;
    let report = load.stop().await.expect("load ends");
    assert!(report.failed().is_empty(), "{report}");
    report.by_version().into_keys().collect()
}

/// Flips back and forth. The first flip is cut before its first command, and each further one a command later.
async fn flip_and_cut(sample: Sample, line: &'static str, fault: Fault) {
    let (site, mut relay) = site(sample, line).await;
    let first = site.teeter(&["flip", "web", "a"]).await;
    assert_eq!(first.code, 0, "{first:?}");
    let mut commands = 0;
    for (to, version) in [("b", "v2"), ("a", "v1")].into_iter().cycle() {
        relay.arm(commands);
        let flip = site.daemon.spawn(&["flip", "web", to]);
        let cut = relay.cut().await;
        let changes = cut.changes;
        match fault {
            Fault::None => {}
            Fault::Reload => site.farm.haproxy().reload().await.expect("HAProxy reloads"),
            Fault::Kill => {
                site.farm.haproxy().kill();
                site.farm.haproxy().start_again().await.expect("HAProxy starts again");
            }
        }
        drop(cut);
        let ended = finish(flip).await;
        let context = format!("{fault:?} after {commands} of {changes}: {ended:?}\n{}", site.daemon.log());
        assert_eq!(ended.code, 0, "{context}");
        until(|| async { site.json(&["status"]).await["instances"][0]["agrees"] == true }).await;
        assert_eq!(served(&site).await, BTreeSet::from([version.to_owned()]), "{context}");
        if sample == Sample::Route {
            assert_eq!(site.route("web").await, format!("web_{to}"), "{context}");
        }
        if !matches!(fault, Fault::None) {
            let shown = site.teeter(&["show"]).await.out;
            assert!(shown.contains("another process"), "{shown}");
        }
        commands += 1;
        if commands > changes {
            return;
        }
    }
}

#[tokio::test]
async fn interrupted_route_flip_ends_as_stored() {
    for fault in [Fault::None, Fault::Reload, Fault::Kill] {
        for line in ["set map ", " state ready"] {
            flip_and_cut(Sample::Route, line, fault).await;
        }
    }
}

#[tokio::test]
async fn interrupted_server_flip_ends_as_stored() {
    for fault in [Fault::None, Fault::Reload, Fault::Kill] {
        flip_and_cut(Sample::Servers, " state ready", fault).await;
    }
}

#[tokio::test]
async fn flip_order_is_the_requested_one() {
    let (site, mut relay) = site(Sample::Servers, " state ready").await;
    assert_eq!(site.teeter(&["flip", "web", "a"]).await.code, 0);
    for (to, order, first) in [("b", "overlap", "state ready"), ("a", "gap", "state drain")] {
        relay.arm(0);
        let flip = site.daemon.spawn(&["flip", "web", to, "--order", order]);
        let cut = relay.cut().await;
        let position = |text: &str| cut.line.find(text).unwrap_or_else(|| panic!("{text} is not in {}", cut.line));
        let earlier = position("state ready").min(position("state drain"));
        assert_eq!(earlier, position(first), "{order}: {}", cut.line);
        assert!(cut.line.len() < 8192);
        drop(cut);
        let ended = finish(flip).await;
        assert_eq!(ended.code, 0, "{ended:?}\n{}", site.daemon.log());
        let run = site.json(&["show"]).await;
        assert!(run["flips"][0]["took_ms"].as_f64().is_some_and(|took| took > 0.0), "{run}");
        assert_eq!(run["flips"][0]["mode"], "servers", "{run}");
    }
}
