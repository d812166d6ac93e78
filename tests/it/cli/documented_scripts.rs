//! The scripts of the help and the documentation, unchanged, with work that succeeds and with work that fails.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use teeter_lab::write_script;
use tokio::process::Command;

use crate::fixtures::exit;
use crate::fixtures::site::{Ended, MAINT, Site, finish};

/// The loop of `begin` and `advance` in docs/reference.md.
fn loop_in_the_reference() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/reference.md");
    let text = std::fs::read_to_string(path).expect("there is a reference");
    let blocks = text.split("```sh\n").skip(1).filter_map(|rest| rest.split("```").next());
    let mut loops = blocks.filter(|block| block.contains("teeter begin"));
    loops.next().expect("it has a loop").to_owned()
}

/// The same loop in `teeter begin --help`.
fn loop_in_the_help(help: &str) -> String {
    let example = help.split("Example:\n").nth(1).expect("it has an example").split("\n\n").next();
    let lines =
        example.unwrap_or_default().lines().map(|line| format!("{}\n", line.strip_prefix("  ").unwrap_or(line)));
    lines.collect()
}

/// A directory for PATH with `teeter`, and with an `install-app SERVER VERSION` that fails on one server.
fn tools(site: &Site, fails_on: &str) -> PathBuf {
    let dir = site.farm.dir().join(format!("tools.{fails_on}"));
    std::fs::create_dir(&dir).expect("a directory is made");
    std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_teeter"), dir.join("teeter")).expect("a link is made");
    let install = format!(
        "#!/bin/sh\n[ \"$1\" = {fails_on} ] && exit 7\nTEETER_SERVERS=$1 TEETER_VERSION=$2 exec {}\n",
        site.hook()
    );
    write_script(&dir.join("install-app"), &install).expect("a script is written");
    dir
}

async fn run(site: &Site, script: &str, tools: Option<&Path>) -> Ended {
    let path = tools.map(|tools| format!("{}:", tools.display())).unwrap_or_default();
    let mut command = Command::new("sh");
    command
        .arg("-c")
        .arg(script)
        .env("PATH", format!("{path}/usr/bin:/bin"))
        .env("TEETER_SOCKET", site.daemon.socket());
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    finish(command.spawn().expect("sh starts")).await
}

/// Asserts that a run has failed because the work failed on `server`.
async fn assert_work_failed(site: &Site, run: &str, server: &str) {
    let shown = site.json(&["show", run]).await;
    assert_eq!((&shown["state"], &shown["failure"]), (&"failed".into(), &"work".into()), "{shown}");
    let why = shown["why"].as_str().unwrap_or_default();
    assert!(why.contains(&format!("install-app on {server}")), "{shown}");
}

#[tokio::test]
async fn documented_loop_stops_at_failed_work() {
    let site = Site::start().await;
    let script = loop_in_the_reference();
    assert_eq!(loop_in_the_help(&site.teeter(&["begin", "--help"]).await.out), script);
    // The work fails in the first group: the other servers stay in, and the run says what failed.
    let ended = run(&site, &script, Some(&tools(&site, "web02"))).await;
    assert_eq!(ended.code, exit::FAILED, "{ended:?}");
    assert_work_failed(&site, "1", "web02").await;
    assert_eq!(site.bits().await, [MAINT, MAINT, 0, 0]);
    // A second run is refused with the state of the first.
    let busy = run(&site, &script, Some(&tools(&site, "none"))).await;
    assert_eq!(busy.code, exit::BUSY, "{busy:?}");
    assert!(busy.err.contains("run 1 has failed at `work a`") && !busy.err.contains("is deploying"), "{busy:?}");
    // The work fails in the second group: the first group serves the new version.
    site.farm.app("web01").replace("v1").await.expect("it is replaced");
    assert_eq!(site.teeter(&["abort", "1"]).await.code, 0);
    let ended = run(&site, &script, Some(&tools(&site, "web03"))).await;
    assert_eq!(ended.code, exit::FAILED, "{ended:?}");
    assert_work_failed(&site, "2", "web03").await;
    assert_eq!(site.bits().await, [0, 0, MAINT, MAINT]);
    assert_eq!(site.farm.versions(), ["v2", "v2", "v1", "v1"]);
    // Without teeter on PATH the script fails.
    assert_eq!(run(&site, &script, None).await.code, 127);
}

#[tokio::test]
async fn documented_loop_deploys() {
    let site = Site::start().await;
    let ended = run(&site, &loop_in_the_reference(), Some(&tools(&site, "none"))).await;
    assert_eq!(ended.code, 0, "{ended:?}");
    assert_eq!((site.farm.versions(), site.bits().await), (vec!["v2".to_owned(); 4], vec![0; 4]));
}
