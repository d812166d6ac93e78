//! What can go wrong with teeterd itself: it is told for as long as it is so.

use std::io::Write as _;
use std::path::PathBuf;

use teeter_lab::{FarmSpec, TestFarm};

use crate::site::{Daemon, farm_config, until};

/// A daemon whose store is on a small disk of its own, and the place of that disk as others see it.
async fn on_a_small_disk(farm: &TestFarm) -> Option<(Daemon, PathBuf)> {
    let disk = farm.dir().join("disk");
    std::fs::create_dir(&disk).expect("a directory is made");
    let shown = disk.display();
    let mount = format!(
        "mount -t tmpfs -o size=400k,mode=700 none {shown} && export TEETER_STORE__PATH={shown}/teeter.db && exec \"$@\""
    );
    let by = ["unshare", "--mount", "sh", "-c", &mount, "sh"];
    let tried = std::process::Command::new(by[0]).args(&by[1..]).arg("true").output();
    if !tried.is_ok_and(|tried| tried.status.success()) {
        teeter_lab::skip("there is no mount namespace to be had");
        return None;
    }
    let daemon = Daemon::start_by(&by, farm.dir(), &farm_config(farm, "")).await;
    let seen = PathBuf::from(format!("/proc/{}/root{shown}", daemon.pid()));
    Some((daemon, seen))
}

#[tokio::test]
async fn a_store_that_cannot_be_written_is_told_while_it_is_so() {
    let spec = FarmSpec { version: "v1".to_owned(), ..FarmSpec::default() };
    let farm = TestFarm::start_spec(spec).await.expect("a farm starts");
    let Some((daemon, disk)) = on_a_small_disk(&farm).await else { return };
    let drained = daemon.teeter(&["drain", "web01", "--reason", "x", "--for", "3s"]).await;
    assert_eq!(drained.code, 0, "{drained:?}");
    let mut filler = std::fs::File::create(disk.join("filler")).expect("it is made");
    while filler.write_all(&[b'x'; 4096]).is_ok() {}
    // The log of the database has some room left, until it has to grow.
    let reason = "r".repeat(400);
    let mut refused = daemon.teeter(&["drain", "web02", "--reason", &reason]).await;
    while refused.code == 0 {
        daemon.teeter(&["ready", "web02", "--no-verify"]).await;
        refused = daemon.teeter(&["drain", "web02", "--reason", &reason]).await;
    }
    assert!(refused.code == 1 && refused.err.contains("disk is full"), "{refused:?}");
    // The hold is over, and that cannot be recorded: it is told without a change that is asked for.
    for command in ["doctor", "status"] {
        until(|| async {
            let told = daemon.teeter(&[command]).await;
            let words = ["the store", "teeter.db", "disk is full", "make room on the file system of"];
            words.iter().all(|words| told.out.contains(words) || told.err.contains(words))
        })
        .await;
    }
    assert_eq!(daemon.teeter(&["doctor"]).await.code, 1);
    // With room again it goes on by itself, and there is nothing to tell.
    drop(filler);
    std::fs::remove_file(disk.join("filler")).expect("it is removed");
    until(|| async { !daemon.teeter(&["holds"]).await.out.contains("web01") }).await;
    until(|| async { !daemon.teeter(&["doctor"]).await.out.contains("the store") }).await;
    assert!(!daemon.teeter(&["status"]).await.out.contains("disk is full"));
}
