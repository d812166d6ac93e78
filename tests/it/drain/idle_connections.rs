//! Idle connections that HAProxy keeps open to a server, and drains that wait for their end.

use teeter_lab::FarmSpec;

use crate::fixtures::exit;
use crate::fixtures::site::{Daemon, MAINT, Site, finish, instance, until};

/// A farm whose HAProxy keeps idle connections for an hour, with one to web01.
async fn site() -> Site {
    let keep = ("default-server check".to_owned(), "default-server pool-purge-delay 1h check".to_owned());
    let site = Site::start_with("", FarmSpec { extra: vec![keep], ..FarmSpec::default() }).await;
    until(|| async {
        teeter_lab::get(site.farm.addr(), "/").await.expect("it is answered");
        idle(&site).await > 0
    })
    .await;
    site
}

/// The number of idle connections to web01.
async fn idle(site: &Site) -> u64 {
    site.json(&["status", "app/web01"]).await["servers"][0]["idle"].as_u64().expect("a number")
}

#[tokio::test]
async fn idle_connections_are_awaited_on_request() {
    let site = site().await;
    let drained = site.teeter(&["drain", "app/web01", "--reason", "r"]).await;
    assert_eq!(drained.code, 0, "{drained:?}");
    assert!(idle(&site).await > 0);
    assert_eq!(site.teeter(&["ready", "app/web01"]).await.code, 0);

    let waits = site.daemon.spawn(&["drain", "app/web01", "--reason", "r", "--idle", "--deadline", "2s"]);
    until(|| async { site.json(&["holds"]).await["holds"][0]["wait"]["for"] == "idle" }).await;
    let holds = site.json(&["holds"]).await;
    assert!(holds["holds"][0]["waiting"].as_str().unwrap_or_default().contains("idle connections (web01 "), "{holds}");
    let not_yet = site.teeter(&["wait", "app/web01", "--until", "drained", "--timeout", "200ms"]).await;
    assert_eq!(not_yet.code, exit::TIMED_OUT, "{not_yet:?}");
    let stuck = finish(waits).await;
    assert_eq!(stuck.code, exit::TIMED_OUT, "{stuck:?}");
    assert!(stuck.err.contains("web01 is not drained: idle connections are still open"), "{stuck:?}");
    assert!(!stuck.err.contains("requests are left") && !stuck.err.contains("teeter why"), "{stuck:?}");
    let events = site.teeter(&["events"]).await;
    assert!(events.out.contains("idle connections are still open"), "{events:?}");

    // Maintenance closes them.
    let maint = site.teeter(&["maint", "app/web01", "--reason", "r", "--idle"]).await;
    assert_eq!(maint.code, 0, "{maint:?}");
    assert_eq!((idle(&site).await, site.bits().await[0]), (0, MAINT));
}

#[tokio::test]
async fn drain_can_wait_for_haproxy_to_close_idle_connections() {
    let dir = tempfile::tempdir().expect("a directory");
    let app = teeter_lab::App::start("web01", "v1").await.expect("a server starts");
    let front = std::net::SocketAddr::from(([127, 0, 0, 1], teeter_lab::free_port().expect("a port")));
    // Without checks: HAProxy would keep one connection for them.
    let config = format!(
        "global\n  stats socket {} level admin\ndefaults\n  mode http\n  timeout connect 1s\n  timeout client 9s\n  \
         timeout server 9s\nfrontend www\n  bind {front}\n  default_backend app\nbackend app\n  \
         server web01 {} pool-purge-delay 1s\n  server web02 127.0.0.1:1\n",
        dir.path().join("admin.sock").display(),
        app.addr()
    );
    let haproxy = teeter_lab::Haproxy::start(dir.path(), &config).await.expect("HAProxy starts");
    let daemon = Daemon::start(dir.path(), &instance(&haproxy.socket())).await;
    let kept = async || {
        let rows = teeter_lab::tables::spaced(&haproxy.cmd("show servers conn app").await.expect("HAProxy answers"));
        let row = rows.into_iter().find(|row| row["bkname/svname"] == "app/web01").expect("it is there");
        row["idle_cur"].parse::<u64>().expect("a number")
    };
    until(|| async { teeter_lab::get(front, "/").await.is_ok_and(|answer| answer.status == 200) && kept().await > 0 })
        .await;
    let drained = daemon.teeter(&["drain", "app/web01", "--reason", "r", "--idle"]).await;
    assert_eq!((drained.code, kept().await), (0, 0), "{drained:?}");
    assert!(drained.err.contains("idle connections"), "{drained:?}");
}
