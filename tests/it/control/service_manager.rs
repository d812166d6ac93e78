//! teeterd under a service manager: its notifications, and a socket that it inherits.

use std::process::Stdio;
use std::time::Duration;

use tokio::net::UnixDatagram;
use tokio::process::Command;

use crate::fixtures::site::{Daemon, instance, teeter_at, until};

#[tokio::test]
async fn service_manager_is_notified_of_the_state() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("notify.sock");
    let manager = UnixDatagram::bind(&path).unwrap();
    let daemon = Daemon::start(dir.path(), &instance(&dir.path().join("none.sock"))).await;
    // A second daemon with a store of its own, which no test helper connects to.
    let config = std::fs::read_to_string(daemon.config()).unwrap();
    let own = dir.path().join("second.toml");
    std::fs::write(&own, config.replace("control.sock", "second.sock").replace("teeter.db", "second.db")).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_teeterd"));
    command.arg("--config").arg(&own).stderr(Stdio::null()).kill_on_drop(true);
    command.env("NOTIFY_SOCKET", &path).env("WATCHDOG_USEC", "600000");
    let mut child = command.spawn().unwrap();
    let pid = child.id().unwrap().to_string();
    let mut buffer = [0; 4096];
    let mut wait_for = async |word: &str| loop {
        let received = tokio::time::timeout(Duration::from_secs(20), manager.recv(&mut buffer));
        let length = received.await.unwrap_or_else(|_| panic!("no notification {word}")).unwrap();
        if String::from_utf8_lossy(&buffer[..length]).contains(word) {
            return;
        }
    };
    wait_for("READY=1").await;
    wait_for("WATCHDOG=1").await;
    assert!(Command::new("kill").args(["-HUP", &pid]).status().await.unwrap().success());
    wait_for("RELOADING=1").await;
    wait_for("READY=1").await;
    assert!(Command::new("kill").args(["-TERM", &pid]).status().await.unwrap().success());
    wait_for("STOPPING=1").await;
    assert_eq!(child.wait().await.unwrap().code(), Some(0));
}

#[tokio::test]
async fn request_waits_in_a_passed_socket() {
    let activate = "/usr/bin/systemd-socket-activate";
    if !std::path::Path::new(activate).exists() {
        teeter_lab::skip(&format!("{activate} is not here"));
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let (socket, config) = (dir.path().join("handed.sock"), dir.path().join("teeter.toml"));
    let store = dir.path().join("teeter.db");
    let text = format!("[store]\npath = {store:?}\n{}", instance(&dir.path().join("none.sock")));
    std::fs::write(&config, text).unwrap();
    let mut command = Command::new(activate);
    command.arg("-l").arg(&socket).arg(env!("CARGO_BIN_EXE_teeterd")).arg("--config").arg(&config);
    // The process becomes the daemon with the first connection, so that the end of the test kills the daemon.
    let _child = command.stderr(Stdio::null()).kill_on_drop(true).spawn().unwrap();
    until(|| async { socket.exists() }).await;
    let ended = teeter_at(&socket, &["holds"]).await.unwrap();
    assert_eq!(ended.code, 0, "{ended:?}");
}
