//! Callers that go away: noticed, said, and where it is wanted made good.

use crate::fixtures::exit;
use crate::fixtures::site::{MAINT, Site, finish, until};

/// A hook that goes on until it is told to end, and takes its time to do so.
fn stubborn(site: &Site) -> (String, String) {
    let dir = site.farm.dir().display();
    let hook =
        format!("trap 'sleep 1; touch {dir}/ended; exit 1' TERM; touch {dir}/begun; while :; do sleep 0.05; done");
    (hook, format!("{dir}/begun"))
}

async fn run(site: &Site) -> serde_json::Value {
    site.json(&["show", "1"]).await
}

#[tokio::test]
async fn dead_caller_is_noticed_and_the_run_stays_at_its_step() {
    let mut site = Site::start().await;
    let (hook, begun) = stubborn(&site);
    let mut deploy = site.daemon.spawn(&["deploy", "web", "--", "sh", "-c", &hook]);
    until(|| async { std::fs::exists(&begun).is_ok_and(|begun| begun) }).await;
    until(|| async { run(&site).await["caller"] == "here" }).await;
    // A restart of teeterd is no reason to give it up.
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
    // Somebody else does the rest.
    for _ in 0..2 {
        let advanced = site.teeter(&["advance", "1"]).await;
        assert_eq!(advanced.code, 0, "{advanced:?}");
    }
    assert_eq!(run(&site).await["state"], "done");
    end_hooks(&site).await;
}

/// Ends the hook that a killed deploy has left behind: it knows no other end than to be told.
async fn end_hooks(site: &Site) {
    let pattern = format!("touch {}/begun", site.farm.dir().display());
    let ended = tokio::process::Command::new("pkill").args(["-TERM", "-f", &pattern]).status().await;
    assert!(ended.expect("pkill runs").success());
}

#[tokio::test]
async fn on_stall_restore_brings_abandoned_servers_back() {
    let site = Site::start().await;
    let (hook, begun) = stubborn(&site);
    let options = ["deploy", "web", "--on-stall", "restore", "--stall-after", "1s", "--", "sh", "-c", &hook];
    let mut deploy = site.daemon.spawn(&options);
    until(|| async { std::fs::exists(&begun).is_ok_and(|begun| begun) }).await;
    until(|| async { run(&site).await["caller"] == "here" }).await;
    deploy.kill().await.expect("it is killed");
    site.wait_for_bits([0; 4]).await;
    until(|| async { run(&site).await["state"] == "aborted" }).await;
    let events = site.teeter(&["events", "1"]).await;
    assert!(events.out.contains("no caller has reported on the work on group a for 1s"), "{events:?}");
    end_hooks(&site).await;
}

#[tokio::test]
async fn work_without_a_report_fails_as_stalled() {
    let site = Site::with("on_stall = { after = \"1s\", do = \"hold\" }", teeter_lab::FarmSpec::default()).await;
    let begun = site.teeter(&["begin", "web"]).await;
    assert_eq!(begun.code, 0, "{begun:?}");
    until(|| async { run(&site).await["state"] == "failed" }).await;
    let stalled = run(&site).await;
    assert_eq!(stalled["failure"], "stalled", "{stalled}");
    assert_eq!(site.bits().await, [MAINT, MAINT, 0, 0]);
    // It is not too late for it.
    let advanced = site.teeter(&["advance", "1"]).await;
    assert!(advanced.out.contains("TEETER_GROUP=b"), "{advanced:?}");
}

#[tokio::test]
async fn abort_waits_for_the_end_of_the_hook() {
    let site = Site::start().await;
    let (hook, begun) = stubborn(&site);
    let deploy = site.daemon.spawn(&["deploy", "web", "--", "sh", "-c", &hook]);
    until(|| async { std::fs::exists(&begun).is_ok_and(|begun| begun) }).await;
    until(|| async { run(&site).await["caller"] == "here" }).await;
    let aborted = site.teeter(&["abort", "1"]).await;
    assert_eq!(aborted.code, 0, "{aborted:?}");
    let ended = site.farm.dir().join("ended");
    assert!(ended.exists(), "servers came back while the hook was at work");
    assert_eq!(site.bits().await, [0; 4]);
    let deploy = finish(deploy).await;
    assert_eq!(deploy.code, exit::ABORTED, "{deploy:?}");
}

#[tokio::test]
async fn servers_stay_out_while_their_caller_does_not_stop() {
    let site = Site::start().await;
    let (hook, begun) = stubborn(&site);
    let mut deploy = site.daemon.spawn(&["deploy", "web", "--", "sh", "-c", &hook]);
    until(|| async { std::fs::exists(&begun).is_ok_and(|begun| begun) }).await;
    until(|| async { run(&site).await["caller"] == "here" }).await;
    // It is told to stop, and cannot.
    let pid = deploy.id().expect("it runs");
    send("-STOP", pid).await;
    let aborted = site.teeter(&["abort", "1"]).await;
    assert_eq!(aborted.code, exit::TIMED_OUT, "{aborted:?}");
    let end = format!("next: end process {pid}, and what it has started");
    assert!(aborted.err.contains("its caller has not stopped working") && aborted.err.contains(&end), "{aborted:?}");
    assert!(site.teeter(&["show", "1"]).await.out.contains(&end));
    assert_eq!(site.bits().await, [MAINT, MAINT, 0, 0]);
    // As soon as it has stopped what is well comes back.
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
        let (hook, begun) = stubborn(&site);
        // More than the pipe to this test takes, which reads none of it.
        let hook = format!("yes 'much to say, and nobody listens' | head -n 20000; {hook}");
        let mut deploy = site.daemon.spawn(&["deploy", "web", "--", "sh", "-c", &hook]);
        until(|| async { std::fs::exists(&begun).is_ok_and(|begun| begun) }).await;
        until(|| async { run(&site).await["caller"] == "here" }).await;
        let code = if by_abort {
            let aborted = site.teeter(&["abort", "1"]).await;
            assert_eq!(aborted.code, 0, "{aborted:?}");
            7
        } else {
            send("-TERM", deploy.id().expect("it runs")).await;
            1
        };
        let ended = tokio::time::timeout(std::time::Duration::from_secs(60), deploy.wait()).await;
        assert_eq!(ended.expect("it ends").expect("it ran").code(), Some(code));
        assert!(site.farm.dir().join("ended").exists(), "the hook was not told to end");
    }
}

async fn send(signal: &str, pid: u32) {
    let sent = tokio::process::Command::new("kill").args([signal, &pid.to_string()]).status().await;
    assert!(sent.expect("kill runs").success());
}
