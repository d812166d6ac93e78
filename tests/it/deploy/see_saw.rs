//! The see-saw: a whole deploy, failures and aborts.

use std::time::Duration;

use teeter_lab::{FarmSpec, Load, LoadSpec};

use crate::fixtures::exit;
use crate::fixtures::site::{DRAIN, MAINT, Site, finish, until};

fn load(site: &Site) -> Load {
    let spec = LoadSpec {
        connections: 16,
        slow_every: Some((50, "/slow?ms=2000".into())),
        pause: Duration::from_millis(2),
        ..LoadSpec::new(site.farm.addr())
    };
    Load::start(spec).expect("load starts")
}

#[tokio::test]
async fn see_saw_under_load_fails_no_request_and_works_on_idle_servers_only() {
    let work = Duration::from_millis(1)..Duration::from_millis(10);
    let site = Site::start_with("", FarmSpec { work, ..FarmSpec::default() }).await;
    let load = load(&site);
    load.more(500).await;
    let hook = site.hook();
    let ended = site.teeter(&["deploy", "web", "--to", "v2", "--", &hook]).await;
    assert_eq!(ended.code, 0, "{ended:?}\n{}", site.daemon.log());
    load.more(500).await;
    let report = load.stop().await.expect("load ends");
    assert!(report.failed().is_empty(), "{report}");
    assert_eq!(report.by_version().len(), 2, "{report}");
    for app in site.farm.apps() {
        assert_eq!((app.version().as_str(), app.broken()), ("v2", 0), "{}", app.name());
        let replacements = app.log_of_replacements();
        assert_eq!(replacements.iter().map(|r| r.in_flight).collect::<Vec<_>>(), [0], "{}", app.name());
    }
    assert_eq!(site.bits().await, [0; 4]);
    assert_eq!(site.json(&["holds"]).await["holds"].as_array().map(Vec::len), Some(0));
    let shown = site.teeter(&["show"]).await.out;
    assert!(shown.contains("from the first to the last reply"), "{shown}");
}

#[tokio::test]
async fn failed_hook_leaves_its_half_out_until_an_abort() {
    let site = Site::start().await;
    let load = load(&site);
    let ended = site.teeter(&["deploy", "web", "--to", "v2", "--", "sh", "-c", "exit 1"]).await;
    assert_eq!(ended.code, exit::FAILED, "{ended:?}");
    assert_eq!(site.bits().await, [MAINT, MAINT, 0, 0]);
    let shown = site.teeter(&["show"]).await;
    assert!(shown.out.contains("teeter advance 1") && shown.out.contains("teeter abort 1"), "{shown:?}");
    let ended = site.teeter(&["deploy", "web", "--", "true"]).await;
    assert_eq!(ended.code, exit::BUSY, "{ended:?}");
    for _ in 0..2 {
        let ended = site.teeter(&["abort", "1"]).await;
        assert_eq!(ended.code, 0, "{ended:?}");
    }
    assert_eq!(site.bits().await, [0; 4]);
    let report = load.stop().await.expect("load ends");
    assert!(report.failed().is_empty(), "{report}");
}

#[tokio::test]
async fn abort_puts_no_second_version_into_service() {
    let site = Site::start().await;
    let hook = site.hook();
    // The hook installs v2 on the first half and then fails.
    let ended = site.teeter(&["deploy", "web", "--to", "v2", "--", "sh", "-c", &format!("{hook}; exit 3")]).await;
    assert_eq!(ended.code, exit::FAILED, "{ended:?}");
    let ended = site.teeter(&["abort", "1"]).await;
    assert!(ended.out.contains("web01") && ended.out.contains("web02"), "{ended:?}");
    assert_eq!(site.bits().await, [MAINT, MAINT, 0, 0]);
    let note = site.json(&["holds"]).await.to_string();
    assert!(note.contains("runs v2 and not v1"), "{note}");
    // The run has ended: an operator may release its holds.
    let ended = site.teeter(&["ready", "web01", "web02", "--force"]).await;
    assert_eq!(ended.code, 0, "{ended:?}");
    assert_eq!(site.bits().await, [0; 4]);
}

#[tokio::test]
async fn maintenance_set_outside_teeter_outlives_the_deploy() {
    let site = Site::start().await;
    site.farm.haproxy().cmd("set server app/web02 state maint").await.expect("HAProxy answers");
    let hook = site.hook();
    let ended = site.teeter(&["deploy", "web", "--to", "v2", "--", &hook]).await;
    assert_eq!(ended.code, 0, "{ended:?}");
    assert_eq!(site.bits().await, [0, MAINT, 0, 0]);
    assert_eq!(site.farm.app("web02").version(), "v1");
    let shown = site.teeter(&["show"]).await;
    assert!(shown.out.contains("web02 is skipped"), "{shown:?}");
}

#[tokio::test]
async fn drain_of_an_operator_outlives_the_deploy() {
    let site = Site::start().await;
    let begun = site.teeter(&["begin", "web"]).await;
    assert_eq!(begun.code, 0, "{begun:?}");
    assert!(begun.out.contains("TEETER_SERVERS='web01 web02'"), "{begun:?}");
    let drained = site.teeter(&["drain", "web04", "--reason", "kernel"]).await;
    assert_eq!(drained.code, 0, "{drained:?}");
    for _ in 0..2 {
        let advanced = site.teeter(&["advance", "1"]).await;
        assert_eq!(advanced.code, 0, "{advanced:?}");
    }
    assert_eq!(site.json(&["show", "1"]).await["state"], "done");
    assert_eq!(site.bits().await, [0, 0, 0, DRAIN]);
    let ready = site.teeter(&["ready", "web04"]).await;
    assert_eq!(ready.code, 0, "{ready:?}");
    assert_eq!(site.bits().await, [0; 4]);
}

#[tokio::test]
async fn missing_version_fails_the_verification() {
    let site = Site::start().await;
    site.daemon.reconfigure(|toml| toml.replace("verify.deadline = \"20s\"", "verify.deadline = \"6s\"")).await;
    let ended = site.teeter(&["deploy", "web", "--to", "v2", "--", "true"]).await;
    assert_eq!(ended.code, exit::FAILED, "{ended:?}");
    assert!(ended.err.contains("runs v1 and not v2"), "{ended:?}");
    assert_eq!(site.bits().await, [MAINT, MAINT, 0, 0]);
    // An operator does the work; `advance` verifies it and continues with the second half.
    for name in ["web01", "web02"] {
        site.farm.app(name).replace("v2").await.expect("it is replaced");
    }
    let advanced = site.teeter(&["advance", "1"]).await;
    assert!(advanced.out.contains("TEETER_SERVERS='web03 web04'"), "{advanced:?}");
    assert_eq!(site.bits().await, [0, 0, MAINT, MAINT]);
}

#[tokio::test]
async fn abort_is_accepted_at_every_step() {
    let site = Site::start().await;
    // During the drain of a half, which a request keeps busy.
    let slow = tokio::spawn(teeter_lab::get(site.farm.addr(), "/slow?ms=1500"));
    until(|| async { site.farm.in_flight() > 0 }).await;
    let deploy = site.daemon.spawn(&["deploy", "web", "--", "true"]);
    until(|| async { !site.json(&["runs"]).await["runs"].as_array().unwrap().is_empty() }).await;
    let aborted = site.teeter(&["abort", "1"]).await;
    assert_eq!(aborted.code, 0, "{aborted:?}");
    assert_eq!(finish(deploy).await.code, exit::ABORTED);
    assert_eq!(slow.await.unwrap().expect("it is answered").status, 200);
    assert_eq!(site.bits().await, [0; 4]);
    // During the work on the second half: no version was deployed, and both halves come back.
    site.teeter(&["begin", "web"]).await;
    site.teeter(&["advance", "2"]).await;
    assert_eq!(site.bits().await, [0, 0, MAINT, MAINT]);
    let aborted = site.teeter(&["abort", "2"]).await;
    assert_eq!(aborted.code, 0, "{aborted:?}");
    assert_eq!(site.bits().await, [0; 4]);
}

#[tokio::test]
async fn abort_ends_the_running_hook() {
    let site = Site::start().await;
    let (begun, ended) = (site.farm.dir().join("begun"), site.farm.dir().join("ended"));
    let hook = format!("touch {}; sleep 600; touch {}", begun.display(), ended.display());
    let deploy = site.daemon.spawn(&["deploy", "web", "--per-server", "--", "sh", "-c", &hook]);
    until(|| async { begun.exists() }).await;
    assert_eq!(site.teeter(&["abort", "1"]).await.code, 0);
    let deployed = finish(deploy).await;
    assert_eq!(deployed.code, exit::ABORTED, "{deployed:?}");
    assert!(deployed.err.contains("ending the hook") && !ended.exists(), "{deployed:?}");
    assert_eq!(site.bits().await, [0; 4]);
}

#[tokio::test]
async fn finished_run_cannot_be_aborted() {
    let site = Site::start().await;
    assert_eq!(site.teeter(&["deploy", "web", "--", "true"]).await.code, 0);
    let late = site.teeter(&["abort", "1"]).await;
    assert_eq!(late.code, exit::REFUSED, "{late:?}");
    assert!(late.err.contains("has ended"), "{late:?}");
}
