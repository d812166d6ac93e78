//! Other callers during a deploy: what they see, and the reports that teeterd refuses from them.

use crate::fixtures::exit;
use crate::fixtures::site::{MAINT, Site, finish, until};

/// A hook that reports its own work as done and as failed, records the exit codes, and waits for a file.
fn reporting_hook(site: &Site) -> String {
    let (dir, teeter) = (site.farm.dir().display(), env!("CARGO_BIN_EXE_teeter"));
    format!(
        "{teeter} advance $TEETER_RUN --step $TEETER_STEP >/dev/null 2>&1; echo done $? >>{dir}/codes; \
         {teeter} advance $TEETER_RUN --failed 2>/dev/null; echo failed $? >>{dir}/codes; \
         touch {dir}/begun.$TEETER_GROUP; while [ ! -e {dir}/go.$TEETER_GROUP ]; do sleep 0.05; done; \
         echo $TEETER_GROUP >>{dir}/worked"
    )
}

/// Waits until the hook works on a group.
async fn wait_for_work(site: &Site, group: &str) {
    let begun = site.farm.dir().join(format!("begun.{group}"));
    until(|| async { begun.exists() }).await;
}

fn file(site: &Site, name: &str) -> String {
    std::fs::read_to_string(site.farm.dir().join(name)).unwrap_or_default()
}

/// Asserts that every report of another caller is refused and changes nothing.
async fn assert_reports_refused(site: &Site) {
    let before = site.json(&["show", "1"]).await;
    for report in [&["advance", "1"][..], &["advance", "1", "--step", "2"], &["advance", "1", "--failed", "no"]] {
        let ended = site.teeter(report).await;
        assert_eq!(ended.code, exit::BUSY, "{report:?}: {ended:?}");
        assert!(ended.err.contains("run 1 is being worked on") && ended.err.contains("`teeter deploy`"), "{ended:?}");
        assert!(ended.err.contains("teeter advance 1 --force"), "{ended:?}");
    }
    let now = site.json(&["show", "1"]).await;
    assert_eq!((&now["cursor"], &now["state"]), (&before["cursor"], &before["state"]));
}

#[tokio::test]
async fn only_the_caller_of_a_deploy_reports_its_work() {
    let mut site = Site::start().await;
    let hook = reporting_hook(&site);
    let deploy = site.daemon.spawn(&["deploy", "web", "--", "sh", "-c", &hook]);
    wait_for_work(&site, "a").await;
    assert_eq!(file(&site, "codes"), "done 8\nfailed 8\n", "reports of the hook are refused");
    let run = site.json(&["show", "1"]).await;
    assert!(run["attendant"]["user"] == run["by"] && run["attendant"]["pid"].is_u64(), "{run}");
    assert!(run["attendant"]["since"].is_string() && run["next"].is_null(), "{run}");
    for command in [&["show", "1"][..], &["runs"]] {
        let shown = site.teeter(command).await;
        assert!(!shown.out.contains("advance") && shown.out.contains("`teeter deploy` with "), "{shown:?}");
        assert!(shown.out.contains("since ") || shown.out.contains(", for "), "{shown:?}");
    }
    assert_reports_refused(&site).await;
    // A restarted teeterd has not seen the caller yet.
    site.daemon.kill().await;
    site.daemon.restart().await;
    assert_reports_refused(&site).await;
    // Another caller may pause and resume the run.
    for (command, state) in [("pause", "paused"), ("resume", "running")] {
        assert_eq!(site.teeter(&[command, "1"]).await.code, 0);
        assert!(site.teeter(&["runs"]).await.out.contains(&format!("  {state}  ")), "{command}");
    }
    assert_eq!(site.bits().await, [MAINT, MAINT, 0, 0]);
    std::fs::write(site.farm.dir().join("go.a"), "").expect("it is written");
    wait_for_work(&site, "b").await;
    assert_eq!(file(&site, "worked"), "a\n");
    assert_reports_refused(&site).await;
    let forced = site.teeter(&["advance", "1", "--force"]).await;
    assert_eq!(forced.code, 0, "{forced:?}");
    let ended = finish(deploy).await;
    assert_eq!(ended.code, 0, "{ended:?}");
    assert_eq!((file(&site, "worked").as_str(), site.bits().await), ("a\n", vec![0; 4]), "the hook was ended");
    let events = site.teeter(&["events", "1"]).await;
    assert!(events.out.contains("advance (by force, while "), "{events:?}");
    // A finished run has no attendant.
    assert_eq!(site.json(&["show", "1"]).await["attendant"], serde_json::Value::Null);
}
