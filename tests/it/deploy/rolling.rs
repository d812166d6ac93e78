//! Rolling: batch by batch, and failed batches.

use std::time::Duration;

use teeter_lab::{FarmSpec, Load, LoadSpec};

use crate::fixtures::exit;
use crate::fixtures::site::{MAINT, Site, finish, until};

fn load(site: &Site) -> Load {
    let spec = LoadSpec { connections: 16, pause: Duration::from_millis(2), ..LoadSpec::new(site.farm.addr()) };
    Load::start(spec).expect("load starts")
}

const ROLL: [&str; 8] = ["deploy", "web", "--strategy", "rolling", "--settle", "0s", "--to", "v2"];

fn roll<'a>(more: &[&'a str]) -> Vec<&'a str> {
    [&ROLL, more].concat()
}

/// The texts of a plan's steps.
fn steps(run: &serde_json::Value) -> Vec<String> {
    let steps = run["steps"].as_array().into_iter().flatten();
    steps.map(|step| step["text"].as_str().unwrap_or_default().to_owned()).collect()
}

#[tokio::test]
async fn rolling_under_load_fails_no_request() {
    let work = Duration::from_millis(1)..Duration::from_millis(10);
    let site = Site::start_with("min_available = 2", FarmSpec { work, ..FarmSpec::default() }).await;
    let planned = site.json(&roll(&["--batch", "50%", "--dry-run"])).await;
    let load = load(&site);
    load.more(500).await;
    let hook = site.hook();
    let ended = site.teeter(&roll(&["--batch", "50%", "--", &hook])).await;
    assert_eq!(ended.code, 0, "{ended:?}\n{}", site.daemon.log());
    load.more(500).await;
    let report = load.stop().await.expect("load ends");
    assert!(report.failed().is_empty(), "{report}");
    for app in site.farm.apps() {
        assert_eq!((app.version().as_str(), app.broken()), ("v2", 0), "{}", app.name());
        let replacements = app.log_of_replacements();
        assert_eq!(replacements.iter().map(|r| r.in_flight).collect::<Vec<_>>(), [0], "{}", app.name());
    }
    assert_eq!(site.bits().await, [0; 4]);
    let run = site.json(&["show", "1"]).await;
    assert_eq!(steps(&planned), steps(&run), "the run has the steps of the plan");
    let log = std::fs::read_to_string(site.farm.dir().join("hook.log")).expect("the hook has run");
    assert_eq!(log, "web01 batch-1 v2\nweb02 batch-1 v2\nweb03 batch-2 v2\nweb04 batch-2 v2\n");
}

#[tokio::test]
async fn unverified_batch_stays_out_and_the_rest_serves() {
    let site = Site::start_with("verify.deadline = \"4s\"", FarmSpec::default()).await;
    let hook = site.hook();
    // The hook does not change the second batch.
    let script = format!("if [ \"$TEETER_GROUP\" = batch-2 ]; then exit 0; fi; {hook}");
    let ended = site.teeter(&roll(&["--", "sh", "-c", &script])).await;
    assert_eq!(ended.code, exit::FAILED, "{ended:?}");
    assert!(ended.err.contains("web02 runs v1 and not v2"), "{ended:?}");
    assert_eq!(site.bits().await, [0, MAINT, 0, 0]);
    assert_eq!(site.farm.versions(), ["v2", "v1", "v1", "v1"]);
    // An operator fixes the server, and the run continues there.
    site.farm.app("web02").replace("v2").await.expect("it is replaced");
    let advanced = site.teeter(&["advance", "1"]).await;
    assert!(advanced.out.contains("TEETER_SERVERS=web03"), "{advanced:?}");
    assert_eq!(site.bits().await, [0, 0, MAINT, 0]);
    for _ in 0..2 {
        let ended = site.teeter(&["abort", "1"]).await;
        assert_eq!(ended.code, 0, "{ended:?}");
    }
    assert_eq!(site.bits().await, [0; 4]);
}

#[tokio::test]
async fn max_failed_leaves_a_failed_server_out() {
    let site = Site::start_with("verify.deadline = \"4s\"", FarmSpec::default()).await;
    let hook = site.hook();
    let script = format!("if [ \"$TEETER_SERVERS\" = web02 ]; then exit 7; fi; {hook}");
    let ended = site.teeter(&roll(&["--max-failed", "1", "--", "sh", "-c", &script])).await;
    assert_eq!(ended.code, 0, "{ended:?}");
    assert!(ended.err.contains("not deployed to: web02: the work on group batch-2 failed"), "{ended:?}");
    assert!(ended.err.contains("teeter ready web02"), "{ended:?}");
    assert_eq!(site.bits().await, [0, MAINT, 0, 0]);
    assert_eq!(site.farm.versions(), ["v2", "v1", "v2", "v2"]);
    let states = site.json(&["show", "1"]).await["steps"].clone();
    let state = |text: &str| {
        states.as_array().into_iter().flatten().find(|step| step["text"] == text).map(|step| step["state"].clone())
    };
    assert_eq!((state("work batch-2"), state("verify batch-2")), (Some("failed".into()), Some("skipped".into())));
    let ready = site.teeter(&["ready", "web02", "--force"]).await;
    assert_eq!(ready.code, 0, "{ready:?}");
    // With one more failed server than allowed the run stops: the third is not changed.
    let script = "if [ \"$TEETER_SERVERS\" = web01 ]; then exit 7; fi; exit 8";
    let ended = site.teeter(&roll(&["--max-failed", "1", "--", "sh", "-c", script])).await;
    assert_eq!(ended.code, exit::FAILED, "{ended:?}");
    assert_eq!(site.bits().await, [MAINT, MAINT, 0, 0]);
}

#[tokio::test]
async fn unreachable_server_is_skipped() {
    let site = Site::start().await;
    site.farm.app("web03").set_healthy(false);
    site.farm.haproxy().wait_for_status("app/web03", "DOWN").await.expect("HAProxy notices");
    let hook = site.hook();
    let ended = site.teeter(&roll(&["--", &hook])).await;
    assert_eq!(ended.code, 0, "{ended:?}");
    assert_eq!(site.farm.versions(), ["v2", "v2", "v1", "v2"]);
    let run = site.json(&["show", "1"]).await;
    assert!(run["skipped"]["web03"].as_str().is_some_and(|why| why.contains("DOWN")), "{run}");
}

#[tokio::test]
async fn server_that_fails_before_its_batch_is_skipped_and_counts_as_out() {
    let site = Site::start_with("min_available = 3\nverify.deadline = \"3s\"", FarmSpec::default()).await;
    let hook = site.hook();
    let unhealthy = site.farm.app("web04");
    let go = site.farm.dir().join("go");
    let waits = format!("while [ ! -e {} ]; do sleep 0.05; done", go.display());
    let deploy = site.daemon.spawn(&roll(&["--after-in", &waits, "--", &hook]));
    until(|| async { site.farm.app("web01").version() == "v2" && site.bits().await == [0; 4] }).await;
    unhealthy.set_healthy(false);
    site.farm.haproxy().wait_for_status("app/web04", "DOWN").await.expect("HAProxy notices");
    std::fs::write(&go, "").expect("it is written");
    let ended = finish(deploy).await;
    // With one server down, two others would stay: too few to take another one out.
    assert_eq!(ended.code, exit::REFUSED, "{ended:?}");
    assert!(ended.err.contains("and 3 are needed"), "{ended:?}");
    assert_eq!(site.bits().await, [0; 4]);
}

#[tokio::test]
async fn servers_without_the_version_are_named_at_the_end() {
    let site = Site::start_with("verify.deadline = \"3s\"", FarmSpec::default()).await;
    let hook = site.hook();
    // A hook installs the old version on a server of an earlier batch again.
    let back = format!("[ $TEETER_GROUP != batch-4 ] || TEETER_SERVERS=web02 TEETER_VERSION=v1 {hook}");
    let ended = site.teeter(&roll(&["--after-in", &back, "--", &hook])).await;
    assert_eq!(ended.code, exit::FAILED, "{ended:?}");
    assert!(ended.err.contains("has failed at `ask all`: in service, but not as deployed: web02 runs v1 and not v2"));
    assert_eq!(site.bits().await, [0; 4], "no server is taken out for it");
    site.farm.app("web02").replace("v2").await.expect("it is replaced");
    let retried = site.teeter(&["retry", "1"]).await;
    assert_eq!(retried.code, 0, "{retried:?}");
    assert_eq!(site.json(&["show", "1"]).await["state"], "done");
}

#[tokio::test]
async fn farm_of_one_server_needs_allow_outage() {
    let site = Site::start().await;
    let one = "[farm.one]\nmembers = [\"app/web01\", \"api/web01\"]\n";
    let others = ["web02", "web03", "web04"].map(|name| format!("set server app/{name} state maint"));
    for command in &others {
        site.farm.haproxy().cmd(command).await.expect("HAProxy answers");
    }
    site.daemon.reconfigure(|toml| format!("{toml}\n{one}")).await;
    let deploy = ["deploy", "one", "--strategy", "rolling", "--settle", "0s", "--to", "v2"];
    let hook = site.hook();
    let refused = site.teeter(&[&deploy[..], &["--", &hook]].concat()).await;
    assert_eq!(refused.code, exit::REFUSED, "{refused:?}");
    assert!(refused.err.contains("would be left without a server in service"), "{refused:?}");
    let ended = site.teeter(&[&deploy[..], &["--allow-outage", "--", &hook]].concat()).await;
    assert_eq!(ended.code, 0, "{ended:?}");
    assert_eq!(site.farm.app("web01").version(), "v2");
}

#[tokio::test]
async fn invalid_rolling_options_are_refused_before_any_change() {
    let site = Site::start().await;
    for (more, code, words) in [
        (&["--batch", "5"][..], exit::REFUSED, "a batch of 5 is more than the farm, which has 4 members"),
        (&["--batch", "0"], exit::USAGE, "neither a number of members"),
        (&["--batch", "150%"], exit::USAGE, "neither a number of members"),
        (&["--batch", "4"], exit::REFUSED, "would be left without a server"),
    ] {
        let ended = site.teeter(&roll(&[more, &["--", "true"]].concat())).await;
        assert_eq!(ended.code, code, "{more:?}: {ended:?}");
        assert!(ended.err.contains(words), "{more:?}: {ended:?}");
    }
    let ended = site.teeter(&["deploy", "web", "--batch", "2", "--", "true"]).await;
    assert_eq!(ended.code, exit::USAGE, "{ended:?}");
    assert!(site.json(&["runs"]).await["runs"].as_array().is_some_and(Vec::is_empty));
    assert_eq!(site.bits().await, [0; 4]);
}
