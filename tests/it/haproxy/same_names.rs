//! Ambiguous names: a frontend and a backend with one name, names that are numbers, names that are words of HAProxy.

use std::fmt::Write as _;

use teeter::haproxy::Series;
use teeter_lab::{App, Haproxy, Held};

use crate::fixtures::custom_config::CustomConfig;
use crate::fixtures::site::{finish, until};

/// Names of backends that `show stat` would read as something else. Each has a frontend of the same name before it.
const NAMES: [&str; 9] = ["app", "up", "-1", "3", "4x", "typed", "domain", "all", "none"];

const FARM: &str = "[farm.web]\nmembers = [\"app/*\"]\ngroups = { a = [\"w1\"], b = [\"BACKEND\"] }\n\
                    [farm.web.drain]\ngrace = \"2s\"\n";

#[tokio::test]
async fn backend_is_not_mistaken_for_a_frontend_or_a_number() {
    let app = |name| async move { App::start(name, "v1").await.expect("it starts") };
    let apps = [app("w1").await, app("BACKEND").await];
    // Since 3.3 a frontend may not have the name of a backend.
    let version: Series = Haproxy::version().expect("there is a HAProxy").parse().expect("it has a series");
    let more = if (version.major, version.minor) < (3, 3) { "" } else { "-in" };
    let site = CustomConfig::start(
        |dir, front| {
            let mut proxies = String::new();
            for name in NAMES {
                let unix = || format!("unix@{}/{name}.sock", dir.display());
                let bind = if name == "app" { front.to_string() } else { unix() };
                let _ =
                    write!(proxies, "frontend {name}{more}\n  bind {bind}\n  default_backend {name}\nbackend {name}\n");
                if name != "none" {
                    let _ = writeln!(proxies, "  cookie SRV insert indirect nocache");
                    for app in &apps {
                        let _ = writeln!(proxies, "  server {} {} cookie {}", app.name(), app.addr(), app.name());
                    }
                }
            }
            proxies
        },
        FARM,
    )
    .await;
    // teeter finds a server in each of these backends.
    for name in NAMES.iter().filter(|name| **name != "none") {
        let shown = site.json(&["status", "--", &format!("{name}/w1")]).await;
        assert_eq!(shown["servers"][0]["status"], "no check", "{name}: {shown}");
    }
    let mut held = loop {
        let held = Held::open(site.front, "/ws", &[]).await.expect("it opens");
        if held.answer().server() == "BACKEND" {
            break held;
        }
    };
    // A server called BACKEND is not taken for the totals of its backend: its sessions are counted.
    let drain = site.daemon.spawn(&["drain", "app/BACKEND", "--reason", "r", "--deadline", "60s"]);
    until(|| async {
        let shown = site.json(&["status", "app/BACKEND"]).await;
        shown["servers"][0]["in_flight"] == 1 && shown["servers"][0]["status"] == "DRAIN"
    })
    .await;
    // The same after a reload, in the old worker.
    site.haproxy.reload().await.expect("HAProxy reloads");
    until(|| async {
        let shown = site.json(&["status", "app/BACKEND"]).await;
        shown["servers"][0]["in_flight"] == 1 && shown["servers"][0]["old"].as_array().is_some_and(|old| old.len() == 1)
    })
    .await;
    held.echo(b"still").await.expect("it is alive");
    drop(held);
    let ended = finish(drain).await;
    assert_eq!(ended.code, 0, "{ended:?}\n{}", site.daemon.log());
    assert_eq!(site.daemon.teeter(&["ready", "app/BACKEND"]).await.code, 0);
    // Clients with a cookie get the grace.
    let begun = site.daemon.spawn(&["begin", "web"]);
    until(|| async { site.json(&["holds"]).await.to_string().contains("sticky clients") }).await;
    let ended = finish(begun).await;
    assert_eq!(ended.code, 0, "{ended:?}\n{}", site.daemon.log());
}
