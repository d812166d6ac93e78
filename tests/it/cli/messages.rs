//! The messages about servers that are already out, about failed hooks, and about missing files.

use teeter_lab::FarmSpec;

use crate::fixtures::exit;
use crate::fixtures::site::{Site, until};

#[tokio::test]
async fn refusal_names_the_servers_out_and_the_next_command() {
    let site = Site::start_with("min_available = 2", FarmSpec::default()).await;
    site.farm.app("web02").set_healthy(false);
    until(|| async { site.json(&["status", "app/web02"]).await["servers"][0]["in_service"] == false }).await;
    let held = site.teeter(&["maint", "web01", "--reason", "new disk", "--for", "2d"]).await;
    assert_eq!(held.code, 0, "{held:?}");
    for (command, instead) in [
        (&["drain", "web03", "--reason", "r"][..], "`--allow-outage` takes them out regardless"),
        (&["drain", "web03", "--reason", "r", "--all-but-min"], "`--allow-outage` in place of `--all-but-min`"),
    ] {
        let ended = site.teeter(command).await;
        assert_eq!(ended.code, exit::REFUSED, "{ended:?}");
        assert!(ended.err.contains("app/web02 is DOWN"), "{ended:?}");
        assert!(ended.err.contains("(new disk)") && ended.err.contains("app/web01 is held by "), "{ended:?}");
        assert!(ended.err.contains(instead), "{ended:?}");
    }
    assert_eq!(site.teeter(&["ready", "web01"]).await.code, 0);
    let ended = site.teeter(&["deploy", "web", "--", "true"]).await;
    assert_eq!(ended.code, exit::REFUSED, "{ended:?}");
    assert!(ended.err.contains("app/web02 is DOWN") && ended.err.contains("--strategy rolling"), "{ended:?}");
}

#[tokio::test]
async fn failed_before_out_hook_is_reported_as_such() {
    let site = Site::start().await;
    let ended = site.teeter(&["deploy", "web", "--before-out", "exit 3", "--", "true"]).await;
    assert_eq!(ended.code, exit::FAILED, "{ended:?}");
    assert!(ended.err.contains("group a is still in service") && !ended.err.contains("proof"), "{ended:?}");
    assert!(ended.err.contains("no server of web is kept out"), "{ended:?}");
    assert_eq!(site.bits().await, [0; 4]);
    // After `advance` the run waits for the work, and `retry` has nothing to repeat.
    let advanced = site.teeter(&["advance", "1"]).await;
    assert!(advanced.code == 0 && advanced.out.contains("TEETER_GROUP=a"), "{advanced:?}");
    let retried = site.teeter(&["retry", "1"]).await;
    assert_eq!(retried.code, exit::REFUSED, "{retried:?}");
    assert!(retried.err.contains("has not failed") && retried.err.contains("waits for the work"), "{retried:?}");
    assert!(!retried.err.contains("not waiting for work"), "{retried:?}");
}

#[tokio::test]
async fn missing_file_is_reported_once() {
    let site = Site::start().await;
    let ended = site.teeter(&["store", "verify", "/nowhere/teeter.db"]).await;
    assert_eq!((ended.code, ended.err.matches("No such file").count()), (exit::NOT_FOUND, 1), "{ended:?}");
}

#[tokio::test]
async fn calendar_has_the_day_on_which_a_server_comes_back() {
    let site = Site::start().await;
    assert_eq!(site.teeter(&["maint", "web01", "--reason", "new disk", "--for", "2d"]).await.code, 0);
    assert_eq!(site.teeter(&["maint", "web02", "--reason", "repair"]).await.code, 0);
    let calendar = site.teeter(&["holds", "--calendar"]).await.out;
    let (before, after) =
        calendar.split_once("web01 comes back if healthy (hold 1)").unwrap_or_else(|| panic!("{calendar}"));
    assert!(before.contains("web01 out: ") && before.contains("(new disk)"), "{calendar}");
    assert!(after.contains("web02 out: ") && after.contains("(repair)"), "{calendar}");
}
