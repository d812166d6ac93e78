//! The scope of a hold: every configured HAProxy, also one that did not answer, and server lines that come later.

use std::net::SocketAddr;

use serde_json::Value;
use teeter_lab::{App, Haproxy, Held, free_port};
use tempfile::TempDir;

use crate::fixtures::custom_backends::CustomBackends;
use crate::fixtures::exit;
use crate::fixtures::site::{DRAIN, Daemon, Ended, MAINT, until};

/// Two HAProxy instances with the same application servers, and a teeterd.
struct Pair {
    // The fields are dropped in this order: the directory last.
    daemon: Daemon,
    lb1: Haproxy,
    lb2: Haproxy,
    lb2_port: u16,
    _apps: Vec<App>,
    dir: TempDir,
}

impl Pair {
    /// `more`: lines after the frontend of both instances, in which `{web01}` to `{web04}` stand for the addresses of
    /// the application servers and `{map}` for a map. `keys`: teeter's settings of the second instance, whose socket
    /// is reachable only from [`Pair::show`] on. `teeter`: further tables of teeter's configuration.
    async fn start(more: &str, keys: &str, teeter: &str) -> Self {
        let dir = tempfile::tempdir().expect("a directory is made");
        let mut apps = Vec::new();
        for name in teeter_lab::farm::NAMES {
            apps.push(App::start(name, "v1").await.expect("an application starts"));
        }
        let lb2_port = free_port().expect("a port is free");
        let map = dir.path().join("live.map");
        std::fs::write(&map, "shop blue\n").expect("a map is written");
        let mut more = more.replace("{map}", &map.display().to_string());
        for app in &apps {
            more = more.replace(&format!("{{{}}}", app.name()), &app.addr().to_string());
        }
        let mut both = Vec::new();
        for (name, port) in [("lb1", free_port().expect("a port is free")), ("lb2", lb2_port)] {
            let own = dir.path().join(name);
            std::fs::create_dir(&own).expect("a directory is made");
            let mut config = format!(
                "global\n  stats socket {}/admin.sock level admin\ndefaults\n  mode http\n  timeout connect 1s\n  \
                 timeout client 9s\n  timeout server 9s\nfrontend www\n  bind 127.0.0.1:{port}\n  default_backend app\n\
                 {more}backend app\n",
                own.display()
            );
            for app in &apps {
                config.push_str(&format!("  server {} {}\n", app.name(), app.addr()));
            }
            both.push(Haproxy::start(&own, &config).await.expect("HAProxy starts"));
        }
        let (lb2, lb1) = (both.pop().expect("there is a second"), both.pop().expect("there is a first"));
        let sockets = [("lb1", lb1.socket()), ("lb2", dir.path().join("later.sock"))];
        let sections = sockets.map(|(name, socket)| format!("[[haproxy]]\nname = \"{name}\"\nsocket = {socket:?}\n"));
        let teeter = teeter.replace("{map}", &map.display().to_string());
        let daemon = Daemon::start(dir.path(), &format!("{}{keys}{teeter}", sections.concat())).await;
        Self { daemon, lb1, lb2, lb2_port, _apps: apps, dir }
    }

    /// Makes the socket of the second instance reachable.
    fn show(&self) {
        std::os::unix::fs::symlink(self.lb2.socket(), self.dir.path().join("later.sock")).expect("a link is made");
    }

    async fn teeter(&self, args: &[&str]) -> Ended {
        self.daemon.teeter(args).await
    }

    async fn done(&self, args: &[&str]) -> Ended {
        let ended = self.teeter(args).await;
        assert_eq!(ended.code, 0, "{args:?}: {ended:?}\n{}", self.daemon.log());
        ended
    }

    async fn json(&self, args: &[&str]) -> Value {
        let ended = self.teeter(&[&["--json"], args].concat()).await;
        serde_json::from_str(&ended.out).unwrap_or_else(|error| panic!("no JSON ({error}): {ended:?}"))
    }

    /// The side in the map of an HAProxy.
    async fn side(&self, haproxy: &Haproxy) -> String {
        let reply = haproxy.cmd(&format!("get map {} shop", self.dir.path().join("live.map").display())).await;
        let reply = reply.expect("HAProxy answers");
        ["blue", "green"].into_iter().find(|side| reply.contains(&format!("\"{side}\""))).unwrap_or_default().to_owned()
    }

    async fn stage(&self) -> String {
        self.json(&["holds"]).await["holds"][0]["stage"].as_str().unwrap_or_default().to_owned()
    }
}

async fn bits(haproxy: &Haproxy, server: &str) -> u32 {
    haproxy.server_admin_bits(server).await.expect("HAProxy has it")
}

#[tokio::test]
async fn never_seen_haproxy_refuses_a_hold_or_gets_it_on_appearance() {
    let farm = "[farm.web]\nmembers = [\"app/web*\"]\nhalves = \"auto\"\n";
    let pair = Pair::start("", "", farm).await;
    let status = pair.done(&["status"]).await.out;
    assert!(status.contains("lb2") && status.contains("has not answered since teeterd was started"), "{status}");
    // An operator has taken this server out at the second instance before.
    pair.lb2.tell("set server app/web02 state maint").await.expect("HAProxy does so");
    for command in [&["drain", "web01", "--reason", "r"][..], &["deploy", "web", "--dry-run"]] {
        let refused = pair.teeter(command).await;
        assert_eq!(refused.code, exit::UNREACHABLE, "{refused:?}");
        for words in ["HAProxy lb2 has not answered since teeterd was started", "--without-haproxy lb2"] {
            assert!(refused.err.contains(words), "{refused:?}");
        }
    }
    assert_eq!(
        (bits(&pair.lb1, "app/web01").await, pair.json(&["holds"]).await["holds"].clone()),
        (0, serde_json::json!([]))
    );
    let unknown = pair.teeter(&["drain", "web01", "--reason", "r", "--without-haproxy", "lb3"]).await;
    assert!(unknown.code == exit::NOT_FOUND && unknown.err.contains("lb1, lb2"), "{unknown:?}");
    let planned = pair.done(&["deploy", "web", "--dry-run", "--without-haproxy", "lb2"]).await;
    assert!(planned.out.contains("web01"), "{planned:?}");

    // Meanwhile the second instance serves clients.
    let front = SocketAddr::from(([127, 0, 0, 1], pair.lb2_port));
    let mut visitors = Vec::new();
    for _ in 0..3 {
        visitors.push(Held::open(front, "/ws", &[]).await.expect("it is opened"));
    }
    assert!(visitors.iter().any(|visitor| visitor.answer().server() == "web01"));
    pair.done(&["drain", "web01", "web02", "--reason", "r", "--without-haproxy", "lb2"]).await;
    assert_eq!((bits(&pair.lb1, "app/web01").await, pair.stage().await.as_str()), (DRAIN, "out"));
    let hold = pair.json(&["holds"]).await["holds"][0].clone();
    assert_eq!(hold["without"], serde_json::json!(["lb2"]));
    let unreached = pair.teeter(&["doctor"]).await;
    for words in ["hold 1", "HAProxy lb2 does not answer, and the hold goes on without it", "--without-haproxy lb2"] {
        assert!(unreached.code == exit::UNREACHABLE && unreached.out.contains(words), "{unreached:?}");
    }
    pair.show();
    until(|| async { bits(&pair.lb2, "app/web01").await == DRAIN }).await;
    until(|| async { pair.stage().await == "draining" }).await;
    drop(visitors);
    until(|| async { pair.stage().await == "out" }).await;
    let events = pair.teeter(&["events"]).await.out;
    assert!(events.contains("HAProxy lb2 answers again: lb2:app/web01, lb2:app/web02 taken out as well"), "{events}");
    pair.done(&["ready", "web01", "web02"]).await;
    assert_eq!((bits(&pair.lb2, "app/web01").await, bits(&pair.lb2, "app/web02").await), (0, MAINT));

    // Holds in one instance only, with the names that the tables show.
    pair.done(&["drain", "lb1:app/web03", "lb2:web04", "--reason", "r"]).await;
    let servers = pair.json(&["holds"]).await["holds"][0]["members"].clone();
    assert_eq!(servers, serde_json::json!(["lb1:app/web03", "lb2:app/web04"]));
    for (haproxy, wanted) in [(&pair.lb1, [DRAIN, 0]), (&pair.lb2, [0, DRAIN])] {
        assert_eq!([bits(haproxy, "app/web03").await, bits(haproxy, "app/web04").await], wanted);
    }
    let note = pair.json(&["holds"]).await["holds"][0]["note"].as_str().unwrap_or_default().to_owned();
    assert!(note.contains("lb2:app/web03 takes requests and is not held: it has the same address"), "{note}");
    pair.done(&["ready", "lb[12]:*"]).await;
    assert_eq!((bits(&pair.lb1, "app/web03").await, bits(&pair.lb2, "app/web04").await), (0, 0));
    let backend = pair.teeter(&["status", "lb2:app"]).await;
    assert!(backend.code == exit::NOT_FOUND && backend.err.contains("lb2:app/*"), "{backend:?}");

    // A release needs every HAProxy, too.
    pair.done(&["drain", "web01", "--reason", "r"]).await;
    pair.lb2.kill();
    until(|| async { pair.teeter(&["idle", "web"]).await.code == exit::UNREACHABLE }).await;
    let refused = pair.teeter(&["ready", "web01"]).await;
    assert!(refused.code == exit::UNREACHABLE && refused.err.contains("--without-haproxy lb2"), "{refused:?}");
    assert_eq!(pair.stage().await, "out");
    pair.done(&["ready", "web01", "--without-haproxy", "lb2"]).await;
    // lb1 alone shows that a farm without a route has no idle group.
    assert_eq!(pair.teeter(&["idle", "web", "--without-haproxy", "lb2"]).await.code, exit::REFUSED);
}

#[tokio::test]
async fn optional_haproxy_gets_routes_and_holds_on_return() {
    let sides = "  use_backend %[str(shop),map({map})] if { path_beg /shop }\n\
                 backend blue\n  server blue01 {web01} check inter 100ms\n\
                 backend green\n  server green01 {web02} check inter 100ms\n";
    let farm = "[farm.shop]\nmembers = [\"blue/*\", \"green/*\"]\n\
                groups = { blue = [\"blue*\"], green = [\"green*\"] }\n[farm.shop.flip]\nwrite_map = false\n\
                route = { map = \"{map}\", key = \"shop\", blue = \"blue\", green = \"green\" }\n";
    let mut pair = Pair::start(sides, "may_be_away = true\n", farm).await;
    assert!(pair.done(&["doctor"]).await.out.contains("away, as may_be_away allows"));
    assert!(pair.done(&["status"]).await.out.contains("is away, as may_be_away allows"));
    let flipped = pair.done(&["flip", "shop", "green"]).await;
    assert!(pair.done(&["show"]).await.out.contains("without HAProxy lb2"), "{flipped:?}");
    assert_eq!((pair.side(&pair.lb1).await.as_str(), pair.side(&pair.lb2).await.as_str()), ("green", "blue"));
    assert_eq!(pair.teeter(&["wait", "--haproxy", "lb2", "--timeout", "100ms"]).await.code, exit::TIMED_OUT);
    pair.show();
    pair.done(&["wait", "--haproxy", "lb2"]).await;
    assert_eq!((pair.side(&pair.lb2).await.as_str(), bits(&pair.lb2, "blue/blue01").await), ("green", DRAIN));

    // lb2 is away again during a flip back and a restart of teeterd.
    pair.lb2.kill();
    pair.done(&["flip", "shop", "blue"]).await;
    pair.daemon.kill().await;
    pair.daemon.restart().await;
    pair.lb2.start_again().await.expect("HAProxy starts");
    pair.done(&["wait", "--haproxy", "lb2"]).await;
    assert_eq!((pair.side(&pair.lb2).await.as_str(), bits(&pair.lb2, "green/green01").await), ("blue", DRAIN));
    assert_eq!(bits(&pair.lb2, "blue/blue01").await, 0);
}

#[tokio::test]
async fn hold_by_name_covers_later_lines_but_never_the_last() {
    let app = "backend app\n  server web01 {web01}\n  server web02 {web02}\n";
    let site = CustomBackends::start(app, "").await;
    site.done(&["drain", "web01", "--reason", "memory"]).await;
    site.done(&["maint", "app/web02", "--reason", "disk", "--allow-outage"]).await;
    site.tell("set server app/web01 weight 7").await;
    let later = "backend api\n  server web01 {web01} weight 5\n  server web02 {web02}\n\
                 backend solo\n  server web01 {web01}\n";
    site.reload(&format!("{app}{later}")).await;
    site.wait_for_bits("api/web01", DRAIN).await;
    assert_eq!(site.held_by("api/web01").await, format!("{} (memory)", owner(&site).await));
    assert_eq!((site.bits("api/web02").await, site.bits("solo/web01").await), (0, 0));
    assert!(site.recorded("edge:api/web01 came later: taken out as well").await);
    // teeter names the lines that are not held: the last usable one of its backend, and another line of a server of
    // which only one line was taken out.
    let holds = site.done(&["holds"]).await;
    for words in [
        "edge:solo/web01 came later and is not held, because HAProxy edge would have no other usable server",
        "hold 2: edge:api/web02 takes requests and is not held: it has the same address",
    ] {
        assert!(holds.contains(words), "{holds}");
        assert!(site.done(&["doctor"]).await.contains(words.trim_start_matches("hold 2: ")), "{words}");
    }
    // With another usable server in the backend, the line is taken out.
    site.reload(&format!("{app}{later}  server web03 {{web03}}\n")).await;
    site.wait_for_bits("solo/web01", DRAIN).await;
    // A line that was released by name stays released.
    site.done(&["ready", "solo/web01"]).await;
    let more = "  server web03 {web03}\nbackend more\n  server web01 {web01}\n  server web03 {web03}\n";
    site.reload(&format!("{app}{later}{more}")).await;
    site.wait_for_bits("more/web01", DRAIN).await;
    assert_eq!(site.bits("solo/web01").await, 0);
    site.done(&["ready", "web01"]).await;
    for server in ["app/web01", "api/web01", "more/web01"] {
        site.wait_for_bits(server, 0).await;
    }
    assert_eq!(site.bits("app/web02").await, MAINT);
}

/// The owner of the first hold.
async fn owner(site: &CustomBackends) -> String {
    site.json(&["holds"]).await["holds"][0]["owner"].as_str().unwrap_or_default().to_owned()
}
