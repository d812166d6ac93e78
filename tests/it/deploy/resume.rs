//! Going on with a run that has stopped: `teeter deploy --resume`, `teeter continue`, `teeter show --variables`.

use serde_json::Value;

use crate::fixtures::exit;
use crate::fixtures::site::{MAINT, Site, finish, until};

async fn run(site: &Site, id: &str) -> Value {
    site.json(&["show", id]).await
}

/// A hook that fails for a group while its file `fail-GROUP` exists, and writes down its group and version.
fn hook_that_may_fail(site: &Site) -> String {
    let dir = site.farm.dir().display();
    format!(
        "echo \"$TEETER_RUN $TEETER_STEP $TEETER_GROUP $TEETER_VERSION $TEETER_SERVERS\" >>{dir}/calls; \
         [ ! -e {dir}/fail-$TEETER_GROUP ]"
    )
}

fn calls(site: &Site) -> Vec<String> {
    let text = std::fs::read_to_string(site.farm.dir().join("calls")).unwrap_or_default();
    text.lines().map(ToOwned::to_owned).collect()
}

#[tokio::test]
async fn failed_hook_is_run_again_in_the_same_run() {
    let site = Site::start().await;
    let (hook, fail) = (hook_that_may_fail(&site), site.farm.dir().join("fail-a"));
    std::fs::write(&fail, "").expect("the file is written");
    let failed = site.teeter(&["deploy", "web", "--to", "v1", "--", "sh", "-c", &hook]).await;
    assert_eq!(failed.code, exit::FAILED, "{failed:?}");
    assert!(failed.err.contains("`teeter deploy --resume 1 -- HOOK`"), "{failed:?}");
    // `continue` has no hook to run: it names the command that has one.
    let refused = site.teeter(&["continue", "1"]).await;
    assert_eq!(refused.code, exit::REFUSED, "{refused:?}");
    assert!(refused.err.contains("`teeter deploy --resume 1 -- HOOK`"), "{refused:?}");
    assert_eq!(site.bits().await, [MAINT, MAINT, 0, 0]);
    std::fs::remove_file(&fail).expect("the file is removed");
    let resumed = site.teeter(&["deploy", "--resume", "1", "--", "sh", "-c", &hook]).await;
    assert_eq!(resumed.code, 0, "{resumed:?}");
    assert!(resumed.out.contains("run 1: see-saw of web to v1 is done"), "{resumed:?}");
    assert_eq!(site.bits().await, [0; 4]);
    let calls = calls(&site);
    assert_eq!(calls.len(), 3, "{calls:?}");
    assert_eq!(calls[0], calls[1]);
    assert!(calls[1].starts_with("1 ") && calls[1].ends_with(" a v1 web01 web02"), "{calls:?}");
    assert!(calls[2].ends_with(" b v1 web03 web04"), "{calls:?}");
    let steps = run(&site, "1").await["steps"].clone();
    let times = |step: &Value| (step["began"].is_string(), step["ended"].is_string());
    assert!(steps.as_array().expect("a list").iter().all(|step| times(step) == (true, true)), "{steps}");
    for ended in [&["deploy", "--resume", "1", "--", "true"][..], &["continue", "1"]] {
        let refused = site.teeter(ended).await;
        assert_eq!(refused.code, exit::REFUSED, "{ended:?}: {refused:?}");
        assert!(refused.err.contains("run 1 has ended (done)"), "{refused:?}");
    }
}

#[tokio::test]
async fn run_of_a_killed_deploy_is_taken_over_with_its_variables() {
    let site = Site::start().await;
    let begun = site.farm.dir().join("begun");
    let wait = format!("echo $$ >{}; exec sleep 600", begun.display());
    let mut deploy = site.daemon.spawn(&["deploy", "web", "--to", "v1", "--", "sh", "-c", &wait]);
    until(|| async { std::fs::read_to_string(&begun).is_ok_and(|pid| pid.ends_with('\n')) }).await;
    until(|| async { run(&site, "1").await["caller"] == "here" }).await;
    // While the first caller works, no other may.
    let busy = site.teeter(&["deploy", "--resume", "1", "--", "true"]).await;
    assert_eq!(busy.code, exit::BUSY, "{busy:?}");
    assert!(busy.err.contains("only one caller at a time may") && busy.err.contains("hint: end"), "{busy:?}");
    let variables = site.teeter(&["show", "1", "--variables"]).await;
    assert!(variables.out.contains("TEETER_GROUP=a\nTEETER_SERVERS='web01 web02'\n"), "{variables:?}");
    assert!(variables.out.contains("TEETER_RUN=1\n") && variables.out.contains("TEETER_VERSION=v1\n"), "{variables:?}");
    deploy.kill().await.expect("it is killed");
    let hook = hook_that_may_fail(&site);
    let resumed = site.teeter(&["deploy", "--resume", "1", "--", "sh", "-c", &hook]).await;
    assert_eq!(resumed.code, 0, "{resumed:?}");
    assert!(resumed.err.contains("what it started may still run"), "{resumed:?}");
    assert_eq!(calls(&site).len(), 2);
    let events = site.teeter(&["events", "1"]).await;
    assert!(events.out.contains("taken over: ") && events.out.contains("`teeter deploy --resume 1`"), "{events:?}");
    let pid = std::fs::read_to_string(&begun).expect("the hook wrote it");
    let ended = tokio::process::Command::new("kill").arg(pid.trim()).status().await.expect("kill runs");
    assert!(ended.success());
}

#[tokio::test]
async fn continue_resumes_a_paused_run_and_tries_a_failed_step_again() {
    let site = Site::start().await;
    let begun = site.teeter(&["begin", "web"]).await;
    assert_eq!(begun.code, 0, "{begun:?}");
    let waits = site.teeter(&["continue", "1"]).await;
    assert_eq!(waits.code, exit::REFUSED, "{waits:?}");
    assert!(waits.err.contains("waits for the deploy on group a: web01 web02"), "{waits:?}");
    assert!(waits.err.contains("`teeter advance 1 --step "), "{waits:?}");
    assert_eq!(site.teeter(&["pause", "1"]).await.code, 0);
    let resumed = site.teeter(&["continue", "1"]).await;
    assert_eq!((resumed.code, run(&site, "1").await["paused"].clone()), (0, Value::Bool(false)), "{resumed:?}");
    assert_eq!(site.teeter(&["abort", "1"]).await.code, 0);
    // A drain that times out, because requests stay.
    let addr = site.farm.addr();
    let slow: Vec<_> = (0..4).map(|_| tokio::spawn(teeter_lab::get(addr, "/slow?ms=2500"))).collect();
    until(|| async { site.farm.in_flight() == 4 }).await;
    let failed = site.teeter(&["begin", "web", "--grace", "0s", "--deadline", "300ms", "--on-deadline", "fail"]).await;
    assert_eq!(failed.code, exit::TIMED_OUT, "{failed:?}");
    assert!(failed.err.contains("`teeter continue 2` to try `drain a` again"), "{failed:?}");
    for slow in slow {
        assert_eq!(slow.await.unwrap().expect("it is answered").status, 200);
    }
    let continued = site.teeter(&["continue", "2"]).await;
    assert_eq!(continued.code, 0, "{continued:?}");
    assert!(continued.out.contains("TEETER_GROUP=a"), "{continued:?}");
    assert_eq!(site.teeter(&["abort", "2"]).await.code, 0);
}

#[tokio::test]
async fn resume_needs_the_hooks_of_the_run_and_no_others() {
    let site = Site::start().await;
    let failed = site.teeter(&["deploy", "web", "--before-out", "true", "--", "false"]).await;
    assert_eq!(failed.code, exit::FAILED, "{failed:?}");
    for (hooks, says) in [
        (&["--", "true"][..], "hooks that are not given: --before-out"),
        (&["--before-out", "true", "--after-in", "true", "--", "true"], "was begun without --after-in"),
    ] {
        let refused = site.teeter(&[&["deploy", "--resume", "1"], hooks].concat()).await;
        assert_eq!(refused.code, exit::USAGE, "{refused:?}");
        assert!(refused.err.contains(says), "{refused:?}");
        assert_eq!(run(&site, "1").await["state"], "failed");
    }
    let conflict = site.teeter(&["deploy", "--resume", "1", "--to", "v3", "--", "true"]).await;
    assert_eq!(conflict.code, exit::USAGE, "{conflict:?}");
    let unknown = site.teeter(&["deploy", "--resume", "7", "--", "true"]).await;
    assert_eq!(unknown.code, exit::NOT_FOUND, "{unknown:?}");
    let resumed = site.daemon.spawn(&["deploy", "--resume", "1", "--before-out", "true", "--", "true"]);
    let resumed = finish(resumed).await;
    assert_eq!(resumed.code, 0, "{resumed:?}");
}
