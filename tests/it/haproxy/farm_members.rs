//! The members of a farm: spare slots, disabled backends, several names of one process, servers on unix sockets.

use crate::fixtures::custom_backends::CustomBackends;
use crate::fixtures::exit;
use crate::fixtures::site::{DRAIN, MAINT};

/// Five slots, of which s1 and s4 are enabled; a disabled backend, and one that the test shuts down.
const SLOTS: &str = "backend app\n  option httpchk GET /_status\n  default-server check inter 100ms\n  \
    server s1 {web01}\n  server s2 {web02} disabled\n  server s3 127.0.0.1:9 disabled\n  server s4 {web03} \n  \
    server s5 127.0.0.1:9 disabled\n\
    backend legacy\n  disabled\n  server s1 {web01}\n  server s2 {web02}\n\
    listen side\n  bind 127.0.0.1:{port}\n  server s1 {web01}\n  server s4 {web03}\n";

#[tokio::test]
async fn unused_lines_are_neither_counted_nor_worked_on() {
    let farm = "[farm.web]\nmembers = [\"*/s*\"]\nhalves = \"auto\"\nmin_available = \"33%\"\n\
        [farm.web.drain]\ngrace = \"0s\"\n[farm.web.rolling]\nstatus = false\nsettle = \"0s\"\n";
    let site = CustomBackends::start(SLOTS, farm).await;
    // Like a controller that assigns a server to a slot.
    site.tell("set server app/s2 state ready").await;
    for server in ["app/s1", "app/s2", "app/s4"] {
        site.haproxy.wait_for_status(server, "UP").await.unwrap();
    }
    let planned = site.json(&["deploy", "web", "--to", "v2", "--dry-run"]).await;
    let worked: Vec<_> = planned["steps"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|step| step["text"].as_str().unwrap().starts_with("work"))
        .collect();
    assert_eq!(
        (&worked[0]["servers"], &worked[1]["servers"]),
        (&serde_json::json!(["s1"]), &serde_json::json!(["s2", "s4"]))
    );
    assert_eq!(
        planned["skipped"],
        serde_json::json!({"s3": "disabled in haproxy.cfg", "s5": "disabled in haproxy.cfg"})
    );
    let shown = site.done(&["deploy", "web", "--strategy", "rolling", "--batch", "66%", "--dry-run"]).await;
    assert!(shown.contains("skipped: s3, s5 (disabled in haproxy.cfg)"), "{shown}");
    let skipped = "backend legacy of HAProxy edge is disabled and gets no traffic: its lines are skipped (s1, s2)";
    for text in [&shown, &site.done(&["doctor"]).await, &site.done(&["status"]).await] {
        assert_eq!(text.matches(skipped).count(), 1, "{text}");
    }
    let doctor = site.done(&["doctor"]).await;
    assert!(doctor.contains("3 of 5 members in use"), "{doctor}");
    // Held in maintenance, the slot has the bits of a spare slot, but is still in use.
    site.done(&["maint", "app/s2", "--reason", "r"]).await;
    assert_eq!(site.bits("app/s2").await, 4 | MAINT);
    let doctor = site.done(&["doctor"]).await;
    assert!(doctor.contains("3 of 5 members in use"), "{doctor}");
    let group = site.json(&["status", "farm:web/b"]).await;
    assert_eq!(group["servers"].as_array().map(Vec::len), Some(3), "{group}");
    site.done(&["ready", "app/s2"]).await;
    // The lines of the disabled backend block neither a drain by name or glob nor a deploy.
    for selector in ["s1", "*/s1"] {
        site.done(&["drain", selector, "--reason", "r"]).await;
        assert_eq!(site.bits("app/s1").await, DRAIN);
        site.done(&["ready", selector]).await;
    }
    let only = site.teeter(&["drain", "legacy/*", "--reason", "r"]).await;
    assert!(only.code == exit::NOT_FOUND && only.err.contains("is disabled and gets no traffic"), "{only:?}");
    let deployed = site.teeter(&["deploy", "web", "--", "true"]).await;
    assert_eq!(deployed.code, 0, "{deployed:?}\n{}", site.daemon.log());
    assert!(site.recorded("s3, s5 are skipped: disabled in haproxy.cfg").await && site.recorded(skipped).await);
    // A proxy that was shut down refuses every command: the other lines are taken out and brought back without it.
    site.tell("shutdown frontend side").await;
    site.done(&["drain", "s4", "--reason", "r"]).await;
    assert_eq!((site.bits("app/s4").await, site.bits("side/s4").await), (DRAIN, 0));
    let status = site.done(&["status"]).await;
    assert!(status.contains("backend side of HAProxy edge is"), "{status}");
    site.done(&["ready", "s4"]).await;
    let deployed = site.teeter(&["deploy", "web", "--strategy", "rolling", "--", "true"]).await;
    assert_eq!(deployed.code, 0, "{deployed:?}\n{}", site.daemon.log());
    for (server, bits) in [("app/s1", 0), ("app/s2", 4), ("app/s3", 5), ("app/s4", 0), ("side/s4", 0), ("legacy/s1", 0)]
    {
        assert_eq!(site.bits(server).await, bits, "{server}");
    }
}

/// Two processes, each with two names: one in `app` and one in `ws`.
const NAMES: &str = "backend app\n  option httpchk GET /_status\n  default-server check inter 100ms\n  \
    server web1 {web01}\n  server web2 {web02}\nbackend ws\n  option httpchk GET /_status\n  \
    default-server check inter 100ms\n  server web1-ws {web01}\n  server web2-ws {web02}\n";

#[tokio::test]
async fn two_names_of_one_process_are_one_member_or_refused() {
    let farm = "[farm.half]\nmembers = [\"app/*\"]\nhalves = \"auto\"\n[farm.twice]\nmembers = [\"app/*\", \"ws/*\"]\n\
        [farm.web]\nhalves = \"auto\"\n\
        members = { one = [\"app/web1\", \"ws/web1-ws\"], two = [\"app/web2\", \"ws/web2-*\"] }\n\
        verify.http = { path = \"/_status\" }\n[farm.web.drain]\ngrace = \"0s\"\n";
    let site = CustomBackends::start(NAMES, farm).await;
    for server in ["app/web1", "app/web2", "ws/web1-ws", "ws/web2-ws"] {
        site.haproxy.wait_for_status(server, "UP").await.unwrap();
    }
    let write = "members = { \"web1\" = [\"app/web1\", \"ws/web1-ws\"], \"web2\" = [\"app/web2\", \"ws/web2-ws\"] }";
    for (farm, found) in
        [("half", "ws/web1-ws leads to the same address"), ("twice", "web1 and web1-ws have one address")]
    {
        for dry in [&["--dry-run"][..], &["--", "true"][..]] {
            let strategy = if farm == "half" { "see-saw" } else { "rolling" };
            let refused = site.teeter(&[&["deploy", farm, "--strategy", strategy], dry].concat()).await;
            assert_eq!(refused.code, exit::REFUSED, "{refused:?}");
            assert!(refused.err.contains(found) && refused.err.contains(write), "{refused:?}");
        }
        for text in [site.teeter(&["doctor"]).await.out, site.done(&["status"]).await] {
            assert!(text.contains(found) && text.contains(write), "{text}");
        }
    }
    // An operator may drain one of the lines, and gets a note about the other.
    site.done(&["drain", "app/web1", "--reason", "r"]).await;
    let holds = site.done(&["holds"]).await;
    assert!(holds.contains("teeter drain ws/web1-ws"), "{holds}");
    site.done(&["ready", "app/web1"]).await;
    // As a member with two lines, the server has one name for drains and deploys.
    site.done(&["drain", "one", "--reason", "r"]).await;
    assert_eq!((site.bits("app/web1").await, site.bits("ws/web1-ws").await), (DRAIN, DRAIN));
    let held = site.json(&["holds"]).await;
    assert_eq!(held["holds"][0]["members"], serde_json::json!(["one"]), "{held}");
    site.done(&["ready", "one"]).await;
    let shown = site.done(&["deploy", "web", "--dry-run"]).await;
    assert!(shown.contains("work a: one") && shown.contains("work b: two"), "{shown}");
    let deployed = site.teeter(&["deploy", "web", "--", "sh", "-c", "echo $TEETER_SERVERS"]).await;
    assert_eq!(deployed.code, 0, "{deployed:?}\n{}", site.daemon.log());
    let run = site.done(&["begin", "web"]).await;
    let bits = [site.bits("app/web1").await, site.bits("ws/web1-ws").await, site.bits("app/web2").await];
    assert!(bits[0] == bits[1] && bits[0] != 0 && bits[2] == 0, "{bits:?} {run}");
    site.done(&["abort", "2"]).await;
    assert_eq!(site.holds().await, 0);
}

#[tokio::test]
async fn servers_on_unix_sockets_are_verified_by_their_checks() {
    let dir = tempfile::tempdir().expect("a directory is made");
    let path = |name: &str| dir.path().join(name);
    for name in ["u1.sock", "u2.sock"] {
        // The check only connects.
        let listener = tokio::net::UnixListener::bind(path(name)).expect("a socket is made");
        tokio::spawn(async move { while listener.accept().await.is_ok() {} });
    }
    let backends = format!(
        "backend app\n  default-server check inter 100ms\n  server u1 unix@{}\n  server u2 unix@{}\n",
        path("u1.sock").display(),
        path("u2.sock").display()
    );
    let farm = "[farm.web]\nmembers = [\"app/u*\"]\nhalves = \"auto\"\n[farm.web.drain]\ngrace = \"0s\"\n\
        [farm.asked]\nmembers = [\"app/u*\"]\nhalves = \"auto\"\n[farm.asked.verify]\n\
        http = { path = \"/_status\", version = { header = \"X-Version\" } }\n";
    let site = CustomBackends::start(&backends, farm).await;
    for server in ["app/u1", "app/u2"] {
        site.haproxy.wait_for_status(server, "UP").await.unwrap();
    }
    for strategy in [&["--strategy", "see-saw"][..], &["--strategy", "rolling", "--settle", "0s"]] {
        let hook = ["--", "sh", "-c", "echo $TEETER_SERVERS at $TEETER_ADDRESSES"];
        let deployed = site.teeter(&[&["deploy", "web", "--to", "v2"], strategy, &hook].concat()).await;
        assert_eq!(deployed.code, 0, "{deployed:?}\n{}", site.daemon.log());
        assert!(format!("{}{}", deployed.out, deployed.err).contains("u1 at -"), "{deployed:?}");
    }
    let refused = site.teeter(&["deploy", "asked", "--to", "v2", "--", "true"]).await;
    assert!(refused.code == exit::REFUSED && refused.err.contains("verify.http.version"), "{refused:?}");
    assert_eq!(site.status("app/u1").await["address"], "-");
    assert_eq!((site.bits("app/u1").await, site.holds().await), (0, 0));
}
