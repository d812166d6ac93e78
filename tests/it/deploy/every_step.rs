//! Abort, rollback, pause and resume at every stop of a run of each strategy: from two terminals at once, then again.

use serde_json::Value;
use teeter_lab::{Load, LoadSpec, Sample};

use super::strategies::{CASES, StrategyCase};
use crate::fixtures::site::{Ended, Site, finish, step_of};

/// A stop at every step at which a caller can do work.
const PHASES: [&str; 6] = ["--phase", "before-out", "--phase", "after-out", "--phase", "after-in"];

async fn start(case: &StrategyCase) -> Site {
    match case.sample {
        Sample::Servers => Site::start().await,
        sample => Site::start_sample(sample, &[]).await,
    }
}

async fn run(site: &Site) -> Value {
    site.json(&["show", "1"]).await
}

/// Runs a command from two terminals at once, and then once more.
async fn thrice(site: &Site, args: &[&str]) -> [Ended; 3] {
    let (one, other) = (site.daemon.spawn(args), site.daemon.spawn(args));
    let (one, other) = (finish(one).await, finish(other).await);
    [one, other, site.teeter(args).await]
}

/// The texts of a run's steps.
fn texts(run: &Value) -> Vec<String> {
    let steps = run["steps"].as_array().into_iter().flatten();
    steps.map(|step| step["text"].as_str().unwrap_or_default().to_owned()).collect()
}

/// Asserts that every server without a hold takes traffic, and that the run owns every hold.
async fn assert_explained(site: &Site, what: &str) {
    let holds = site.json(&["holds"]).await;
    let held: Vec<&Value> = holds["holds"].as_array().into_iter().flatten().collect();
    let status = site.json(&["status"]).await;
    for server in status["servers"].as_array().into_iter().flatten() {
        let is_held = server["holds"].as_array().is_some_and(|holds| !holds.is_empty());
        assert!(server["in_service"] == true || is_held, "{what}: {server}");
    }
    assert!(held.iter().all(|hold| hold["owner"] == "run 1"), "{what}: {holds}");
}

#[tokio::test]
async fn run_follows_its_plan_and_no_request_fails() {
    for case in &CASES {
        let site = start(case).await;
        let plan = site.json(&[&case.begin(&PHASES)[..], &["--dry-run"]].concat()).await;
        let planned = texts(&plan);
        let load = Load::start(LoadSpec { connections: 8, ..LoadSpec::new(site.farm.addr()) }).expect("load starts");
        let mut stop = site.teeter(&case.begin(&PHASES)).await;
        let mut stops = Vec::new();
        while stop.code == 0 && run(&site).await["state"] == "running" {
            let now = run(&site).await;
            stops.push(at_step(&now).to_owned());
            // With a route, servers may be ready without traffic.
            if matches!(case.sample, Sample::Servers) {
                let cursor = usize::try_from(now["cursor"].as_u64().expect("it has a cursor")).expect("a small one");
                assert_eq!(plan["steps"][cursor]["carry"], in_service(&site).await, "{} at {now}", case.strategy);
            }
            if now["work"]["phase"] == "deploy" {
                for server in now["work"]["servers"].as_array().into_iter().flatten() {
                    site.farm.app(server.as_str().unwrap_or_default()).replace("v2").await.expect("it is replaced");
                }
            }
            stop = site.teeter(&["advance", "1", "--step", &now["cursor"].to_string()]).await;
        }
        let done = run(&site).await;
        assert_eq!(done["state"], "done", "{}: {stop:?}\n{done}", case.strategy);
        assert_eq!(texts(&done), planned, "{}", case.strategy);
        let wanted: Vec<String> = planned
            .into_iter()
            .filter(|step| ["before-out", "after-out", "work", "after-in"].iter().any(|word| step.starts_with(word)))
            .collect();
        assert_eq!(stops, wanted, "{}", case.strategy);
        let report = load.stop().await.expect("load ends");
        assert!(report.failed().is_empty(), "{}: {report}", case.strategy);
        assert_eq!(site.farm.broken(), 0);
        assert_explained(&site, case.strategy).await;
    }
}

/// How many servers take traffic.
async fn in_service(site: &Site) -> usize {
    let status = site.json(&["status", "app/*"]).await;
    status["servers"].as_array().into_iter().flatten().filter(|server| server["in_service"] == true).count()
}

/// Runs a command at each stop of a run of each case. Every stop gets a site of its own.
async fn at_every_stop(
    cases: &[StrategyCase],
    command: &[&str],
    judge: impl AsyncFn(&StrategyCase, &Site, &str, [Ended; 3]),
) {
    for case in cases {
        let mut stop = 0;
        loop {
            let site = start(case).await;
            assert_eq!(site.teeter(&case.begin(&PHASES)).await.code, 0);
            for _ in 0..stop {
                let advanced = site.teeter(&["advance", "1"]).await;
                assert_eq!(advanced.code, 0, "{advanced:?}");
            }
            let now = run(&site).await;
            if now["state"] == "done" {
                break;
            }
            let at = format!("{} on {:?} at {}", case.strategy, case.sample, at_step(&now));
            let ended = thrice(&site, command).await;
            judge(case, &site, &at, ended).await;
            stop += 1;
        }
        assert!(stop >= 4, "{} stops {stop} times", case.strategy);
    }
}

/// The step of the run, and the ids of all holds, which may still be draining.
async fn step_and_holds(site: &Site) -> (Value, Vec<Value>) {
    let holds = site.json(&["holds"]).await;
    let ids = holds["holds"].as_array().into_iter().flatten().map(|hold| hold["id"].clone());
    (run(site).await["cursor"].clone(), ids.collect())
}

fn at_step(run: &Value) -> &str {
    step_of(run).expect("it is at a step")
}

#[tokio::test]
async fn abort_ends_the_run_at_every_step() {
    at_every_stop(&CASES, &["abort", "1"], async |case, site, at, ended| {
        for ended in &ended {
            assert_eq!(ended.code, 0, "{at}: {ended:?}");
        }
        let state = run(site).await["state"].clone();
        assert!(state == "aborted" || state == "rolled back", "{at}: {state}");
        assert_explained(site, at).await;
        // The servers were not changed: all of them come back, except those of the idle side.
        if case.strategy != "blue-green" {
            assert_eq!(site.bits().await, [0; 4], "{at}");
        }
        let answer = teeter_lab::get(site.farm.addr(), "/").await.expect("it answers");
        assert_eq!(answer.status, 200, "{at}");
    })
    .await;
}

#[tokio::test]
async fn rollback_succeeds_or_says_what_to_do_at_every_step() {
    // Without the first case: a see-saw by servers has the same steps as one with a route.
    at_every_stop(&CASES[1..], &["rollback", "1"], async |_, site, at, ended| {
        let state = run(site).await["state"].clone();
        let done = ended.iter().filter(|ended| ended.code == 0).count();
        if state == "rolled back" {
            assert!(done >= 1, "{at}: {ended:?}");
        } else {
            assert_eq!((state, done), ("running".into(), 0), "{at}: {ended:?}");
            for ended in &ended {
                assert!(ended.err.contains("teeter abort 1"), "{at}: {ended:?}");
            }
        }
        assert_explained(site, at).await;
    })
    .await;
}

#[tokio::test]
async fn pause_and_resume_change_only_the_pace() {
    for case in &CASES {
        let site = start(case).await;
        assert_eq!(site.teeter(&case.begin(&PHASES)).await.code, 0);
        let mut stops = 0;
        while run(&site).await["state"] == "running" {
            let now = run(&site).await;
            let at = format!("{} on {:?} at {}", case.strategy, case.sample, at_step(&now));
            let before = step_and_holds(&site).await;
            for command in ["pause", "resume"] {
                for ended in &thrice(&site, &[command, "1"]).await {
                    assert_eq!(ended.code, 0, "{at}: {ended:?}");
                }
                assert_eq!(step_and_holds(&site).await, before, "{at}: {command}");
            }
            let failed = site.teeter(&["advance", "1", "--failed", "no"]).await;
            assert_eq!(failed.code, 0, "{at}: {failed:?}");
            let retried = thrice(&site, &["retry", "1"]).await;
            assert_eq!(retried.iter().filter(|ended| ended.code == 0).count(), 1, "{at}: {retried:?}");
            assert_eq!(step_and_holds(&site).await, before, "{at}: retry");
            assert_explained(&site, &at).await;
            let advanced = site.teeter(&["advance", "1"]).await;
            assert_eq!(advanced.code, 0, "{at}: {advanced:?}");
            stops += 1;
        }
        assert!(stops >= 4, "{} stops {stops} times", case.strategy);
    }
}
