//! Maintenance of single servers: holds that expire, and the number of servers that may be out.

use jiff::{SignedDuration, Timestamp};
use teeter_lab::{FarmSpec, Held};

use crate::fixtures::exit;
use crate::fixtures::site::{DRAIN, MAINT, Site, finish, until};

/// Waits until `length` after the expiry of a site's only hold.
async fn wait_past_expiry(site: &Site, length: SignedDuration) {
    let hold = site.json(&["holds"]).await["holds"][0].clone();
    let expires = hold["expires"].as_str().unwrap_or_else(|| panic!("{hold} does not end"));
    wait_past(expires.parse().unwrap(), length).await;
}

#[allow(clippy::disallowed_methods, reason = "a test waits for a point of time that teeterd has named")]
async fn wait_past(expires: Timestamp, length: SignedDuration) {
    until(|| async { Timestamp::now().duration_since(expires) > length }).await;
}

/// The number of times that the events contain `words`.
async fn recorded(site: &Site, words: &str) -> usize {
    site.teeter(&["events", "--limit", "500"]).await.out.matches(words).count()
}

#[tokio::test]
async fn hold_expired_without_a_daemon_is_verified_at_the_next_start() {
    let mut site = Site::start().await;
    assert_eq!(site.teeter(&["maint", "web01", "--reason", "kernel", "--for", "4s"]).await.code, 0);
    let hold = site.json(&["holds"]).await["holds"][0].clone();
    site.daemon.kill().await;
    wait_past(hold["expires"].as_str().unwrap().parse().unwrap(), SignedDuration::ZERO).await;
    assert_eq!(site.bits().await, [MAINT, 0, 0, 0]);
    site.daemon.restart().await;
    site.wait_for_bits([0; 4]).await;
    until(|| async { recorded(&site, "web01: healthy; released").await == 1 }).await;
    assert_eq!(recorded(&site, "web01: expired; comes back if it is healthy").await, 1);
    assert!(site.json(&["holds"]).await["holds"].as_array().unwrap().is_empty());
}

#[tokio::test]
async fn reload_and_restart_do_not_disturb_a_release() {
    let mut site = Site::start().await;
    assert_eq!(site.teeter(&["maint", "web01", "--reason", "kernel", "--for", "1h"]).await.code, 0);
    site.farm.haproxy().reload().await.unwrap();
    site.wait_for_bits([MAINT, 0, 0, 0]).await;
    site.farm.app("web01").set_healthy(false);
    // The same hold with another expiry.
    assert_eq!(site.teeter(&["maint", "web01", "--reason", "kernel", "--for", "1s", "--no-wait"]).await.code, 0);
    until(|| async { site.json(&["holds"]).await["holds"][0]["stage"] == "verifying" }).await;
    site.daemon.kill().await;
    site.farm.haproxy().reload().await.unwrap();
    site.daemon.restart().await;
    site.wait_for_bits([MAINT, 0, 0, 0]).await;
    site.farm.app("web01").set_healthy(true);
    site.wait_for_bits([0; 4]).await;
    assert_eq!(recorded(&site, "expired").await, 1);
    assert_eq!(recorded(&site, "the verification begins anew").await, 1);
    until(|| async { recorded(&site, "web01: healthy; released").await == 1 }).await;
}

#[tokio::test]
async fn unhealthy_server_stays_out_after_its_hold_and_names_the_next_command() {
    let mut site = Site::start_with("verify.deadline = \"8s\"", FarmSpec::default()).await;
    site.farm.app("web01").set_healthy(false);
    let taken = site.teeter(&["maint", "web01", "web02", "--reason", "kernel", "--for", "1s", "--no-wait"]).await;
    assert_eq!(taken.code, 0, "{taken:?}");
    // The healthy server does not wait for the other.
    site.wait_for_bits([MAINT, 0, 0, 0]).await;
    until(|| async { site.json(&["holds"]).await["holds"][0]["note"].is_string() }).await;
    let hold = site.json(&["holds"]).await["holds"][0].clone();
    assert_eq!((&hold["stage"], &hold["expires"]), (&"out".into(), &serde_json::Value::Null), "{hold}");
    for command in [["holds"].as_slice(), &["status"], &["status", "web01"]] {
        let printed = site.teeter(command).await.out;
        assert!(
            printed.contains("its time is over") && printed.contains("`teeter ready web01` tries again"),
            "{printed}"
        );
    }
    assert!(!site.teeter(&["status", "web03"]).await.out.contains("its time is over"));
    // web01 is healthy now, but stays out until `teeter ready`.
    site.farm.app("web01").set_healthy(true);
    site.daemon.kill().await;
    site.daemon.restart().await;
    assert_eq!(site.teeter(&["drain", "web03", "--reason", "r", "--for", "1s", "--no-wait"]).await.code, 0);
    until(|| async { recorded(&site, "web03: healthy; released").await == 1 }).await;
    site.wait_for_bits([MAINT, 0, 0, 0]).await;
    assert_eq!(recorded(&site, "expired").await, 2);
    let ready = site.teeter(&["ready", "web01"]).await;
    assert_eq!(ready.code, 0, "{ready:?}");
    assert_eq!(site.bits().await, [0; 4]);
}

#[tokio::test]
async fn expired_hold_waits_for_an_absent_haproxy() {
    let site = Site::start_with("verify.deadline = \"2s\"", FarmSpec::default()).await;
    assert_eq!(site.teeter(&["maint", "web01", "--reason", "kernel", "--for", "4s"]).await.code, 0);
    site.farm.haproxy().kill();
    wait_past_expiry(&site, SignedDuration::from_secs(3)).await;
    let holds = site.teeter(&["holds"]).await.out;
    assert!(holds.contains("(over)") && holds.contains("waiting for HAProxy edge to answer"), "{holds}");
    site.farm.haproxy().start_again().await.unwrap();
    until(|| async { recorded(&site, "web01: healthy; released").await == 1 }).await;
    site.wait_for_bits([0; 4]).await;
}

#[tokio::test]
async fn busy_server_comes_back_when_its_hold_expires() {
    let site = Site::start().await;
    let held = Held::open(site.farm.addr(), "/ws", &[]).await.expect("a websocket opens");
    let server = held.answer().server().to_owned();
    let drain = site.daemon.spawn(&["drain", &server, "--reason", "r", "--for", "1s", "--deadline", "10m"]);
    let drained = finish(drain).await;
    assert_eq!(drained.code, exit::TIMED_OUT, "{drained:?}");
    assert!(drained.err.contains("its time is over"), "{drained:?}");
    site.wait_for_bits([0; 4]).await;
    drop(held);
}

#[tokio::test]
async fn all_but_min_refuses_to_empty_a_farm() {
    let site = Site::start_with("min_available = \"50%\"", FarmSpec::default()).await;
    let refused = async |args: &[&str], words: &str| {
        let before = site.bits().await;
        let ended = site.teeter(&[args, &["--reason", "r", "--all-but-min"]].concat()).await;
        assert_eq!(ended.code, exit::REFUSED, "{ended:?}");
        assert!(ended.err.contains("min_available = 50% asks for 2") && ended.err.contains(words), "{ended:?}");
        assert_eq!(site.bits().await, before);
    };
    refused(&["drain", "farm:web"], "2 of those in service could go").await;
    site.farm.app("web04").stop().await.unwrap();
    site.farm.haproxy().wait_for_status("app/web04", "DOWN").await.unwrap();
    refused(&["maint", "web01", "web02"], "one of those in service could go").await;
    assert_eq!(site.teeter(&["drain", "web01", "--reason", "r", "--all-but-min"]).await.code, 0);
    refused(&["drain", "web02"], "none of those in service can go").await;
    assert_eq!(site.teeter(&["drain", "web02", "--reason", "r", "--allow-outage"]).await.code, 0);
    // One server is left: a server that is down may be taken out only without `--all-but-min`.
    refused(&["maint", "web04"], "none of those in service can go").await;
    assert_eq!(site.teeter(&["maint", "web04", "--reason", "r"]).await.code, 0);
    assert_eq!(site.bits().await, [DRAIN, DRAIN, 0, MAINT]);
}

#[tokio::test]
async fn simultaneous_commands_count_each_others_servers() {
    let site = Site::start_with("min_available = 3", FarmSpec::default()).await;
    let commands = ["web01", "web02", "web03", "web04"];
    let commands = commands.map(|server| site.daemon.spawn(&["drain", server, "--reason", "r"]));
    let mut codes = Vec::new();
    for command in commands {
        codes.push(finish(command).await.code);
    }
    codes.sort_unstable();
    assert_eq!(codes, [0, exit::REFUSED, exit::REFUSED, exit::REFUSED]);
}
