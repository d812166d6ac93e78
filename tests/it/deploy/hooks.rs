//! Hooks of a deploy: their output, their deadline, and several of them at once.

use teeter_lab::write_script;

use crate::fixtures::exit;
use crate::fixtures::site::{MAINT, Site, finish, until};

/// A rolling deploy in two batches of two.
const BATCHES: [&str; 8] = ["deploy", "web", "--strategy", "rolling", "--settle", "0s", "--batch", "50%"];

/// A rolling deploy of all but one server at once.
const THREE: [&str; 8] = ["deploy", "web", "--strategy", "rolling", "--settle", "0s", "--batch", "3"];

fn with<'a>(deploy: &[&'a str], more: &[&'a str]) -> Vec<&'a str> {
    [deploy, more].concat()
}

/// The texts of a run's events of a kind.
async fn events(site: &Site, run: &str, kind: &str) -> Vec<String> {
    let events = site.json(&["events", run, "--limit", "5000"]).await;
    let events = events["events"].as_array().cloned().unwrap_or_default();
    let of_kind = events.iter().filter(|event| event["kind"] == kind);
    of_kind.map(|event| event["text"].as_str().unwrap_or_default().to_owned()).collect()
}

#[tokio::test]
async fn hook_output_is_prefixed_and_kept() {
    let site = Site::start().await;
    let script = r#"printf 'for %s\n\033[31mred\033[0m \377\007\n' "$TEETER_SERVERS"; echo aloud >&2; printf 'no end'"#;
    let ended = site.teeter(&with(&BATCHES, &["--", "sh", "-c", script])).await;
    assert_eq!(ended.code, 0, "{ended:?}");
    for line in ["batch-1 | for web01 web02", "batch-2 | for web03 web04", "batch-1 | red \u{fffd}", "batch-2 | no end"]
    {
        assert!(ended.out.lines().any(|found| found == line), "{line:?}: {ended:?}");
    }
    assert!(ended.err.lines().any(|line| line == "batch-1 | aloud") && !ended.out.contains("aloud"), "{ended:?}");
    let kept = events(&site, "1", "hook.output").await;
    for line in ["batch-1 | for web01 web02", "batch-1 | red \u{fffd}", "batch-2 | aloud", "batch-2 | no end"] {
        assert!(kept.iter().any(|found| found == line), "{line:?}: {kept:?}");
    }
    // Neither the run nor the list of all events shows the hooks' output.
    for command in [&["show", "1"][..], &["events"]] {
        let shown = site.teeter(command).await;
        assert!(!shown.out.contains("no end"), "{command:?}: {shown:?}");
    }
}

#[tokio::test]
async fn with_json_stdout_is_one_document() {
    let site = Site::start().await;
    let ended = site.teeter(&["--json", "deploy", "web", "--per-server", "--", "echo", "hello"]).await;
    let run: serde_json::Value = serde_json::from_str(&ended.out).unwrap_or_else(|error| panic!("{error}: {ended:?}"));
    assert_eq!(run["state"], "done");
    assert!(ended.err.contains("web04 | hello"), "{ended:?}");
}

#[tokio::test]
async fn flood_of_hook_output_is_printed_whole_and_kept_in_part() {
    let site = Site::start().await;
    let script = "i=0; while [ $i -lt 20000 ]; do echo \"line $i of a flood that goes on and on\"; i=$((i+1)); done; \
                  head -c 1000000 /dev/zero | tr '\\0' x; echo; echo last";
    let ended = site.teeter(&["deploy", "web", "--", "sh", "-c", script]).await;
    assert_eq!(ended.code, 0, "{}", ended.err);
    let lines: Vec<&str> = ended.out.lines().collect();
    assert_eq!(lines.iter().filter(|line| line.contains("of a flood")).count(), 40_000);
    assert!(lines.contains(&"a | line 19999 of a flood that goes on and on") && lines.contains(&"b | last"));
    assert_eq!(ended.out.matches('x').count(), 2_000_000);
    let kept = events(&site, "1", "hook.output").await;
    let bytes: usize = kept.iter().map(|line| line.len() + 64).sum();
    assert!(bytes <= 256 << 10 && bytes > 128 << 10, "{bytes}");
    assert_eq!(events(&site, "1", "hook.cut").await.len(), 1);
}

#[tokio::test]
async fn background_process_of_a_hook_does_not_block_the_deploy() {
    let site = Site::start().await;
    let pids = site.farm.dir().join("pids");
    let script = format!("sleep 600 & echo $! >>{}; echo begun", pids.display());
    let ended = site.teeter(&["deploy", "web", "--", "sh", "-c", &script]).await;
    assert_eq!(ended.code, 0, "{ended:?}");
    assert!(ended.out.contains("b | begun"), "{ended:?}");
    for pid in std::fs::read_to_string(pids).expect("they were begun").lines() {
        let killed = tokio::process::Command::new("kill").arg(pid).status().await.expect("kill runs");
        assert!(killed.success(), "it was there to the end");
    }
}

#[tokio::test]
async fn hook_and_run_continue_after_a_killed_daemon() {
    let mut site = Site::start().await;
    let (begun, go) = (site.farm.dir().join("begun"), site.farm.dir().join("go"));
    let script = format!(
        "touch {}; while [ ! -e {} ]; do sleep 0.05; done; echo meanwhile; echo after",
        begun.display(),
        go.display()
    );
    let deploy = site.daemon.spawn(&["deploy", "web", "--", "sh", "-c", &script]);
    until(|| async { begun.exists() }).await;
    site.daemon.kill().await;
    std::fs::write(&go, "").expect("it is written");
    site.daemon.restart().await;
    let ended = finish(deploy).await;
    assert_eq!(ended.code, 0, "{ended:?}");
    assert!(ended.out.contains("a | meanwhile"), "{ended:?}");
    // The output of that time was sent with that of the second half's hook, at the latest.
    let kept = events(&site, "1", "hook.output").await;
    assert!(kept.iter().any(|line| line == "a | meanwhile"), "{kept:?}");
}

#[tokio::test]
async fn hook_past_its_deadline_is_killed() {
    let site = Site::start().await;
    let pid = site.farm.dir().join("pid");
    // The hook and its child process ignore SIGTERM.
    let script = format!("trap '' TERM; sh -c 'trap \"\" TERM; sleep 600' & echo $! >{}; wait; wait", pid.display());
    let ended = site.teeter(&["deploy", "web", "--hook-timeout", "300ms", "--", "sh", "-c", &script]).await;
    assert_eq!(ended.code, exit::FAILED, "{ended:?}");
    assert!(ended.err.contains("hook took longer than 300ms and was ended"), "{ended:?}");
    assert_eq!(site.bits().await, [MAINT, MAINT, 0, 0]);
    let pid = std::fs::read_to_string(pid).expect("it was begun");
    let state = || std::fs::read_to_string(format!("/proc/{}/stat", pid.trim())).unwrap_or_default();
    until(|| async { state().is_empty() || state().contains(") Z ") }).await;
}

/// A hook that records how many hooks run at once, and runs until the file `go` exists.
fn counting(site: &Site, end: &str) -> String {
    let dir = site.farm.dir();
    let text = format!(
        "#!/bin/sh\ncd {} || exit 9\nmkdir busy.$TEETER_SERVERS || exit 9\nls -d busy.* | wc -l >>counts\n\
         while [ ! -e go ]; do sleep 0.02; done\nrmdir busy.$TEETER_SERVERS\n{end}\n",
        dir.display()
    );
    write_script(&dir.join("counting.sh"), &text).expect("a hook is written").display().to_string()
}

fn counts(site: &Site) -> Vec<u32> {
    let text = std::fs::read_to_string(site.farm.dir().join("counts")).unwrap_or_default();
    text.lines().filter_map(|line| line.trim().parse().ok()).collect()
}

#[tokio::test]
async fn parallel_hooks_are_limited() {
    let site = Site::start().await;
    let hook = counting(&site, "echo done");
    let deploy = site.daemon.spawn(&with(&THREE, &["--per-server", "--parallel", "2", "--", &hook]));
    until(|| async { counts(&site).len() == 2 }).await;
    std::fs::write(site.farm.dir().join("go"), "").expect("it is written");
    let ended = finish(deploy).await;
    assert_eq!(ended.code, 0, "{ended:?}");
    let counts = counts(&site);
    assert_eq!((counts.len(), counts.iter().max()), (4, Some(&2)), "{counts:?}");
    for server in ["web01", "web02", "web03", "web04"] {
        assert!(ended.out.contains(&format!("{server} | done")), "{ended:?}");
    }
}

#[tokio::test]
async fn after_a_failed_hook_running_hooks_end_and_none_begins() {
    let site = Site::start().await;
    let hook = counting(&site, "echo ended\n[ $TEETER_SERVERS = web02 ]");
    let deploy = site.daemon.spawn(&with(&THREE, &["--per-server", "--parallel", "2", "--", &hook]));
    until(|| async { counts(&site).len() == 2 }).await;
    std::fs::write(site.farm.dir().join("go"), "").expect("it is written");
    let ended = finish(deploy).await;
    assert_eq!(ended.code, exit::FAILED, "{ended:?}");
    assert!(ended.out.contains("web02 | ended"), "{ended:?}");
    assert!(ended.err.contains("hook exited with code 1 on web01"), "{ended:?}");
    let run = site.json(&["show", "1"]).await;
    assert_eq!(run["out"], serde_json::json!(["web01", "web02", "web03"]), "{run}");
}
