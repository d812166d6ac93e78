//! The gates of a deploy, at each group of each strategy, and the servers that are out when one stops it.

use teeter_lab::{FarmSpec, Held, Sample};

use super::strategies::CASES;
use crate::fixtures::exit;
use crate::fixtures::site::{Site, check_config, edited};

/// Drains that end after one second.
const SHORT_DRAIN: [&str; 4] = ["--grace", "0s", "--deadline", "1s"];

async fn site(sample: Sample) -> Site {
    match sample {
        Sample::Servers => Site::start_with("verify.deadline = \"2s\"", FarmSpec::default()).await,
        sample => Site::start_sample(sample, &[("deadline = \"60s\"", "deadline = \"2s\"")]).await,
    }
}

/// The servers that wait for the work of the run's caller.
async fn wanted(site: &Site) -> Vec<String> {
    let run = site.json(&["show", "1"]).await;
    let servers = run["work"]["servers"].as_array().into_iter().flatten();
    servers.filter_map(|server| server.as_str().map(str::to_owned)).collect()
}

/// The servers that the run keeps out.
async fn out(site: &Site) -> Vec<String> {
    let run = site.json(&["show", "1"]).await;
    run["out"].as_array().into_iter().flatten().filter_map(|server| server.as_str().map(str::to_owned)).collect()
}

#[tokio::test]
async fn unhealthy_group_stays_out_and_no_other_server_is_touched() {
    for case in &CASES {
        let strategy = case.strategy;
        for group in 0.. {
            let site = site(case.sample).await;
            let mut stop = site.teeter(&case.begin(&SHORT_DRAIN)).await;
            for _ in 0..group {
                stop = site.teeter(&["advance", "1"]).await;
            }
            assert_eq!(stop.code, 0, "{strategy}: {stop:?}");
            let servers = wanted(&site).await;
            if servers.is_empty() {
                assert!(group > 0, "{strategy} waits for no work");
                break;
            }
            for server in &servers {
                site.farm.app(server).set_healthy(false);
            }
            let at = format!("{strategy} on {:?} with {servers:?}", case.sample);
            let failed = site.teeter(&["advance", "1"]).await;
            assert_eq!(failed.code, exit::FAILED, "{at}: {failed:?}");
            assert!(failed.err.contains("`verify "), "{at}: {failed:?}");
            let left = out(&site).await;
            assert!(servers.iter().all(|server| left.contains(server)), "{at}: {left:?}");
            assert_eq!(left.len(), 2, "{at}: no other server is out");
            assert_eq!(teeter_lab::get(site.farm.addr(), "/").await.expect("it answers").status, 200, "{at}");
            // An abort brings back no unhealthy server; once they are healthy, the next abort does.
            assert_eq!(site.teeter(&["abort", "1"]).await.code, 0, "{at}");
            assert_eq!(out(&site).await, left, "{at}");
            for server in &servers {
                site.farm.app(server).set_healthy(true);
            }
            assert_eq!(site.teeter(&["abort", "1"]).await.code, 0, "{at}");
            let stays = if strategy == "blue-green" { left } else { Vec::new() };
            assert_eq!(out(&site).await, stays, "{at}");
        }
    }
}

#[tokio::test]
async fn server_with_requests_at_the_deadline_is_not_worked_on() {
    for case in &CASES {
        let strategy = case.strategy;
        let site = site(case.sample).await;
        // Every server in service has an open websocket.
        let mut held = Vec::new();
        for _ in 0..8 {
            held.push(Held::open(site.farm.addr(), "/ws", &[]).await.expect("it opens"));
        }
        let mut stop = site.teeter(&case.begin(&SHORT_DRAIN)).await;
        if strategy == "blue-green" {
            // The idle side has no sessions; the other side still has some after the flip.
            assert_eq!(stop.code, 0, "{strategy}: {stop:?}");
            stop = site.teeter(&["advance", "1"]).await;
        }
        assert_eq!(stop.code, exit::TIMED_OUT, "{strategy} on {:?}: {stop:?}", case.sample);
        assert!(stop.err.contains("was not drained at the deadline"), "{strategy}: {stop:?}");
        assert_eq!(site.json(&["show", "1"]).await["work"], serde_json::Value::Null);
        drop(held);
        let retried = site.teeter(&["retry", "1"]).await;
        assert_eq!(retried.code, 0, "{strategy}: {retried:?}");
        assert_eq!(site.farm.broken(), 0);
    }
}

#[tokio::test]
async fn invalid_configuration_is_refused_with_its_position() {
    let site = Site::start().await;
    let config = std::fs::read_to_string(site.daemon.config()).expect("it is there");
    for (setting, words) in [
        ("rolling = { batch = 0 }", "neither a number of members"),
        ("rolling = { batch = \"150%\" }", "neither a number of members"),
        ("canary = { steps = \"25%,5%\" }", "steps rise"),
        ("canary = { steps = \"100%\" }", "no share below 100%"),
        ("bake = { for = \"60s\" }", "compares nothing"),
        ("bake = { for = \"60s\", max_5xx = \"1\" }", "is not a share"),
        ("bake = { for = \"60s\", max_time = \"50%\" }", "less than answers took before"),
        ("bake = { for = \"60s\", max_5xx = \"1%\", alpha = \"0%\" }", "no chance of a false rollback"),
        ("bake = { for = \"60s\", max_5xx = \"1%\", alpha = \"100%\" }", "no chance of a false rollback"),
        ("bake = { for = \"60s\", max_5xx = \"1%\", on_inconclusive = \"maybe\" }", "unknown variant `maybe`"),
        ("on_stall = { after = \"1h\", do = \"panic\" }", "panic"),
    ] {
        let path = site.farm.dir().join("wrong.toml");
        std::fs::write(&path, edited(&config, &[("groups =", &format!("{setting}\ngroups ="))]))
            .expect("it is written");
        let checked = check_config(&path).await;
        assert_eq!(checked.code, exit::USAGE, "{setting}: {checked:?}");
        assert!(checked.err.contains(words) && checked.err.contains("wrong.toml:"), "{setting}: {checked:?}");
    }
}
