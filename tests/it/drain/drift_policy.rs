//! Changes to held servers from outside teeter, with each value of `on_drift`.

use teeter_lab::FarmSpec;

use crate::fixtures::custom_backends::CustomBackends;
use crate::fixtures::exit;
use crate::fixtures::site::{DRAIN, MAINT, Site, finish, until};

const YIELD: &str = "on_drift = \"yield\"";
const ALARM: &str = "on_drift = \"alarm\"";

async fn site(settings: &str) -> Site {
    Site::start_with(settings, FarmSpec::default()).await
}

/// Sets the state of a server at HAProxy's socket, past teeter.
async fn set(site: &Site, server: &str, state: &str) {
    site.farm.haproxy().tell(&format!("set server {server} state {state}")).await.expect("HAProxy does so");
}

async fn wait_for_event(site: &Site, words: &str) {
    until(|| async { site.teeter(&["events", "--limit", "500"]).await.out.contains(words) }).await;
}

async fn api_bits(site: &Site) -> u32 {
    site.farm.haproxy().server_admin_bits("api/web01").await.expect("HAProxy has it")
}

#[tokio::test]
async fn yield_releases_only_the_server_changed_outside_teeter() {
    let site = site(YIELD).await;
    assert_eq!(site.teeter(&["maint", "web01", "web02", "--reason", "r"]).await.code, 0);
    set(&site, "app/web01", "ready").await;
    wait_for_event(&site, "a change outside teeter set edge:app/web01 from maint to ready: teeter lets go of it").await;
    // The line that tracks it comes back with it.
    until(|| async { api_bits(&site).await == 0 }).await;
    assert_eq!(site.bits().await, [0, MAINT, 0, 0]);
    let holds = site.json(&["holds"]).await;
    assert_eq!(holds["holds"][0]["members"], serde_json::json!(["web02"]), "{holds}");
    assert_eq!(site.teeter(&["ready", "web02"]).await.code, 0);
    assert_eq!(site.bits().await, [0; 4]);
}

#[tokio::test]
async fn yield_leaves_a_stricter_outside_state() {
    let site = site(YIELD).await;
    assert_eq!(site.teeter(&["drain", "web01", "--reason", "r"]).await.code, 0);
    set(&site, "app/web01", "maint").await;
    wait_for_event(&site, "from drain to maint: teeter lets go of it").await;
    wait_for_event(&site, "no server is left in it: all were taken over outside teeter").await;
    assert_eq!(site.json(&["holds"]).await["holds"], serde_json::json!([]));
    assert_eq!(site.bits().await, [MAINT, 0, 0, 0]);
    set(&site, "app/web01", "ready").await;
    assert_eq!(site.bits().await, [0; 4]);
}

#[tokio::test]
async fn run_that_loses_its_servers_stops_and_can_take_them_out_again() {
    let site = site(YIELD).await;
    let begun = site.farm.dir().join("begun");
    let hook = format!("touch {}; sleep 600", begun.display());
    let deploy = site.daemon.spawn(&["deploy", "web", "--", "sh", "-c", &hook]);
    until(|| async { begun.exists() }).await;
    assert_eq!(site.bits().await, [MAINT, MAINT, 0, 0]);
    set(&site, "app/web01", "ready").await;
    // teeter ends the hook: a server that it works on takes traffic.
    let deploy = finish(deploy).await;
    assert_eq!(deploy.code, exit::ABORTED, "{deploy:?}");
    assert!(deploy.err.contains("a change outside teeter set edge:app/web01 from maint to ready"), "{deploy:?}");
    assert_eq!(site.bits().await, [0, MAINT, 0, 0]);
    let shown = site.teeter(&["show", "1"]).await.out;
    assert!(shown.contains("teeter lets go of it") && shown.contains("teeter deploy --resume 1"), "{shown}");
    // `advance` takes the server out again and repeats the work.
    for bits in [[MAINT, MAINT, 0, 0], [0, 0, MAINT, MAINT], [0; 4]] {
        let advanced = site.teeter(&["advance", "1"]).await;
        assert_eq!(advanced.code, 0, "{advanced:?}");
        assert_eq!(site.bits().await, bits);
    }
    assert_eq!(site.json(&["show", "1"]).await["state"], "done");
    // A second run that loses a server is aborted.
    assert_eq!(site.teeter(&["begin", "web"]).await.code, 0);
    set(&site, "app/web02", "drain").await;
    until(|| async { site.json(&["show", "2"]).await["failure"] == "taken" }).await;
    site.teeter(&["abort", "2"]).await;
    until(|| async { site.json(&["show", "2"]).await["state"] == "aborted" }).await;
    assert_eq!(site.bits().await, [0, DRAIN, 0, 0]);
}

#[tokio::test]
async fn alarm_keeps_the_outside_state_and_reports_it() {
    let mut site = site(ALARM).await;
    assert_eq!(site.teeter(&["maint", "web01", "--reason", "r"]).await.code, 0);
    set(&site, "app/web01", "ready").await;
    wait_for_event(&site, "a change outside teeter set edge:app/web01 from maint to ready: left in ready").await;
    let assert_reported = async |site: &Site| {
        let holds = site.teeter(&["holds"]).await.out;
        assert!(holds.contains("edge:app/web01 is left in ready, set outside teeter"), "{holds}");
        let status = site.teeter(&["status", "app/web01"]).await.out;
        assert!(status.contains("(r), left in ready, set outside teeter"), "{status}");
        assert_eq!(site.bits().await, [0; 4]);
        assert_eq!(site.json(&["status"]).await["instances"][0]["agrees"], true);
    };
    assert_reported(&site).await;
    site.daemon.kill().await;
    site.daemon.restart().await;
    until(|| async { site.json(&["status"]).await["instances"][0]["agrees"] == true }).await;
    assert_reported(&site).await;
    // Setting the server back ends the alarm; the hold is unchanged.
    set(&site, "app/web01", "maint").await;
    wait_for_event(&site, "from ready to maint: as the hold wants it").await;
    assert!(!site.teeter(&["holds"]).await.out.contains("is left in"));
    assert_eq!(site.teeter(&["ready", "web01"]).await.code, 0);
    assert_eq!(site.bits().await, [0; 4]);
}

#[tokio::test]
async fn alarm_ends_with_the_haproxy_process_or_a_new_hold() {
    let site = site(ALARM).await;
    assert_eq!(site.teeter(&["drain", "web01", "--reason", "r"]).await.code, 0);
    set(&site, "app/web01", "ready").await;
    wait_for_event(&site, "from drain to ready: left in ready").await;
    site.farm.haproxy().reload().await.expect("HAProxy reloads");
    site.wait_for_bits([DRAIN, 0, 0, 0]).await;
    wait_for_event(&site, "edge:app/web01 is held again").await;
    set(&site, "app/web01", "ready").await;
    until(|| async { site.teeter(&["events"]).await.out.matches("from drain to ready: left in ready").count() == 2 })
        .await;
    assert_eq!(site.teeter(&["maint", "web01", "--reason", "again"]).await.code, 0);
    assert_eq!(site.bits().await, [MAINT, 0, 0, 0]);
    // A stricter state stays, too, and outlives the hold.
    assert_eq!(site.teeter(&["drain", "web02", "--reason", "r"]).await.code, 0);
    set(&site, "app/web02", "maint").await;
    wait_for_event(&site, "edge:app/web02 from drain to maint: left in maint").await;
    assert_eq!(site.teeter(&["ready", "web02"]).await.code, 0);
    assert_eq!(site.bits().await, [MAINT, MAINT, 0, 0]);
}

#[tokio::test]
async fn server_back_in_traffic_is_neither_drained_nor_verified() {
    let site = site(&format!("{ALARM}\nverify.deadline = \"2s\"")).await;
    let slow = tokio::spawn(teeter_lab::get(site.farm.addr(), "/slow?ms=1500"));
    until(|| async { site.farm.in_flight() > 0 }).await;
    let busy = site.farm.apps().iter().find(|app| app.in_flight() > 0).expect("one is busy").name().to_owned();
    let drain = site.daemon.spawn(&["drain", &busy, "--reason", "r", "--deadline", "3s"]);
    until(|| async { site.json(&["holds"]).await["holds"][0]["stage"] == "draining" }).await;
    // teeter recognises an outside change only after it has confirmed the drain at HAProxy.
    until(|| async { site.json(&["status"]).await["instances"][0]["agrees"] == true }).await;
    set(&site, &format!("app/{busy}"), "ready").await;
    let drain = finish(drain).await;
    assert_eq!(drain.code, exit::TIMED_OUT, "{drain:?}");
    assert_eq!(slow.await.unwrap().expect("it is answered").status, 200);
    let holds = site.teeter(&["holds"]).await.out;
    assert!(holds.contains("set to ready outside teeter"), "{holds}");
    assert_eq!(site.teeter(&["ready", &busy]).await.code, 0);
    // The work of a deploy goes on; its verification fails.
    assert_eq!(site.teeter(&["begin", "web"]).await.code, 0);
    set(&site, "app/web01", "ready").await;
    wait_for_event(&site, "edge:app/web01 from maint to ready: left in ready").await;
    assert!(site.teeter(&["show", "1"]).await.out.contains("left in ready"), "it is in the run's log");
    let advanced = site.teeter(&["advance", "1"]).await;
    assert_eq!(advanced.code, exit::FAILED, "{advanced:?}");
    assert!(advanced.err.contains("edge:app/web01: set to ready outside teeter"), "{advanced:?}");
    site.teeter(&["abort", "1"]).await;
    assert_eq!(site.bits().await, [0; 4]);
}

#[tokio::test]
async fn servers_outside_farms_use_the_default_drift_policy() {
    let backends = "backend app\n  server web01 {web01}\n  server web02 {web02}\n";
    let site = CustomBackends::start(backends, "[holds]\non_drift = \"alarm\"\n").await;
    site.done(&["maint", "app/web01", "--reason", "r"]).await;
    site.tell("set server app/web01 state ready").await;
    until(|| async { site.recorded("from maint to ready: left in ready").await }).await;
    assert_eq!(site.bits("app/web01").await, 0);
    // A reload of the configuration applies another default.
    site.daemon.reconfigure(|toml| toml.replace("\"alarm\"", "\"yield\"")).await;
    site.tell("set server app/web01 state drain").await;
    until(|| async { site.recorded("from ready to drain: teeter lets go of it").await }).await;
    assert_eq!((site.bits("app/web01").await, site.holds().await), (DRAIN, 0));
}
