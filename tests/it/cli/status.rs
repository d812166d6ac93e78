//! `teeter status`: its summary, its filters, versions, the one line for prompts, and repeated output.

use std::process::Stdio;

use teeter_lab::FarmSpec;
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::Command;

use crate::fixtures::exit;
use crate::fixtures::site::{Ended, Site, until};

/// The first word of each row of the table.
fn listed(ended: &Ended) -> Vec<&str> {
    let rows = ended.out.lines().skip_while(|line| !line.starts_with("SERVER")).skip(1);
    rows.filter_map(|line| line.split_whitespace().next()).filter(|word| word.contains('/')).collect()
}

#[tokio::test]
async fn status_lists_only_what_is_not_normal() {
    let site = Site::start().await;
    until(|| async { site.teeter(&["status", "--short"]).await.out == "4 up\n" }).await;
    let status = site.teeter(&["status"]).await;
    assert!(status.out.starts_with("4 servers: 4 up; 0 in flight (--all lists each server)\n"), "{status:?}");
    assert_eq!(listed(&status), Vec::<&str>::new());
    let all = site.teeter(&["status", "--all"]).await;
    assert_eq!(listed(&all), ["app/web01", "app/web02", "app/web03", "app/web04"]);
    assert!(all.out.contains("app/web01 +api"), "a tracking line is in the row of its server: {all:?}");
    // One is held, one fails its checks.
    site.farm.app("web03").set_healthy(false);
    assert_eq!(site.teeter(&["maint", "web02", "--reason", "new disk"]).await.code, 0);
    until(|| async { site.teeter(&["status", "--short"]).await.out == "2 up, 1 down, 1 held\n" }).await;
    let status = site.teeter(&["status"]).await;
    assert_eq!(listed(&status), ["app/web02", "app/web03"], "{status:?}");
    assert!(status.out.contains("(new disk)"), "{status:?}");
    // A server that is named is listed in any state.
    assert_eq!(listed(&site.teeter(&["status", "web01"]).await), ["app/web01"]);
}

#[tokio::test]
async fn filters_select_by_group_state_and_holder() {
    let site = Site::start().await;
    assert_eq!(site.teeter(&["maint", "web02", "--reason", "new disk"]).await.code, 0);
    let owner = site.json(&["status", "app/web02"]).await["servers"][0]["holders"][0].clone();
    let owner = owner.as_str().expect("the hold has an owner").to_owned();
    for (args, servers) in [
        (&["--state", "held"][..], &["app/web02"][..]),
        (&["--state", "up", "--group", "a"], &["app/web01"]),
        (&["--group", "a"], &["app/web02"]),
        (&["--group", "b", "--all"], &["app/web03", "app/web04"]),
        (&["--farm", "web", "--state", "up", "--state", "held", "--group", "a"], &["app/web01", "app/web02"]),
        (&["--holder", &owner], &["app/web02"]),
        (&["--holder", "run 9"], &[]),
        (&["web0[23]", "--state", "up"], &["app/web03"]),
    ] {
        let status = site.teeter(&[&["status"], args].concat()).await;
        assert_eq!((status.code, listed(&status)), (0, servers.to_vec()), "{args:?}: {status:?}");
    }
    let json = site.json(&["status", "--state", "held"]).await;
    assert_eq!(json["servers"].as_array().map(Vec::len), Some(2), "the line and the line that tracks it: {json}");
    for (args, hint) in [
        (&["--farm", "wbe"][..], "did you mean"),
        (&["--group", "c"], "there are a, b"),
        (&["web0l"], "hint: did you mean web01?"),
    ] {
        let status = site.teeter(&[&["status"], args].concat()).await;
        assert_eq!(status.code, exit::NOT_FOUND, "{status:?}");
        assert!(status.err.contains(hint), "{args:?}: {status:?}");
    }
}

#[tokio::test]
async fn versions_are_shown_and_a_mixture_is_a_warning() {
    let site = Site::start().await;
    let hook = site.hook();
    assert!(!site.teeter(&["status", "--all"]).await.out.contains("VERSION"), "no run has recorded a version");
    assert_eq!(site.teeter(&["deploy", "web", "--to", "v2", "--", &hook]).await.code, 0);
    let status = site.teeter(&["status", "--version", "v2"]).await;
    assert_eq!(listed(&status).len(), 4, "{status:?}");
    assert!(!status.out.contains("several versions"), "{status:?}");
    // The second half fails; while the run is under way, two versions are no surprise.
    let half = format!("case $TEETER_GROUP in a) exec {hook} ;; b) exit 1 ;; esac");
    assert_eq!(site.teeter(&["deploy", "web", "--to", "v3", "--", "sh", "-c", &half]).await.code, exit::FAILED);
    assert!(!site.teeter(&["status"]).await.out.contains("several versions"));
    assert_eq!(site.teeter(&["abort", "2"]).await.code, 0);
    let holds = site.json(&["holds"]).await;
    if holds["holds"].as_array().is_some_and(|holds| !holds.is_empty()) {
        assert_eq!(site.teeter(&["ready", "farm:web/b", "--no-verify"]).await.code, 0);
    }
    until(|| async { site.teeter(&["status", "--short"]).await.out == "4 up\n" }).await;
    let status = site.teeter(&["status"]).await.out;
    let warning = "v2 on web03, web04; v3 on web01, web02: `teeter deploy web --to VERSION -- HOOK` brings all to one";
    assert!(status.contains("several versions") && status.contains(warning), "{status}");
}

#[tokio::test]
async fn servers_are_listed_and_deployed_in_natural_order() {
    let site = Site::start().await;
    let order = site.json(&["begin", "web", "--strategy", "rolling", "--batch", "1", "--dry-run"]).await;
    let batches = order["steps"].as_array().into_iter().flatten().filter(|step| step["servers"][0].is_string());
    let batches: Vec<_> = batches.map(|step| step["servers"][0].clone()).collect();
    assert_eq!(batches, ["web01", "web02", "web03", "web04"]);
}

#[tokio::test]
async fn watch_prints_again_and_survives_a_restart_of_teeterd() {
    let mut site = Site::start_with("", FarmSpec::default()).await;
    let mut command = Command::new(env!("CARGO_BIN_EXE_teeter"));
    command.args(["status", "--watch=50ms", "--color", "never"]).env("TEETER_SOCKET", site.daemon.socket());
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    let mut watch = command.spawn().expect("teeter starts");
    let mut lines = BufReader::new(watch.stdout.take().expect("a pipe")).lines();
    let mut next = async |wanted: &str| loop {
        let line = lines.next_line().await.expect("it can be read").expect("it goes on");
        if line.contains(wanted) {
            return;
        }
    };
    next("4 servers: 4 up").await;
    site.daemon.kill().await;
    let mut errors = BufReader::new(watch.stderr.take().expect("a pipe")).lines();
    let away = errors.next_line().await.expect("it can be read").expect("there is a line");
    assert!(away.starts_with("teeterd does not answer"), "{away}");
    site.daemon.restart().await;
    assert_eq!(site.teeter(&["maint", "web02", "--reason", "new disk"]).await.code, 0);
    next("3 up, 1 held").await;
    let pid = watch.id().expect("it runs").to_string();
    // Not SIGINT: a shell that runs the tests in the background has it ignored by all of its processes.
    assert!(Command::new("kill").args(["-TERM", &pid]).status().await.expect("kill runs").success());
    let ended = watch.wait().await.expect("it ends");
    assert_eq!(std::os::unix::process::ExitStatusExt::signal(&ended), Some(15));
}

#[tokio::test]
async fn colours_appear_only_where_they_are_wanted() {
    let site = Site::start().await;
    assert_eq!(site.teeter(&["maint", "web02", "--reason", "red \u{1b}[31m"]).await.code, exit::USAGE);
    assert_eq!(site.teeter(&["maint", "web02", "--reason", "new disk"]).await.code, 0);
    assert!(!site.teeter(&["status"]).await.out.contains('\u{1b}'), "a pipe has no colours");
    let coloured = site.teeter(&["--color", "always", "status"]).await.out;
    assert!(coloured.contains("\u{1b}[33mapp/web02"), "{coloured:?}");
    assert!(!site.teeter(&["--color", "never", "status"]).await.out.contains('\u{1b}'));
}
