//! Many servers: two thousand lines in a hundred backends, half of them one farm.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::net::SocketAddr;

use teeter_lab::{App, Haproxy, Held, Load, LoadSpec, free_port, tables};
use tempfile::TempDir;

use crate::fixtures::site::{DRAIN, Daemon, finish, instance, until};
use crate::fixtures::socket_relay::Relay;

/// The number of backends; the first half belongs to the farm.
const BACKENDS: usize = 100;
/// The number of servers in each backend.
const EACH: usize = 20;

/// The backend of websockets, outside the farm, and a server of it.
const BACKEND: &str = "o99";
const ALONE: &str = "o99/s19901";

struct ManyServers {
    daemon: Daemon,
    relay: Relay,
    haproxy: Haproxy,
    front: SocketAddr,
    /// The applications of the servers of group a, of group b, and of all others.
    apps: [App; 3],
    _dir: TempDir,
}

/// The servers share three addresses and have no checks: only their number matters.
async fn start() -> ManyServers {
    let dir = tempfile::tempdir().expect("a directory");
    let mut apps = Vec::new();
    for name in ["a", "b", "others"] {
        apps.push(App::start(name, "v1").await.expect("a server starts"));
    }
    let apps: [App; 3] = apps.try_into().expect("three");
    let front = SocketAddr::from(([127, 0, 0, 1], free_port().expect("a port")));
    let haproxy = Haproxy::start(dir.path(), &config(&dir, front, &apps)).await.expect("HAProxy starts");
    let relay = Relay::start(dir.path().join("relay.sock"), &haproxy.socket(), "in no line");
    let farm = "[farm.web]\nmembers = [\"f*/*\"]\ngroups = { a = [\"a*\"], b = [\"b*\"] }\n";
    let daemon = Daemon::start(dir.path(), &format!("{}{farm}", instance(&relay.path))).await;
    ManyServers { daemon, relay, haproxy, front, apps, _dir: dir }
}

fn config(dir: &TempDir, front: SocketAddr, apps: &[App; 3]) -> String {
    let mut config = format!(
        "global\n  maxconn 4000\n  stats socket {} mode 600 level admin\ndefaults\n  mode http\n  \
         timeout connect 2s\n  timeout client 30s\n  timeout server 30s\n  timeout tunnel 1h\nfrontend www\n  bind {front}\n  use_backend \
         {BACKEND} if {{ path /ws }}\n  use_backend f%[rand({})]\n",
        dir.path().join("admin.sock").display(),
        BACKENDS / 2
    );
    for backend in 0..BACKENDS {
        let farm = backend < BACKENDS / 2;
        let _ = writeln!(config, "backend {}{backend}\n  balance roundrobin", if farm { "f" } else { "o" });
        for server in 1..=EACH {
            // Each backend of the farm has servers of both groups, so that none is ever without servers.
            let (name, app) = match (farm, server <= EACH / 2) {
                (true, true) => ("a", &apps[0]),
                (true, false) => ("b", &apps[1]),
                (false, _) => ("s", &apps[2]),
            };
            // The 1 gives the number the same length in every backend.
            let _ = writeln!(config, "  server {name}1{:04} {}", backend * 100 + server, app.addr());
        }
    }
    config
}

impl ManyServers {
    /// The first letters of the names of the servers that are out, and their number.
    async fn out(&self) -> (BTreeSet<char>, usize) {
        let rows = tables::spaced(&self.haproxy.cmd("show servers state").await.expect("HAProxy answers"));
        let out: Vec<_> = rows.iter().filter(|row| row["srv_admin_state"] != "0").collect();
        (out.iter().filter_map(|row| row["srv_name"].chars().next()).collect(), out.len())
    }

    async fn json(&self, args: &[&str]) -> serde_json::Value {
        let ended = self.daemon.teeter(&[&["--json"], args].concat()).await;
        serde_json::from_str(&ended.out).unwrap_or_else(|error| panic!("no JSON ({error}): {ended:?}"))
    }
}

/// Whether HAProxy answers a command with all of its servers.
fn is_of_all(command: &str) -> bool {
    let words: Vec<_> = command.split(' ').collect();
    match &words[..] {
        ["show", "stat", ..] => words.get(2).is_none_or(|filter| *filter == "-1/"),
        ["show", "servers", "state" | "conn", backend @ ..] => backend.is_empty(),
        _ => false,
    }
}

#[tokio::test]
async fn drain_of_one_server_in_two_thousand_reads_no_other() {
    let site = start().await;
    let status = site.json(&["status"]).await;
    assert_eq!(status["servers"].as_array().map(Vec::len), Some(BACKENDS * EACH));
    let seen = site.relay.take_lines();
    assert!(seen.iter().any(|line| line.split(';').any(is_of_all)), "the relay sees the commands: {seen:?}");
    // Open a websocket on every server of their backend.
    let mut held = Vec::new();
    for _ in 0..EACH {
        held.push(Held::open(site.front, "/ws", &[]).await.expect("a websocket opens"));
    }
    let drain = site.daemon.spawn(&["drain", ALONE, "--reason", "r"]);
    until(|| async {
        let shown = site.json(&["status", ALONE]).await;
        shown["servers"].as_array().is_some_and(|servers| servers.len() == 1)
            && shown["servers"][0]["in_flight"] == 1
            && shown["servers"][0]["holds"][0] == 1
    })
    .await;
    until(|| async { site.out().await == (BTreeSet::from(['s']), 1) }).await;
    let mut sent = site.relay.take_lines();
    until(|| async { site.relay.lines() >= 30 }).await;
    drop(held);
    let ended = finish(drain).await;
    assert_eq!((ended.code, site.apps[2].busy()), (0, 0), "{ended:?}");
    sent.extend(site.relay.take_lines());
    let of_all: Vec<_> = sent.iter().filter(|line| line.split(';').any(is_of_all)).collect();
    assert!(of_all.is_empty(), "{of_all:?}");
    assert!(sent.iter().any(|line| line.contains(&format!("show servers conn {BACKEND}"))), "{sent:?}");
    let ready = site.daemon.teeter(&["ready", ALONE]).await;
    assert_eq!((ready.code, site.out().await.1), (0, 0), "{ready:?}");
}

#[tokio::test]
async fn thousand_servers_are_deployed_by_halves_under_load() {
    let site = start().await;
    let half = BACKENDS / 2 * EACH / 2;
    let load = Load::start(LoadSpec::new(site.front)).expect("the load starts");
    assert!(load.more(200).await);
    let begun = site.daemon.teeter(&["begin", "web"]).await;
    assert!(begun.out.contains("TEETER_GROUP=a"), "{begun:?}\n{}", site.daemon.log());
    assert_eq!(site.out().await, (BTreeSet::from(['a']), half));
    site.apps[0].replace("v2").await.expect("a new version starts");
    let flipped = site.daemon.teeter(&["advance", "1"]).await;
    assert!(flipped.out.contains("TEETER_GROUP=b"), "{flipped:?}\n{}", site.daemon.log());
    assert_eq!(site.out().await, (BTreeSet::from(['b']), half));
    site.apps[1].replace("v2").await.expect("a new version starts");
    let done = site.daemon.teeter(&["advance", "1"]).await;
    assert_eq!((done.code, site.out().await.1), (0, 0), "{done:?}\n{}", site.daemon.log());
    assert!(load.more(200).await);
    let report = load.stop().await.expect("the load ends");
    assert_eq!(report.failed().len(), 0, "{report}");
    assert_eq!(site.apps.iter().map(App::broken).sum::<u64>(), 0, "{report}");
    assert!(site.daemon.teeter(&["show", "1"]).await.out.contains("done"));
    // A hold of a thousand lines lists the names of its members.
    let hold = site.json(&["drain", "farm:web/a", "--reason", "r"]).await;
    assert_eq!(hold["members"].as_array().map(Vec::len), Some(half), "{hold}");
    assert_eq!(site.haproxy.server_admin_bits("f0/a10001").await.expect("HAProxy answers"), DRAIN);
}
