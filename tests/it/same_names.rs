//! Names that mean two things: a frontend and a backend that share one, numbers, words of HAProxy's own.

use std::fmt::Write as _;
use std::net::SocketAddr;

use teeter_lab::{App, Browser, Haproxy, Held, free_port};
use tempfile::TempDir;

use crate::site::{Daemon, finish, instance, until};

/// Backends whose names `show stat` would take for something else, each with a frontend of its name before it.
const NAMES: [&str; 9] = ["app", "up", "-1", "3", "4x", "typed", "domain", "all", "none"];

struct Names {
    daemon: Daemon,
    haproxy: Haproxy,
    front: SocketAddr,
    _apps: [App; 2],
    _dir: TempDir,
}

async fn names() -> Names {
    let dir = tempfile::tempdir().expect("a directory");
    let apps =
        [App::start("w1", "v1").await.expect("it starts"), App::start("BACKEND", "v1").await.expect("it starts")];
    let front = SocketAddr::from(([127, 0, 0, 1], free_port().expect("a port")));
    let path = dir.path().display();
    let mut config = format!(
        "global\n  stats socket {path}/admin.sock level admin expose-fd listeners\n\
         defaults\n  mode http\n  timeout connect 2s\n  timeout client 30s\n  timeout server 30s\n  timeout tunnel 1h\n"
    );
    for name in NAMES {
        let bind = if name == "app" { front.to_string() } else { format!("unix@{path}/{name}.sock") };
        let _ = write!(config, "frontend {name}\n  bind {bind}\n  default_backend {name}\nbackend {name}\n");
        if name != "none" {
            let _ = writeln!(config, "  cookie SRV insert indirect nocache");
            for app in &apps {
                let _ = writeln!(config, "  server {} {} cookie {}", app.name(), app.addr(), app.name());
            }
        }
    }
    let haproxy = Haproxy::start_master(dir.path(), &config).await.expect("HAProxy starts");
    let edge = edge(&haproxy);
    let farm = "[farm.web]\nmembers = [\"app/*\"]\ngroups = { a = [\"w1\"], b = [\"BACKEND\"] }\n[farm.web.drain]\ngrace = \"2s\"\n";
    let daemon = Daemon::start(dir.path(), &format!("{edge}{farm}")).await;
    Names { daemon, haproxy, front, _apps: apps, _dir: dir }
}

fn edge(haproxy: &Haproxy) -> String {
    format!("{}master = {:?}\n", instance(&haproxy.socket()), haproxy.master_socket())
}

impl Names {
    async fn json(&self, args: &[&str]) -> serde_json::Value {
        let ended = self.daemon.teeter(&[&["--json"], args].concat()).await;
        serde_json::from_str(&ended.out).unwrap_or_else(|error| panic!("no JSON ({error}): {ended:?}"))
    }
}

#[tokio::test]
async fn a_backend_is_never_taken_for_a_frontend_or_a_number() {
    let it = names().await;
    // All of them are known, with their words, whether looked at together or one by one.
    for name in NAMES.iter().filter(|name| **name != "none") {
        let shown = it.json(&["status", "--", &format!("{name}/w1")]).await;
        assert_eq!(shown["servers"][0]["status"], "no check", "{name}: {shown}");
    }
    let mut visitor = Browser::new(it.front);
    let mut held = loop {
        let held = Held::open(it.front, "/ws", &[]).await.expect("it opens");
        if held.answer().server() == "BACKEND" {
            break held;
        }
    };
    visitor.get("/").await.expect("it answers");
    // A server called BACKEND is not the sum of its backend, and what it serves is seen.
    let drain = it.daemon.spawn(&["drain", "app/BACKEND", "--reason", "r", "--deadline", "60s"]);
    until(|| async {
        let shown = it.json(&["status", "app/BACKEND"]).await;
        shown["servers"][0]["in_flight"] == 1 && shown["servers"][0]["status"] == "DRAIN"
    })
    .await;
    // And after a reload, in the process that is left behind.
    it.haproxy.reload().await.expect("HAProxy reloads");
    until(|| async {
        let shown = it.json(&["status", "app/BACKEND"]).await;
        shown["servers"][0]["old"][0]["in_flight"] == 1 || shown["servers"][0]["in_flight"] == 1
    })
    .await;
    held.echo(b"still").await.expect("it is alive");
    drop(held);
    let ended = finish(drain).await;
    assert_eq!(ended.code, 0, "{ended:?}\n{}", it.daemon.log());
    assert_eq!(it.daemon.teeter(&["ready", "app/BACKEND"]).await.code, 0);
    // Clients with a cookie have their grace.
    let begun = it.daemon.spawn(&["begin", "web"]);
    until(|| async {
        let holds = it.json(&["holds"]).await.to_string();
        holds.contains("stick") || holds.contains("cookie")
    })
    .await;
    let ended = finish(begun).await;
    assert_eq!(ended.code, 0, "{ended:?}\n{}", it.daemon.log());
}
