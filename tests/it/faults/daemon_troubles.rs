//! Troubles of teeterd itself, which it reports as long as they last: a full disk, a removed socket, many callers.

use std::io::{Read as _, Write as _};
use std::path::PathBuf;

use teeter_lab::{FarmSpec, TestFarm};

use crate::fixtures::exit;
use crate::fixtures::site::{Daemon, Site, farm_config, until};
use crate::fixtures::system_users::in_mount_namespace;

/// A daemon whose store is on a small disk of its own, and the path of that disk for other processes.
async fn start_on_small_disk(farm: &TestFarm) -> Option<(Daemon, PathBuf)> {
    let disk = farm.dir().join("disk");
    std::fs::create_dir(&disk).expect("a directory is made");
    let shown = disk.display();
    let starter = in_mount_namespace(&format!(
        "mount -t tmpfs -o size=400k,mode=700 none {shown} && export TEETER_STORE__PATH={shown}/teeter.db"
    ))?;
    let daemon = Daemon::start_by(&starter, farm.dir(), &farm_config(farm, "")).await;
    let seen = PathBuf::from(format!("/proc/{}/root{shown}", daemon.pid()));
    Some((daemon, seen))
}

#[tokio::test]
async fn unwritable_store_is_reported_until_it_is_writable() {
    let spec = FarmSpec { version: "v1".to_owned(), ..FarmSpec::default() };
    let farm = TestFarm::start_spec(spec).await.expect("a farm starts");
    let Some((daemon, disk)) = start_on_small_disk(&farm).await else { return };
    let drained = daemon.teeter(&["drain", "web01", "--reason", "x", "--for", "3s"]).await;
    assert_eq!(drained.code, 0, "{drained:?}");
    let mut filler = std::fs::File::create(disk.join("filler")).expect("it is made");
    while filler.write_all(&[b'x'; 4096]).is_ok() {}
    // The write-ahead log of the store has some space left until it has to grow.
    let reason = "r".repeat(400);
    let mut refused = daemon.teeter(&["drain", "web02", "--reason", &reason]).await;
    while refused.code == 0 {
        daemon.teeter(&["ready", "web02", "--no-verify"]).await;
        refused = daemon.teeter(&["drain", "web02", "--reason", &reason]).await;
    }
    assert!(refused.code == exit::FAILED && refused.err.contains("disk is full"), "{refused:?}");
    // teeterd cannot record the expiry of the hold, and reports that without a request.
    for command in ["doctor", "status"] {
        until(|| async {
            let ended = daemon.teeter(&[command]).await;
            let words = ["the store", "teeter.db", "disk is full", "make room on the file system of"];
            words.iter().all(|words| ended.out.contains(words) || ended.err.contains(words))
        })
        .await;
    }
    assert_eq!(daemon.teeter(&["doctor"]).await.code, exit::FAILED);
    // With free space teeterd continues by itself, and reports nothing.
    drop(filler);
    std::fs::remove_file(disk.join("filler")).expect("it is removed");
    until(|| async { !daemon.teeter(&["holds"]).await.out.contains("web01") }).await;
    until(|| async { !daemon.teeter(&["doctor"]).await.out.contains("the store") }).await;
    assert!(!daemon.teeter(&["status"]).await.out.contains("disk is full"));
}

#[tokio::test]
async fn removed_control_socket_is_made_again() {
    let site = Site::start().await;
    // A client keeps its open connection.
    let mut kept = std::os::unix::net::UnixStream::connect(site.daemon.socket()).expect("it is taken");
    std::fs::remove_file(site.daemon.socket()).expect("it is removed");
    until(|| async { site.teeter(&["holds"]).await.code == 0 }).await;
    assert!(site.daemon.log().contains("was gone, and was created again"), "{}", site.daemon.log());
    kept.write_all(b"GET /v1/holds HTTP/1.1\r\nhost: teeter\r\nconnection: close\r\n\r\n").expect("it is sent");
    let mut answer = String::new();
    kept.read_to_string(&mut answer).expect("it is answered");
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    // teeterd does not replace a file in the socket's place, and reports it.
    std::fs::remove_file(site.daemon.socket()).expect("it is removed");
    std::fs::write(site.daemon.socket(), "mine").expect("it is written");
    until(|| async { site.daemon.log().contains("cannot be created again (a file that is not a socket is there)") })
        .await;
    assert_eq!(std::fs::read(site.daemon.socket()).expect("it is there"), b"mine");
    std::fs::remove_file(site.daemon.socket()).expect("it is removed");
    until(|| async { site.teeter(&["doctor"]).await.code == 0 }).await;
}

#[tokio::test]
async fn callers_cannot_exhaust_the_file_descriptors_for_haproxy() {
    let spec = FarmSpec { version: "v1".to_owned(), ..FarmSpec::default() };
    let farm = TestFarm::start_spec(spec).await.expect("a farm starts");
    let starter = ["prlimit", "--nofile=200:200", "--"];
    let daemon = Daemon::start_by(&starter, farm.dir(), &farm_config(&farm, "")).await;
    assert_eq!(daemon.teeter(&["maint", "web01", "--reason", "x"]).await.code, 0);
    let connect = |_| std::os::unix::net::UnixStream::connect(daemon.socket()).expect("it is taken");
    let connections: Vec<_> = (0..180).map(connect).collect();
    // Meanwhile HAProxy restarts, and teeterd sends the states again.
    farm.haproxy().restart().await.expect("HAProxy restarts");
    until(|| async { farm.haproxy().server_admin_bits("app/web01").await.ok() == Some(1) }).await;
    assert!(!daemon.log().contains("Too many open files"), "{}", daemon.log());
    drop(connections);
    until(|| async { daemon.teeter(&["holds"]).await.code == 0 }).await;
    let doctor = daemon.teeter(&["doctor"]).await;
    assert!(doctor.out.contains("only 200 files") && doctor.out.contains("LimitNOFILE="), "{doctor:?}");
}
