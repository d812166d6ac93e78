//! What a member is, and which lines are in use: spare slots, backends that are off, servers that have no address.

use crate::fixtures::custom_backends::Stand;
use crate::fixtures::exit;
use crate::fixtures::site::{DRAIN, MAINT};

/// Two slots in use of five, one of them since it was started with; and a backend that is switched off and one that will be.
const SLOTS: &str = "backend app\n  option httpchk GET /_status\n  default-server check inter 100ms\n  \
    server s1 {web01}\n  server s2 {web02} disabled\n  server s3 127.0.0.1:9 disabled\n  server s4 {web03} \n  \
    server s5 127.0.0.1:9 disabled\n\
    backend legacy\n  disabled\n  server s1 {web01}\n  server s2 {web02}\n\
    listen side\n  bind 127.0.0.1:{port}\n  server s1 {web01}\n  server s4 {web03}\n";

#[tokio::test]
async fn unused_lines_are_neither_counted_nor_worked_on() {
    let farm = "[farm.web]\nmembers = [\"*/s*\"]\nhalves = \"auto\"\nmin_available = \"33%\"\n\
        [farm.web.drain]\ngrace = \"0s\"\n[farm.web.rolling]\nstatus = false\nsettle = \"0s\"\n";
    let stand = Stand::start(SLOTS, farm).await;
    // As a controller does where it gives a slot a server.
    stand.tell("set server app/s2 state ready").await;
    for server in ["app/s1", "app/s2", "app/s4"] {
        stand.haproxy.wait_for_status(server, "UP").await.unwrap();
    }
    let planned = stand.json(&["deploy", "web", "--to", "v2", "--dry-run"]).await;
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
    let shown = stand.done(&["deploy", "web", "--strategy", "rolling", "--batch", "66%", "--dry-run"]).await;
    assert!(shown.contains("skipped: s3, s5 (disabled in haproxy.cfg)"), "{shown}");
    let aside = "backend legacy of HAProxy edge is disabled and gets no traffic: its lines are skipped (s1, s2)";
    for said in [&shown, &stand.done(&["doctor"]).await, &stand.done(&["status"]).await] {
        assert_eq!(said.matches(aside).count(), 1, "{said}");
    }
    let doctor = stand.done(&["doctor"]).await;
    assert!(doctor.contains("3 of 5 members in use"), "{doctor}");
    // A hold in maintenance gives the slot the bits of a spare one, and it is in use all the same.
    stand.done(&["maint", "app/s2", "--reason", "r"]).await;
    assert_eq!(stand.bits("app/s2").await, 4 | MAINT);
    let doctor = stand.done(&["doctor"]).await;
    assert!(doctor.contains("3 of 5 members in use"), "{doctor}");
    let group = stand.json(&["status", "farm:web/b"]).await;
    assert_eq!(group["servers"].as_array().map(Vec::len), Some(3), "{group}");
    stand.done(&["ready", "app/s2"]).await;
    // By name and by host, and a whole deploy: the lines of the disabled backend block nothing.
    for selector in ["s1", "*/s1"] {
        stand.done(&["drain", selector, "--reason", "r"]).await;
        assert_eq!(stand.bits("app/s1").await, DRAIN);
        stand.done(&["ready", selector]).await;
    }
    let only = stand.teeter(&["drain", "legacy/*", "--reason", "r"]).await;
    assert!(only.code == exit::NOT_FOUND && only.err.contains("is disabled and gets no traffic"), "{only:?}");
    let deployed = stand.teeter(&["deploy", "web", "--", "true"]).await;
    assert_eq!(deployed.code, 0, "{deployed:?}\n{}", stand.daemon.log());
    assert!(stand.recorded("s3, s5 are skipped: disabled in haproxy.cfg").await && stand.recorded(aside).await);
    // One that is shut down while HAProxy runs refuses orders for ever: the other lines are taken out, and come back.
    stand.tell("shutdown frontend side").await;
    stand.done(&["drain", "s4", "--reason", "r"]).await;
    assert_eq!((stand.bits("app/s4").await, stand.bits("side/s4").await), (DRAIN, 0));
    let status = stand.done(&["status"]).await;
    assert!(status.contains("backend side of HAProxy edge is"), "{status}");
    stand.done(&["ready", "s4"]).await;
    let deployed = stand.teeter(&["deploy", "web", "--strategy", "rolling", "--", "true"]).await;
    assert_eq!(deployed.code, 0, "{deployed:?}\n{}", stand.daemon.log());
    for (server, bits) in [("app/s1", 0), ("app/s2", 4), ("app/s3", 5), ("app/s4", 0), ("side/s4", 0), ("legacy/s1", 0)]
    {
        assert_eq!(stand.bits(server).await, bits, "{server}");
    }
}

/// One process behind two names, each in a backend of its own, and a third that has one line.
const NAMES: &str = "backend app\n  option httpchk GET /_status\n  default-server check inter 100ms\n  \
    server web1 {web01}\n  server web2 {web02}\nbackend ws\n  option httpchk GET /_status\n  \
    default-server check inter 100ms\n  server web1-ws {web01}\n  server web2-ws {web02}\n";

#[tokio::test]
async fn two_names_of_one_process_are_one_member_or_refused() {
    let farm = "[farm.half]\nmembers = [\"app/*\"]\nhalves = \"auto\"\n[farm.twice]\nmembers = [\"app/*\", \"ws/*\"]\n\
        [farm.web]\nhalves = \"auto\"\nmembers = { one = [\"app/web1\", \"ws/web1-ws\"], two = [\"app/web2\", \"ws/web2-*\"] }\n\
        verify.http = { path = \"/_status\" }\n[farm.web.drain]\ngrace = \"0s\"\n";
    let stand = Stand::start(NAMES, farm).await;
    for server in ["app/web1", "app/web2", "ws/web1-ws", "ws/web2-ws"] {
        stand.haproxy.wait_for_status(server, "UP").await.unwrap();
    }
    let write = "members = { \"web1\" = [\"app/web1\", \"ws/web1-ws\"], \"web2\" = [\"app/web2\", \"ws/web2-ws\"] }";
    for (farm, found) in
        [("half", "ws/web1-ws leads to the same address"), ("twice", "web1 and web1-ws have one address")]
    {
        for dry in [&["--dry-run"][..], &["--", "true"][..]] {
            let refused = stand
                .teeter(
                    &[&["deploy", farm, "--strategy", if farm == "half" { "see-saw" } else { "rolling" }], dry]
                        .concat(),
                )
                .await;
            assert!(
                refused.code == exit::REFUSED && refused.err.contains(found) && refused.err.contains(write),
                "{refused:?}"
            );
        }
        for said in [stand.teeter(&["doctor"]).await.out, stand.done(&["status"]).await] {
            assert!(said.contains(found) && said.contains(write), "{said}");
        }
    }
    // By hand it may be meant: it is said.
    stand.done(&["drain", "app/web1", "--reason", "r"]).await;
    let holds = stand.done(&["holds"]).await;
    assert!(holds.contains("teeter drain ws/web1-ws"), "{holds}");
    stand.done(&["ready", "app/web1"]).await;
    // As members with lines of two names: by their own names, and in a deploy.
    stand.done(&["drain", "one", "--reason", "r"]).await;
    assert_eq!((stand.bits("app/web1").await, stand.bits("ws/web1-ws").await), (DRAIN, DRAIN));
    let held = stand.json(&["holds"]).await;
    assert_eq!(held["holds"][0]["members"], serde_json::json!(["one"]), "{held}");
    stand.done(&["ready", "one"]).await;
    let shown = stand.done(&["deploy", "web", "--dry-run"]).await;
    assert!(shown.contains("work a: one") && shown.contains("work b: two"), "{shown}");
    let deployed = stand.teeter(&["deploy", "web", "--", "sh", "-c", "echo $TEETER_SERVERS"]).await;
    assert_eq!(deployed.code, 0, "{deployed:?}\n{}", stand.daemon.log());
    let run = stand.done(&["begin", "web"]).await;
    let bits = [stand.bits("app/web1").await, stand.bits("ws/web1-ws").await, stand.bits("app/web2").await];
    assert!(bits[0] == bits[1] && bits[0] != 0 && bits[2] == 0, "{bits:?} {run}");
    stand.done(&["abort", "2"]).await;
    assert_eq!(stand.holds().await, 0);
}

#[tokio::test]
async fn servers_on_unix_sockets_are_verified_by_their_checks() {
    let dir = tempfile::tempdir().expect("a directory is made");
    let path = |name: &str| dir.path().join(name);
    for name in ["u1.sock", "u2.sock"] {
        // A check that connects is all that is needed.
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
    let stand = Stand::start(&backends, farm).await;
    for server in ["app/u1", "app/u2"] {
        stand.haproxy.wait_for_status(server, "UP").await.unwrap();
    }
    for strategy in [&["--strategy", "see-saw"][..], &["--strategy", "rolling", "--settle", "0s"]] {
        let hook = ["--", "sh", "-c", "echo $TEETER_SERVERS at $TEETER_ADDRESSES"];
        let deployed = stand.teeter(&[&["deploy", "web", "--to", "v2"], strategy, &hook].concat()).await;
        assert_eq!(deployed.code, 0, "{deployed:?}\n{}", stand.daemon.log());
        assert!(format!("{}{}", deployed.out, deployed.err).contains("u1 at -"), "{deployed:?}");
    }
    let refused = stand.teeter(&["deploy", "asked", "--to", "v2", "--", "true"]).await;
    assert!(refused.code == exit::REFUSED && refused.err.contains("verify.http.version"), "{refused:?}");
    assert_eq!(stand.status("app/u1").await["address"], "-");
    assert_eq!((stand.bits("app/u1").await, stand.holds().await), (0, 0));
}
