//! Plans for farms with unusual servers: the deploy is refused before any change, or skips those servers.

use crate::fixtures::custom_backends::{CustomBackends, since};
use crate::fixtures::exit;
use crate::fixtures::site::{finish, until};

const HALVES: &str = "[farm.web]\nmembers = [\"app/*\"]\n\
                      groups = { a = [\"web01\", \"web02\"], b = [\"web03\", \"web04\"] }\n\
                      drain = { grace = \"0s\", deadline = \"10s\" }\n";

fn backend(more: &str) -> String {
    let servers = "server web01 {web01}\n  server web02 {web02}\n  server web03 {web03}\n  server web04 {web04}\n";
    format!("backend app\n  {more}default-server check inter 100ms\n  {servers}")
}

const CANARY: [&str; 10] =
    ["deploy", "web", "--to", "v2", "--strategy", "canary", "--steps", "5%,50%", "--pause", "1s"];

#[tokio::test]
async fn share_impossible_by_weights_is_refused_before_any_change() {
    let site = CustomBackends::start(&backend("balance source\n  "), HALVES).await;
    let words = if since((2, 6), "the reply that shows whether a hash takes weights") {
        "`balance source` takes no other weights"
    } else {
        "does not say whether `balance source`"
    };
    for more in [&["--dry-run"][..], &["--", "false"]] {
        let refused = site.teeter(&[&CANARY[..], more].concat()).await;
        assert_eq!(refused.code, exit::REFUSED, "{refused:?}");
        assert!(refused.err.contains(words) && refused.err.contains("hash-type consistent"), "{refused:?}");
    }
    assert!(site.json(&["runs"]).await["runs"].as_array().is_some_and(Vec::is_empty));
    if words.starts_with('`') {
        site.reload(&backend("balance source\n  hash-type consistent\n  ")).await;
        let planned = site.done(&[&CANARY[..], &["--dry-run"]].concat()).await;
        assert!(planned.contains("share 5% a"), "{planned}");
    }
}

#[tokio::test]
async fn held_server_is_skipped_by_every_strategy_and_reported_when_released() {
    let site = CustomBackends::start(&backend(""), HALVES).await;
    for server in ["web01", "web02", "web03", "web04"] {
        site.haproxy.wait_for_check(&format!("app/{server}")).await.unwrap();
    }
    site.done(&["maint", "web02", "--reason", "new disk on Friday"]).await;
    for strategy in ["see-saw", "canary", "rolling"] {
        let plan = ["deploy", "web", "--strategy", strategy, "--dry-run"];
        let planned = site.teeter(&plan).await;
        assert_eq!(planned.code, 0, "{strategy}: {planned:?}");
        assert!(planned.out.contains("skipped: web02 (held by"), "{strategy}: {planned:?}");
        assert!(planned.out.contains("new disk on Friday"), "{strategy}: {planned:?}");
        assert!(!planned.out.contains("work a: web01 web02"), "{strategy}: {planned:?}");
    }
    let refused = site.teeter(&["deploy", "web", "--without", "db01", "--dry-run"]).await;
    assert_eq!(refused.code, exit::NOT_FOUND, "{refused:?}");
    let refused = site.teeter(&["deploy", "web", "--without", "web0[34]", "--dry-run"]).await;
    assert_eq!(refused.code, exit::REFUSED, "{refused:?}");
    assert!(refused.err.contains("web03 is skipped (skipped by --without)"), "{refused:?}");
    // A skipped server is released during the run, with its old version.
    let go = site.dir().join("go");
    let waits = format!("while [ ! -e {} ]; do sleep 0.05; done", go.display());
    let deploy = site.daemon.spawn(&["deploy", "web", "--without", "web03", "--", "sh", "-c", &waits]);
    until(|| async { site.json(&["show", "1"]).await["work"]["group"] == "a" }).await;
    assert_eq!(site.json(&["show", "1"]).await["work"]["servers"], serde_json::json!(["web01"]));
    site.done(&["ready", "web02"]).await;
    std::fs::write(&go, "").unwrap();
    let ended = finish(deploy).await;
    assert_eq!(ended.code, 0, "{ended:?}");
    for server in ["web02", "web03"] {
        assert!(ended.err.contains(&format!("{server} was skipped and takes traffic")), "{ended:?}");
    }
    let run = site.json(&["show", "1"]).await;
    assert_eq!(run["remarks"].as_array().map(Vec::len), Some(2), "{run}");
    assert!(site.recorded("web02 was skipped and takes traffic").await);
}

const LEADER: &str = "defaults\n  mode http\n  timeout connect 1s\n  timeout client 9s\n  timeout server 9s\n\
    backend primary\n  option httpchk GET /_status\n  http-check expect status 200\n  \
    default-server inter 500ms fall 1 rise 1\n  \
    server web01 {web01} check\n  server web02 {web02} check\n  server web03 {web03} check\n\
    backend replicas\n  option httpchk GET /_status\n  http-check expect ! status 200\n  \
    default-server inter 500ms fall 1 rise 1\n  \
    server web01 {web01} check\n  server web02 {web02} check\n  server web03 {web03} check\n";

const CLUSTER: &str = "[farm.pg]\nmembers = [\"primary/*\", \"replicas/*\"]\n\
    rolling = { status = false, settle = \"0s\" }\n\
    drain = { grace = \"0s\", deadline = \"10s\" }\n";

fn switch_over(site: &CustomBackends, leader: &str) {
    for name in ["web01", "web02", "web03"] {
        site.app(name).set_healthy(name == leader);
    }
}

/// Makes one server the leader, and waits until HAProxy's checks have seen it.
async fn make_leader(site: &CustomBackends, leader: &str) {
    switch_over(site, leader);
    for name in ["web01", "web02", "web03"] {
        let (up, down) = if name == leader { ("primary", "replicas") } else { ("replicas", "primary") };
        site.haproxy.wait_for_status(&format!("{down}/{name}"), "DOWN").await.expect("HAProxy sees the leader");
        site.haproxy.wait_for_status(&format!("{up}/{name}"), "UP").await.expect("HAProxy sees the leader");
    }
}

#[tokio::test]
async fn standby_lines_return_to_down_and_get_no_traffic() {
    let site = CustomBackends::start(LEADER, CLUSTER).await;
    make_leader(&site, "web01").await;
    for verify in [true, false] {
        site.done(&["maint", "web02", "--reason", "r"]).await;
        let more: &[&str] = if verify { &[] } else { &["--no-verify"] };
        site.done(&[&["ready", "web02"], more].concat()).await;
        let status = site.status("primary/web02").await;
        assert_eq!((status["status"].as_str(), status["admin"].as_str()), (Some("DOWN"), Some("ready")), "{status}");
        site.haproxy.wait_for_status("replicas/web02", "UP").await.expect("it is back");
    }
    assert!(site.recorded("edge:primary/web02: DOWN, as it was before it was taken out").await);
    let refused = site.teeter(&["drain", "web01", "--reason", "the leader"]).await;
    assert_eq!(refused.code, exit::REFUSED, "{refused:?}");
    assert!(refused.err.contains("primary"), "{refused:?}");
}

#[tokio::test]
async fn cluster_leader_is_rolled_after_a_switch_over() {
    let site = CustomBackends::start(LEADER, CLUSTER).await;
    make_leader(&site, "web01").await;
    let roll = ["deploy", "pg", "--strategy", "rolling"];
    let planned = site.done(&[&roll[..], &["--dry-run"]].concat()).await;
    assert!(planned.contains("work batch-3: web01"), "the leader is last: {planned}");
    assert!(planned.contains("batch-3 waits for a switch-over: backend edge:primary"), "{planned}");
    let deploy = site.daemon.spawn(&[&roll[..], &["--", "true"]].concat());
    until(|| async {
        let run = site.json(&["show", "1"]).await;
        run["waiting"].as_str().is_some_and(|waiting| waiting.contains("the last server of backend edge:primary"))
    })
    .await;
    assert_eq!((site.bits("primary/web01").await, site.bits("replicas/web01").await), (0, 0));
    switch_over(&site, "web02");
    let ended = finish(deploy).await;
    assert_eq!(ended.code, 0, "{ended:?}\n{}", site.daemon.log());
    assert_eq!(site.holds().await, 0);
}

/// A backend in which only the leader passes the check, like a check of the role of a Redis server.
const MASTER: &str = "backend master\n  option httpchk GET /_status\n  \
    default-server check inter 300ms fall 1 rise 1\n  \
    server web01 {web01}\n  server web02 {web02}\n  server web03 {web03}\n";

#[tokio::test]
async fn followers_with_all_lines_down_are_rolled_and_return_to_down() {
    let farm = "[farm.redis]\nmembers = [\"master/*\"]\nleader = true\nrolling = { status = false, settle = \"0s\" }\n\
        drain = { grace = \"0s\", deadline = \"10s\" }\nverify.deadline = \"30s\"\n";
    let site = CustomBackends::start(MASTER, farm).await;
    switch_over(&site, "web01");
    let follows = async |name: &str| {
        site.haproxy.wait_for_status(&format!("master/{name}"), "DOWN").await.expect("HAProxy sees the leader");
    };
    follows("web02").await;
    follows("web03").await;
    // The deadline of the release is shorter than the time in which a server must come up.
    site.done(&["maint", "web02", "--reason", "r"]).await;
    site.done(&["ready", "web02", "--deadline", "2s"]).await;
    follows("web02").await;
    let roll = ["deploy", "redis", "--strategy", "rolling"];
    let planned = site.done(&[&roll[..], &["--dry-run"]].concat()).await;
    assert!(planned.contains("work batch-1: web02") && planned.contains("work batch-3: web01"), "{planned}");
    assert!(planned.contains("batch-3 waits for a switch-over"), "{planned}");
    let deploy = site.daemon.spawn(&[&roll[..], &["--", "sh", "-c", "echo on $TEETER_SERVERS"]].concat());
    until(|| async {
        let run = site.json(&["show", "1"]).await;
        run["waiting"].as_str().is_some_and(|waiting| waiting.contains("the last server of backend edge:master"))
    })
    .await;
    assert_eq!(site.bits("master/web01").await, 0);
    switch_over(&site, "web02");
    let ended = finish(deploy).await;
    assert_eq!(ended.code, 0, "{ended:?}\n{}", site.daemon.log());
    for name in ["web01", "web02", "web03"] {
        assert!(format!("{}{}", ended.out, ended.err).contains(&format!("on {name}")), "{ended:?}");
    }
    assert_eq!(site.holds().await, 0);
    follows("web01").await;
}

#[tokio::test]
async fn slow_checks_are_awaited_and_outside_states_are_taken_over() {
    let backends = "backend slow\n  option httpchk GET /_status\n  default-server inter 1s fall 1 rise 3\n  \
                    server web01 {web01} check\n  server web02 {web02} check\n";
    let site =
        CustomBackends::start(backends, "[farm.slow]\nmembers = [\"slow/*\"]\nverify.deadline = \"1500ms\"\n").await;
    site.haproxy.wait_for_check("slow/web01").await.unwrap();
    site.done(&["maint", "slow/web01", "--reason", "r"]).await;
    let ready = site.teeter(&["ready", "slow/web01"]).await;
    assert_eq!(ready.code, 0, "{ready:?}");
    assert!(ready.err.contains("of 3 checks passed"), "{ready:?}");
    // The maintenance of another program.
    site.tell("set server slow/web02 state maint").await;
    let refused = site.teeter(&["ready", "slow/web02"]).await;
    assert_eq!(refused.code, exit::NOT_FOUND, "{refused:?}");
    assert!(refused.err.contains("`teeter ready slow/web02 --take-over`"), "{refused:?}");
    site.done(&["drain", "slow/web02", "--reason", "r", "--allow-outage"]).await;
    let stays = site.teeter(&["ready", "slow/web02"]).await;
    assert!(stays.out.contains("stays out: maint, set outside teeter"), "{stays:?}");
    assert!(stays.err.contains("--take-over"), "{stays:?}");
    site.done(&["ready", "slow/web02", "--take-over"]).await;
    assert_eq!((site.bits("slow/web02").await, site.holds().await), (0, 0));
    assert!(site.recorded("taken over, as it was set outside teeter").await);
}

#[tokio::test]
async fn next_run_takes_over_servers_left_out_and_begins_with_them() {
    let farm = format!(
        "{HALVES}rolling = {{ settle = \"0s\" }}\n\
         verify.http = {{ path = \"/_status\", version = {{ header = \"x-version\" }} }}\n"
    );
    let site = CustomBackends::start(&backend(""), &farm).await;
    for server in ["web01", "web02", "web03", "web04"] {
        site.haproxy.wait_for_check(&format!("app/{server}")).await.unwrap();
    }
    let fails = "[ \"$TEETER_SERVERS\" != web03 ]";
    let roll = ["deploy", "web", "--strategy", "rolling"];
    site.done(&[&roll[..], &["--max-failed", "1", "--", "sh", "-c", fails]].concat()).await;
    assert_eq!(site.holds().await, 1);
    for (strategy, begins) in [
        ("see-saw", ["out b", "drain b", "work b: web03 web04"]),
        ("canary", ["out b", "drain b", "work b: web03 web04"]),
        ("rolling", ["out batch-1", "drain batch-1", "work batch-1: web03"]),
    ] {
        let planned = site.done(&["deploy", "web", "--strategy", strategy, "--dry-run"]).await;
        assert!(planned.contains("takes over what run 1 has left out, and begins with it: web03"), "{planned}");
        let steps: Vec<&str> = planned.lines().filter_map(|line| Some(line.split_once(" of 4  ")?.1)).collect();
        assert_eq!(steps[..4], [&["before"][..], &begins].concat(), "{strategy}: {planned}");
    }
    let log = site.dir().join("order");
    let logs = format!("echo $TEETER_SERVERS >> {}", log.display());
    site.done(&[&roll[..], &["--", "sh", "-c", &logs]].concat()).await;
    assert_eq!(std::fs::read_to_string(&log).unwrap(), "web03\nweb01\nweb02\nweb04\n");
    assert_eq!((site.holds().await, site.bits("app/web03").await), (0, 0));
    // A server with another version than those in service comes back only with `--force`.
    site.done(&["maint", "app/web01", "--reason", "r"]).await;
    site.app("web01").replace("v0").await.unwrap();
    let refused = site.teeter(&["ready", "app/web01"]).await;
    assert_eq!(refused.code, exit::REFUSED, "{refused:?}");
    assert!(refused.err.contains("web01 runs v0, and the servers in service run v1"), "{refused:?}");
    assert!(refused.err.contains("--force"), "{refused:?}");
    site.done(&["ready", "app/web01", "--force"]).await;
    assert_eq!((site.holds().await, site.bits("app/web01").await), (0, 0));
}
