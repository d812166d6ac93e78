//! Every command at every place where a run of each strategy stops, from two terminals at once and once more.

use serde_json::Value;
use teeter_lab::{FarmSpec, Load, LoadSpec, Sample};

use crate::fixtures::site::{Ended, Site, finish, step_of};

/// A strategy, the farm that it is tried on, and what else its command says.
struct Way {
    strategy: &'static str,
    farm: &'static str,
    sample: Sample,
    options: &'static [&'static str],
}

const WAYS: [Way; 5] = [
    Way { strategy: "see-saw", farm: "web", sample: Sample::Servers, options: &[] },
    Way { strategy: "see-saw", farm: "web", sample: Sample::Route, options: &[] },
    Way { strategy: "rolling", farm: "web", sample: Sample::Servers, options: &["--batch", "2", "--settle", "0s"] },
    Way { strategy: "blue-green", farm: "shop", sample: Sample::BlueGreen, options: &[] },
    Way { strategy: "canary", farm: "web", sample: Sample::Servers, options: &["--steps", "10%", "--pause", "10ms"] },
];

impl Way {
    async fn site(&self) -> Site {
        match self.sample {
            Sample::Servers => Site::start().await,
            sample => Site::on_spec(FarmSpec { sample, ..FarmSpec::default() }, &[]).await,
        }
    }

    /// The command that begins, with a stop wherever the caller may be wanted.
    fn begin(&self) -> Vec<&'static str> {
        let phases = ["--phase", "before-out", "--phase", "after-out", "--phase", "after-in"];
        let begin = ["begin", self.farm, "--strategy", self.strategy];
        begin.into_iter().chain(self.options.iter().copied()).chain(phases).collect()
    }
}

async fn run(site: &Site) -> Value {
    site.json(&["show", "1"]).await
}

/// The same command from two terminals at once, and then once more.
async fn thrice(site: &Site, args: &[&str]) -> [Ended; 3] {
    let (one, other) = (site.daemon.spawn(args), site.daemon.spawn(args));
    let (one, other) = (finish(one).await, finish(other).await);
    [one, other, site.teeter(args).await]
}

fn texts(run: &Value) -> Vec<String> {
    let steps = run["steps"].as_array().into_iter().flatten();
    steps.map(|step| step["text"].as_str().unwrap_or_default().to_owned()).collect()
}

/// Everybody whom no hold explains takes traffic, and whoever is out is out by the run.
async fn explained(site: &Site, what: &str) {
    let holds = site.json(&["holds"]).await;
    let held: Vec<&Value> = holds["holds"].as_array().into_iter().flatten().collect();
    let status = site.json(&["status"]).await;
    for server in status["servers"].as_array().into_iter().flatten() {
        let of_holds = server["holds"].as_array().is_some_and(|holds| !holds.is_empty());
        assert!(server["in_service"] == true || of_holds, "{what}: {server}");
    }
    assert!(held.iter().all(|hold| hold["owner"] == "run 1"), "{what}: {holds}");
}

#[tokio::test]
async fn run_follows_its_plan_and_no_request_fails() {
    for way in &WAYS {
        let site = way.site().await;
        let plan = site.json(&[&way.begin()[..], &["--dry-run"]].concat()).await;
        let planned = texts(&plan);
        let load = Load::start(LoadSpec { connections: 8, ..LoadSpec::new(site.farm.addr()) }).expect("load starts");
        let mut stop = site.teeter(&way.begin()).await;
        let mut stops = Vec::new();
        while stop.code == 0 && run(&site).await["state"] == "running" {
            let now = run(&site).await;
            stops.push(at_step(&now).to_owned());
            // With a route, servers may be ready without traffic.
            if matches!(way.sample, Sample::Servers) {
                let cursor = usize::try_from(now["cursor"].as_u64().expect("it has a cursor")).expect("a small one");
                assert_eq!(plan["steps"][cursor]["carry"], in_service(&site).await, "{} at {now}", way.strategy);
            }
            if now["work"]["phase"] == "deploy" {
                for server in now["work"]["servers"].as_array().into_iter().flatten() {
                    site.farm.app(server.as_str().unwrap_or_default()).replace("v2").await.expect("it is replaced");
                }
            }
            stop = site.teeter(&["advance", "1", "--step", &now["cursor"].to_string()]).await;
        }
        let done = run(&site).await;
        assert_eq!(done["state"], "done", "{}: {stop:?}\n{done}", way.strategy);
        assert_eq!(texts(&done), planned, "{}", way.strategy);
        let wanted: Vec<String> = planned
            .into_iter()
            .filter(|step| ["before-out", "after-out", "work", "after-in"].iter().any(|word| step.starts_with(word)))
            .collect();
        assert_eq!(stops, wanted, "{}", way.strategy);
        let report = load.stop().await.expect("load ends");
        assert!(report.failed().is_empty(), "{}: {report}", way.strategy);
        assert_eq!(site.farm.broken(), 0);
        explained(&site, way.strategy).await;
    }
}

/// How many servers take traffic.
async fn in_service(site: &Site) -> usize {
    let status = site.json(&["status", "app/*"]).await;
    status["servers"].as_array().into_iter().flatten().filter(|server| server["in_service"] == true).count()
}

/// Takes a run to each of its stops in turn, and gives it the command there.
async fn at_every_stop(ways: &[Way], command: &[&str], judge: impl AsyncFn(&Way, &Site, &str, [Ended; 3])) {
    for way in ways {
        let mut stop = 0;
        loop {
            let site = way.site().await;
            assert_eq!(site.teeter(&way.begin()).await.code, 0);
            for _ in 0..stop {
                let advanced = site.teeter(&["advance", "1"]).await;
                assert_eq!(advanced.code, 0, "{advanced:?}");
            }
            let now = run(&site).await;
            if now["state"] == "done" {
                break;
            }
            let at = format!("{} on {:?} at {}", way.strategy, way.sample, at_step(&now));
            let ended = thrice(&site, command).await;
            judge(way, &site, &at, ended).await;
            stop += 1;
        }
        assert!(stop >= 4, "{} stops {stop} times", way.strategy);
    }
}

/// The step that the run is at, and the numbers of all holds. Their servers may still be being emptied.
async fn stand(site: &Site) -> (Value, Vec<Value>) {
    let holds = site.json(&["holds"]).await;
    let ids = holds["holds"].as_array().into_iter().flatten().map(|hold| hold["id"].clone());
    (run(site).await["cursor"].clone(), ids.collect())
}

fn at_step(run: &Value) -> &str {
    step_of(run).expect("it is at a step")
}

#[tokio::test]
async fn abort_ends_the_run_at_every_step() {
    at_every_stop(&WAYS, &["abort", "1"], async |way, site, at, ended| {
        for ended in &ended {
            assert_eq!(ended.code, 0, "{at}: {ended:?}");
        }
        let state = run(site).await["state"].clone();
        assert!(state == "aborted" || state == "rolled back", "{at}: {state}");
        explained(site, at).await;
        // Nothing was changed on the servers, so all who may come back have.
        if way.strategy != "blue-green" {
            assert_eq!(site.bits().await, [0; 4], "{at}");
        }
        let answer = teeter_lab::get(site.farm.addr(), "/").await.expect("it answers");
        assert_eq!(answer.status, 200, "{at}");
    })
    .await;
}

#[tokio::test]
async fn rollback_succeeds_or_says_what_to_do_at_every_step() {
    // By servers and by a route, and where there never is a way back.
    at_every_stop(&WAYS[1..], &["rollback", "1"], async |_, site, at, ended| {
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
        explained(site, at).await;
    })
    .await;
}

#[tokio::test]
async fn pause_and_resume_change_only_the_pace() {
    for way in &WAYS {
        let site = way.site().await;
        assert_eq!(site.teeter(&way.begin()).await.code, 0);
        let mut stops = 0;
        while run(&site).await["state"] == "running" {
            let now = run(&site).await;
            let at = format!("{} on {:?} at {}", way.strategy, way.sample, at_step(&now));
            let before = stand(&site).await;
            for command in ["pause", "resume"] {
                for ended in &thrice(&site, &[command, "1"]).await {
                    assert_eq!(ended.code, 0, "{at}: {ended:?}");
                }
                assert_eq!(stand(&site).await, before, "{at}: {command}");
            }
            let failed = site.teeter(&["advance", "1", "--failed", "no"]).await;
            assert_eq!(failed.code, 0, "{at}: {failed:?}");
            let retried = thrice(&site, &["retry", "1"]).await;
            assert_eq!(retried.iter().filter(|ended| ended.code == 0).count(), 1, "{at}: {retried:?}");
            assert_eq!(stand(&site).await, before, "{at}: retry");
            explained(&site, &at).await;
            let advanced = site.teeter(&["advance", "1"]).await;
            assert_eq!(advanced.code, 0, "{at}: {advanced:?}");
            stops += 1;
        }
        assert!(stops >= 4, "{} stops {stops} times", way.strategy);
    }
}
