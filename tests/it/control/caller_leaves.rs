//! Callers that die or do not stop: teeterd notices them, reports them, and restores servers if so configured.

use tokio::process::Child;

use crate::fixtures::exit;
use crate::fixtures::site::{MAINT, Site, finish, until};

/// A hook that runs until SIGTERM, and ends a second after it.
fn slow_hook(site: &Site) -> String {
    let dir = site.farm.dir().display();
    format!("trap 'sleep 1; touch {dir}/ended; exit 1' TERM; touch {dir}/begun; while :; do sleep 0.05; done")
}

/// Starts a deploy with these options and that hook, and waits until the hook runs and teeterd sees the caller.
async fn deploy_at_work(site: &Site, options: &[&str], hook: &str) -> Child {
    let deploy = site.daemon.spawn(&[&["deploy", "web"], options, &["--", "sh", "-c", hook]].concat());
    let begun = site.farm.dir().join("begun");
    until(|| async { begun.exists() }).await;
    until(|| async { run(site).await["caller"] == "here" }).await;
    deploy
}

async fn run(site: &Site) -> serde_json::Value {
    site.json(&["show", "1"]).await
}

#[tokio::test]
async fn dead_caller_is_noticed_and_the_run_stays_at_its_step() {
    let mut site = Site::start().await;
    let mut deploy = deploy_at_work(&site, &[], &slow_hook(&site)).await;
    // After a restart teeterd still has the caller.
    site.daemon.kill().await;
    site.daemon.restart().await;
    assert_eq!(run(&site).await["caller"], "here");
    deploy.kill().await.expect("it is killed");
    until(|| async { run(&site).await["caller"] == "gone" }).await;
    let shown = site.teeter(&["show", "1"]).await;
    assert!(shown.out.contains("the caller has gone"), "{shown:?}");
    assert_eq!(site.bits().await, [MAINT, MAINT, 0, 0]);
    let events = site.teeter(&["events", "1"]).await;
    assert!(events.out.contains("its caller has gone"), "{events:?}");
    // Another caller finishes the run.
    for _ in 0..2 {
        let advanced = site.teeter(&["advance", "1"]).await;
        assert_eq!(advanced.code, 0, "{advanced:?}");
    }
    assert_eq!(run(&site).await["state"], "done");
    end_hooks(&site).await;
}

/// Ends the hook of a killed deploy, which runs until SIGTERM.
async fn end_hooks(site: &Site) {
    let pattern = format!("touch {}/begun", site.farm.dir().display());
    let ended = tokio::process::Command::new("pkill").args(["-TERM", "-f", &pattern]).status().await;
    assert!(ended.expect("pkill runs").success());
}

#[tokio::test]
async fn on_stall_restore_brings_abandoned_servers_back() {
    let site = Site::start().await;
    let options = ["--on-stall", "restore", "--stall-after", "1s"];
    let mut deploy = deploy_at_work(&site, &options, &slow_hook(&site)).await;
    deploy.kill().await.expect("it is killed");
    site.wait_for_bits([0; 4]).await;
    until(|| async { run(&site).await["state"] == "aborted" }).await;
    let events = site.teeter(&["events", "1"]).await;
    assert!(events.out.contains("no caller has reported on the work on group a for 1s"), "{events:?}");
    end_hooks(&site).await;
}

#[tokio::test]
async fn work_without_a_report_fails_as_stalled() {
    let site = Site::start_with("on_stall = { after = \"1s\", do = \"hold\" }", teeter_lab::FarmSpec::default()).await;
    let begun = site.teeter(&["begin", "web"]).await;
    assert_eq!(begun.code, 0, "{begun:?}");
    until(|| async { run(&site).await["state"] == "failed" }).await;
    let stalled = run(&site).await;
    assert_eq!(stalled["failure"], "stalled", "{stalled}");
    assert_eq!(site.bits().await, [MAINT, MAINT, 0, 0]);
    // A late report is still accepted.
    let advanced = site.teeter(&["advance", "1"]).await;
    assert!(advanced.out.contains("TEETER_GROUP=b"), "{advanced:?}");
}

#[tokio::test]
async fn abort_waits_for_the_end_of_the_hook() {
    let site = Site::start().await;
    let deploy = deploy_at_work(&site, &[], &slow_hook(&site)).await;
    let aborted = site.teeter(&["abort", "1"]).await;
    assert_eq!(aborted.code, 0, "{aborted:?}");
    let ended = site.farm.dir().join("ended");
    assert!(ended.exists(), "servers came back while the hook was at work");
    site.wait_for_bits([0; 4]).await;
    let deploy = finish(deploy).await;
    assert_eq!(deploy.code, exit::ABORTED, "{deploy:?}");
}

#[tokio::test]
async fn servers_stay_out_while_their_caller_does_not_stop() {
    let site = Site::start().await;
    let mut deploy = deploy_at_work(&site, &[], &slow_hook(&site)).await;
    // The stopped process cannot react to the abort.
    let pid = deploy.id().expect("it runs");
    send("-STOP", pid).await;
    let aborted = site.teeter(&["abort", "1"]).await;
    assert_eq!(aborted.code, exit::TIMED_OUT, "{aborted:?}");
    let end = format!("next: end process {pid}, and what it has started");
    assert!(aborted.err.contains("its caller has not stopped working") && aborted.err.contains(&end), "{aborted:?}");
    assert!(site.teeter(&["show", "1"]).await.out.contains(&end));
    assert_eq!(site.bits().await, [MAINT, MAINT, 0, 0]);
    // Once the caller has stopped its work, the healthy servers come back.
    send("-CONT", pid).await;
    until(|| async { run(&site).await["state"] == "aborted" }).await;
    assert!(site.farm.dir().join("ended").exists(), "servers came back while the hook was at work");
    assert_eq!(site.bits().await, [0; 4]);
    assert_eq!(deploy.wait().await.expect("it ends").code(), Some(exit::ABORTED));
}

#[tokio::test]
async fn deploy_with_unread_output_stops_too() {
    for by_abort in [true, false] {
        let site = Site::start().await;
        // The output is more than the pipe to this test holds, which reads none of it.
        let hook = format!("yes 'a line that the test does not read' | head -n 20000; {}", slow_hook(&site));
        let mut deploy = deploy_at_work(&site, &[], &hook).await;
        let code = if by_abort {
            let aborted = site.teeter(&["abort", "1"]).await;
            assert_eq!(aborted.code, 0, "{aborted:?}");
            exit::ABORTED
        } else {
            send("-TERM", deploy.id().expect("it runs")).await;
            exit::FAILED
        };
        let ended = tokio::time::timeout(std::time::Duration::from_secs(60), deploy.wait()).await;
        assert_eq!(ended.expect("it ends").expect("it ran").code(), Some(code));
        assert!(site.farm.dir().join("ended").exists(), "the hook got no SIGTERM");
    }
}

async fn send(signal: &str, pid: u32) {
    let sent = tokio::process::Command::new("kill").args([signal, &pid.to_string()]).status().await;
    assert!(sent.expect("kill runs").success());
}
