//! What stops a deploy, wherever it does: each gate at each group of each strategy, and how it is left.

use teeter_lab::{FarmSpec, Held, Sample};

use crate::fixtures::exit;
use crate::fixtures::site::{Site, edited};

/// A strategy, its sample, and the farm that is tried.
const WAYS: [(&str, Sample, &str, &[&str]); 5] = [
    ("see-saw", Sample::Servers, "web", &[]),
    ("see-saw", Sample::Route, "web", &[]),
    ("rolling", Sample::Servers, "web", &["--batch", "2", "--settle", "0s"]),
    ("canary", Sample::Servers, "web", &["--steps", "10%", "--pause", "10ms"]),
    ("blue-green", Sample::BlueGreen, "shop", &[]),
];

async fn site(sample: Sample) -> Site {
    match sample {
        Sample::Servers => Site::with("verify.deadline = \"2s\"", FarmSpec::default()).await,
        sample => {
            let spec = FarmSpec { sample, ..FarmSpec::default() };
            Site::on_spec(spec, &[("deadline = \"60s\"", "deadline = \"2s\"")]).await
        }
    }
}

fn begin(farm: &'static str, strategy: &'static str, options: &[&'static str]) -> Vec<&'static str> {
    let begin = ["begin", farm, "--strategy", strategy, "--grace", "0s", "--deadline", "1s"];
    begin.into_iter().chain(options.iter().copied()).collect()
}

/// The servers that the run wants worked on.
async fn wanted(site: &Site) -> Vec<String> {
    let run = site.json(&["show", "1"]).await;
    let servers = run["work"]["servers"].as_array().into_iter().flatten();
    servers.filter_map(|server| server.as_str().map(str::to_owned)).collect()
}

async fn out(site: &Site) -> Vec<String> {
    let run = site.json(&["show", "1"]).await;
    run["out"].as_array().into_iter().flatten().filter_map(|server| server.as_str().map(str::to_owned)).collect()
}

#[tokio::test]
async fn unhealthy_group_stays_out_and_no_other_server_is_touched() {
    for (strategy, sample, farm, options) in WAYS {
        for group in 0.. {
            let site = site(sample).await;
            let mut stop = site.teeter(&begin(farm, strategy, options)).await;
            for _ in 0..group {
                stop = site.teeter(&["advance", "1"]).await;
            }
            assert_eq!(stop.code, 0, "{strategy}: {stop:?}");
            let servers = wanted(&site).await;
            if servers.is_empty() {
                assert!(group > 0, "{strategy} has stopped for nothing");
                break;
            }
            for server in &servers {
                site.farm.app(server).set_well(false);
            }
            let at = format!("{strategy} on {sample:?} with {servers:?}");
            let failed = site.teeter(&["advance", "1"]).await;
            assert_eq!(failed.code, exit::FAILED, "{at}: {failed:?}");
            assert!(failed.err.contains("`verify "), "{at}: {failed:?}");
            let left = out(&site).await;
            assert!(servers.iter().all(|server| left.contains(server)), "{at}: {left:?}");
            assert_eq!(left.len(), 2, "{at}: nobody else is out");
            assert_eq!(teeter_lab::get(site.farm.addr(), "/").await.expect("it answers").status, 200, "{at}");
            // An abort brings no sick server back; well again, they come with the next.
            assert_eq!(site.teeter(&["abort", "1"]).await.code, 0, "{at}");
            assert_eq!(out(&site).await, left, "{at}");
            for server in &servers {
                site.farm.app(server).set_well(true);
            }
            assert_eq!(site.teeter(&["abort", "1"]).await.code, 0, "{at}");
            let stays = if strategy == "blue-green" { left } else { Vec::new() };
            assert_eq!(out(&site).await, stays, "{at}");
        }
    }
}

#[tokio::test]
async fn server_with_requests_at_the_deadline_is_not_worked_on() {
    for (strategy, sample, farm, options) in WAYS {
        let site = site(sample).await;
        // Every server that has traffic has a websocket open.
        let mut held = Vec::new();
        for _ in 0..8 {
            held.push(Held::open(site.farm.addr(), "/ws", &[]).await.expect("it opens"));
        }
        let mut stop = site.teeter(&begin(farm, strategy, options)).await;
        if strategy == "blue-green" {
            // The idle side is empty; the one that has just been left is not.
            assert_eq!(stop.code, 0, "{strategy}: {stop:?}");
            stop = site.teeter(&["advance", "1"]).await;
        }
        assert_eq!(stop.code, exit::TIMED_OUT, "{strategy} on {sample:?}: {stop:?}");
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
        ("on_stall = { after = \"1h\", do = \"panic\" }", "panic"),
    ] {
        let path = site.farm.dir().join("wrong.toml");
        std::fs::write(&path, edited(&config, &[("groups =", &format!("{setting}\ngroups ="))]))
            .expect("it is written");
        let checked = tokio::process::Command::new(env!("CARGO_BIN_EXE_teeterd"))
            .args(["--check", "--config"])
            .arg(&path)
            .output()
            .await
            .expect("teeterd runs");
        let said = String::from_utf8_lossy(&checked.stderr).into_owned();
        assert_eq!(checked.status.code(), Some(exit::USAGE), "{setting}: {said}");
        assert!(said.contains(words) && said.contains("wrong.toml:"), "{setting}: {said}");
    }
}
