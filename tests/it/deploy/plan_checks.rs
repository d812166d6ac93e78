//! What a plan makes of a farm that is not as it was thought to be: refused before anything is installed, or gone around.

use crate::fixtures::custom_backends::{Stand, since};
use crate::fixtures::exit;
use crate::fixtures::site::{finish, until};

const HALVES: &str = "[farm.web]\nmembers = [\"app/*\"]\ngroups = { a = [\"web01\", \"web02\"], b = [\"web03\", \"web04\"] }\n\
                      drain = { grace = \"0s\", deadline = \"10s\" }\n";

fn backend(more: &str) -> String {
    let servers = "server web01 {web01}\n  server web02 {web02}\n  server web03 {web03}\n  server web04 {web04}\n";
    format!("backend app\n  {more}default-server check inter 100ms\n  {servers}")
}

const CANARY: [&str; 10] =
    ["deploy", "web", "--to", "v2", "--strategy", "canary", "--steps", "5%,50%", "--pause", "1s"];

#[tokio::test]
async fn share_impossible_by_weights_is_refused_before_anything_moves() {
    let stand = Stand::start(&backend("balance source\n  "), HALVES).await;
    let words = if since((2, 6), "the answer by which one knows that a hash takes weights") {
        "`balance source` takes no other weights"
    } else {
        "does not say whether `balance source`"
    };
    for more in [&["--dry-run"][..], &["--", "false"]] {
        let refused = stand.teeter(&[&CANARY[..], more].concat()).await;
        assert_eq!(refused.code, exit::REFUSED, "{refused:?}");
        assert!(refused.err.contains(words) && refused.err.contains("hash-type consistent"), "{refused:?}");
    }
    assert!(stand.json(&["runs"]).await["runs"].as_array().is_some_and(Vec::is_empty));
    if words.starts_with('`') {
        stand.reload(&backend("balance source\n  hash-type consistent\n  ")).await;
        let planned = stand.done(&[&CANARY[..], &["--dry-run"]].concat()).await;
        assert!(planned.contains("share 5% a"), "{planned}");
    }
}

#[tokio::test]
async fn held_server_is_skipped_by_every_strategy_and_reported_when_released() {
    let stand = Stand::start(&backend(""), HALVES).await;
    for server in ["web01", "web02", "web03", "web04"] {
        stand.haproxy.wait_for_check(&format!("app/{server}")).await.unwrap();
    }
    stand.done(&["maint", "web02", "--reason", "new disk on Friday"]).await;
    for strategy in ["see-saw", "canary", "rolling"] {
        let plan = ["deploy", "web", "--strategy", strategy, "--dry-run"];
        let planned = stand.teeter(&plan).await;
        assert_eq!(planned.code, 0, "{strategy}: {planned:?}");
        assert!(planned.out.contains("skipped: web02 (held by"), "{strategy}: {planned:?}");
        assert!(planned.out.contains("new disk on Friday"), "{strategy}: {planned:?}");
        assert!(!planned.out.contains("work a: web01 web02"), "{strategy}: {planned:?}");
    }
    let refused = stand.teeter(&["deploy", "web", "--without", "db01", "--dry-run"]).await;
    assert_eq!(refused.code, exit::NOT_FOUND, "{refused:?}");
    let refused = stand.teeter(&["deploy", "web", "--without", "web0[34]", "--dry-run"]).await;
    assert_eq!(refused.code, exit::REFUSED, "{refused:?}");
    assert!(refused.err.contains("web03 is skipped (skipped by --without)"), "{refused:?}");
    // While the run is under way the server comes back, as it was.
    let go = stand.dir().join("go");
    let waits = format!("while [ ! -e {} ]; do sleep 0.05; done", go.display());
    let deploy = stand.daemon.spawn(&["deploy", "web", "--without", "web03", "--", "sh", "-c", &waits]);
    until(|| async { stand.json(&["show", "1"]).await["work"]["group"] == "a" }).await;
    assert_eq!(stand.json(&["show", "1"]).await["work"]["servers"], serde_json::json!(["web01"]));
    stand.done(&["ready", "web02"]).await;
    std::fs::write(&go, "").unwrap();
    let ended = finish(deploy).await;
    assert_eq!(ended.code, 0, "{ended:?}");
    for server in ["web02", "web03"] {
        assert!(ended.err.contains(&format!("{server} was skipped and takes traffic")), "{ended:?}");
    }
    let run = stand.json(&["show", "1"]).await;
    assert_eq!(run["remarks"].as_array().map(Vec::len), Some(2), "{run}");
    assert!(stand.recorded("web02 was skipped and takes traffic").await);
}

const LEADER: &str = "defaults\n  mode http\n  timeout connect 1s\n  timeout client 9s\n  timeout server 9s\n\
    backend primary\n  option httpchk GET /_status\n  http-check expect status 200\n  default-server inter 500ms fall 1 rise 1\n  \
    server web01 {web01} check\n  server web02 {web02} check\n  server web03 {web03} check\n\
    backend replicas\n  option httpchk GET /_status\n  http-check expect ! status 200\n  \
    default-server inter 500ms fall 1 rise 1\n  \
    server web01 {web01} check\n  server web02 {web02} check\n  server web03 {web03} check\n";

const CLUSTER: &str = "[farm.pg]\nmembers = [\"primary/*\", \"replicas/*\"]\nrolling = { status = false, settle = \"0s\" }\n\
    drain = { grace = \"0s\", deadline = \"10s\" }\n";

fn switch_over(stand: &Stand, leader: &str) {
    for name in ["web01", "web02", "web03"] {
        stand.app(name).set_well(name == leader);
    }
}

/// Makes one server lead, and waits until HAProxy has seen it.
async fn leads(stand: &Stand, leader: &str) {
    switch_over(stand, leader);
    for name in ["web01", "web02", "web03"] {
        let (up, down) = if name == leader { ("primary", "replicas") } else { ("replicas", "primary") };
        stand.haproxy.wait_for_status(&format!("{down}/{name}"), "DOWN").await.expect("HAProxy sees who leads");
        stand.haproxy.wait_for_status(&format!("{up}/{name}"), "UP").await.expect("HAProxy sees who leads");
    }
}

#[tokio::test]
async fn standby_lines_return_to_down_and_get_no_traffic() {
    let stand = Stand::start(LEADER, CLUSTER).await;
    leads(&stand, "web01").await;
    for verify in [true, false] {
        stand.done(&["maint", "web02", "--reason", "r"]).await;
        let more: &[&str] = if verify { &[] } else { &["--no-verify"] };
        stand.done(&[&["ready", "web02"], more].concat()).await;
        let status = stand.status("primary/web02").await;
        assert_eq!((status["status"].as_str(), status["admin"].as_str()), (Some("DOWN"), Some("ready")), "{status}");
        stand.haproxy.wait_for_status("replicas/web02", "UP").await.expect("it is back");
    }
    assert!(stand.recorded("edge:primary/web02: DOWN, as it was before it was taken out").await);
    let refused = stand.teeter(&["drain", "web01", "--reason", "the leader"]).await;
    assert_eq!(refused.code, exit::REFUSED, "{refused:?}");
    assert!(refused.err.contains("primary"), "{refused:?}");
}

#[tokio::test]
async fn cluster_leader_is_rolled_after_a_switch_over() {
    let stand = Stand::start(LEADER, CLUSTER).await;
    leads(&stand, "web01").await;
    let roll = ["deploy", "pg", "--strategy", "rolling"];
    let planned = stand.done(&[&roll[..], &["--dry-run"]].concat()).await;
    assert!(planned.contains("work batch-3: web01"), "whoever leads goes last: {planned}");
    assert!(planned.contains("batch-3 waits for a switch-over: backend edge:primary"), "{planned}");
    let deploy = stand.daemon.spawn(&[&roll[..], &["--", "true"]].concat());
    until(|| async {
        let run = stand.json(&["show", "1"]).await;
        run["waiting"].as_str().is_some_and(|waiting| waiting.contains("the last server of backend edge:primary"))
    })
    .await;
    assert_eq!((stand.bits("primary/web01").await, stand.bits("replicas/web01").await), (0, 0));
    switch_over(&stand, "web02");
    let ended = finish(deploy).await;
    assert_eq!(ended.code, 0, "{ended:?}\n{}", stand.daemon.log());
    assert_eq!(stand.holds().await, 0);
}

/// One backend, which the check of the leader alone passes in, as where HAProxy finds the master of a Redis by its role.
const MASTER: &str = "backend master\n  option httpchk GET /_status\n  default-server check inter 300ms fall 1 rise 1\n  \
    server web01 {web01}\n  server web02 {web02}\n  server web03 {web03}\n";

#[tokio::test]
async fn followers_with_all_lines_down_are_rolled_and_return_to_down() {
    let farm = "[farm.redis]\nmembers = [\"master/*\"]\nleader = true\nrolling = { status = false, settle = \"0s\" }\n\
        drain = { grace = \"0s\", deadline = \"10s\" }\nverify.deadline = \"30s\"\n";
    let stand = Stand::start(MASTER, farm).await;
    switch_over(&stand, "web01");
    let follows = async |name: &str| {
        stand.haproxy.wait_for_status(&format!("master/{name}"), "DOWN").await.expect("HAProxy sees who leads");
    };
    follows("web02").await;
    follows("web03").await;
    // By hand, with a deadline that is shorter than the time that a server has to come up.
    stand.done(&["maint", "web02", "--reason", "r"]).await;
    stand.done(&["ready", "web02", "--deadline", "2s"]).await;
    follows("web02").await;
    let roll = ["deploy", "redis", "--strategy", "rolling"];
    let planned = stand.done(&[&roll[..], &["--dry-run"]].concat()).await;
    assert!(planned.contains("work batch-1: web02") && planned.contains("work batch-3: web01"), "{planned}");
    assert!(planned.contains("batch-3 waits for a switch-over"), "{planned}");
    let deploy = stand.daemon.spawn(&[&roll[..], &["--", "sh", "-c", "echo on $TEETER_SERVERS"]].concat());
    until(|| async {
        let run = stand.json(&["show", "1"]).await;
        run["waiting"].as_str().is_some_and(|waiting| waiting.contains("the last server of backend edge:master"))
    })
    .await;
    assert_eq!(stand.bits("master/web01").await, 0);
    switch_over(&stand, "web02");
    let ended = finish(deploy).await;
    assert_eq!(ended.code, 0, "{ended:?}\n{}", stand.daemon.log());
    for name in ["web01", "web02", "web03"] {
        assert!(format!("{}{}", ended.out, ended.err).contains(&format!("on {name}")), "{ended:?}");
    }
    assert_eq!(stand.holds().await, 0);
    follows("web01").await;
}

#[tokio::test]
async fn slow_checks_are_awaited_and_outside_states_are_taken_over() {
    let backends = "backend slow\n  option httpchk GET /_status\n  default-server inter 1s fall 1 rise 3\n  \
                    server web01 {web01} check\n  server web02 {web02} check\n";
    let stand = Stand::start(backends, "[farm.slow]\nmembers = [\"slow/*\"]\nverify.deadline = \"1500ms\"\n").await;
    stand.haproxy.wait_for_check("slow/web01").await.unwrap();
    stand.done(&["maint", "slow/web01", "--reason", "r"]).await;
    let ready = stand.teeter(&["ready", "slow/web01"]).await;
    assert_eq!(ready.code, 0, "{ready:?}");
    assert!(ready.err.contains("of 3 checks passed"), "{ready:?}");
    // Somebody else's maintenance.
    stand.tell("set server slow/web02 state maint").await;
    let refused = stand.teeter(&["ready", "slow/web02"]).await;
    assert_eq!(refused.code, exit::NOT_FOUND, "{refused:?}");
    assert!(refused.err.contains("`teeter ready slow/web02 --take-over`"), "{refused:?}");
    stand.done(&["drain", "slow/web02", "--reason", "r", "--allow-outage"]).await;
    let stays = stand.teeter(&["ready", "slow/web02"]).await;
    assert!(stays.out.contains("stays out: maint, set outside teeter"), "{stays:?}");
    assert!(stays.err.contains("--take-over"), "{stays:?}");
    stand.done(&["ready", "slow/web02", "--take-over"]).await;
    assert_eq!((stand.bits("slow/web02").await, stand.holds().await), (0, 0));
    assert!(stand.recorded("taken over, as it was set outside teeter").await);
}

#[tokio::test]
async fn next_run_takes_over_servers_left_out_and_begins_with_them() {
    let farm = format!(
        "{HALVES}rolling = {{ settle = \"0s\" }}\nverify.http = {{ path = \"/_status\", version = {{ header = \"x-version\" }} }}\n"
    );
    let stand = Stand::start(&backend(""), &farm).await;
    for server in ["web01", "web02", "web03", "web04"] {
        stand.haproxy.wait_for_check(&format!("app/{server}")).await.unwrap();
    }
    let fails = "[ \"$TEETER_SERVERS\" != web03 ]";
    let roll = ["deploy", "web", "--strategy", "rolling"];
    stand.done(&[&roll[..], &["--max-failed", "1", "--", "sh", "-c", fails]].concat()).await;
    assert_eq!(stand.holds().await, 1);
    for (strategy, begins) in [
        ("see-saw", ["out b", "drain b", "work b: web03 web04"]),
        ("canary", ["out b", "drain b", "work b: web03 web04"]),
        ("rolling", ["out batch-1", "drain batch-1", "work batch-1: web03"]),
    ] {
        let planned = stand.done(&["deploy", "web", "--strategy", strategy, "--dry-run"]).await;
        assert!(planned.contains("takes over what run 1 has left out, and begins with it: web03"), "{planned}");
        let steps: Vec<&str> = planned.lines().filter_map(|line| Some(line.split_once(" of 4  ")?.1)).collect();
        assert_eq!(steps[..4], [&["before"][..], &begins].concat(), "{strategy}: {planned}");
    }
    let log = stand.dir().join("order");
    let logs = format!("echo $TEETER_SERVERS >> {}", log.display());
    stand.done(&[&roll[..], &["--", "sh", "-c", &logs]].concat()).await;
    assert_eq!(std::fs::read_to_string(&log).unwrap(), "web03\nweb01\nweb02\nweb04\n");
    assert_eq!((stand.holds().await, stand.bits("app/web03").await), (0, 0));
    // Another version than those in service have comes back only by force.
    stand.done(&["maint", "app/web01", "--reason", "r"]).await;
    stand.app("web01").replace("v0").await.unwrap();
    let refused = stand.teeter(&["ready", "app/web01"]).await;
    assert_eq!(refused.code, exit::REFUSED, "{refused:?}");
    assert!(refused.err.contains("web01 runs v0, and the servers in service run v1"), "{refused:?}");
    assert!(refused.err.contains("--force"), "{refused:?}");
    stand.done(&["ready", "app/web01", "--force"]).await;
    assert_eq!((stand.holds().await, stand.bits("app/web01").await), (0, 0));
}
