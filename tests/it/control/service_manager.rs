//! teeterd under a service manager: what it tells, and the socket that it is given.

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
    // A second one on a store of its own, so that the helper's waiting for an answer stays out of it.
    let config = std::fs::read_to_string(daemon.config()).unwrap();
    let own = dir.path().join("told.toml");
    std::fs::write(&own, config.replace("control.sock", "told.sock").replace("teeter.db", "told.db")).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_teeterd"));
    command.arg("--config").arg(&own).stderr(Stdio::null()).kill_on_drop(true);
    command.env("NOTIFY_SOCKET", &path).env("WATCHDOG_USEC", "600000");
    let mut child = command.spawn().unwrap();
    let pid = child.id().unwrap().to_string();
    let mut buffer = [0; 4096];
    let mut hear = async |word: &str| loop {
        let heard = tokio::time::timeout(Duration::from_secs(20), manager.recv(&mut buffer));
        let length = heard.await.unwrap_or_else(|_| panic!("{word} is not told")).unwrap();
        if String::from_utf8_lossy(&buffer[..length]).contains(word) {
            return;
        }
    };
    hear("READY=1").await;
    hear("WATCHDOG=1").await;
    assert!(Command::new("kill").args(["-HUP", &pid]).status().await.unwrap().success());
    hear("RELOADING=1").await;
    hear("READY=1").await;
    assert!(Command::new("kill").args(["-TERM", &pid]).status().await.unwrap().success());
    hear("STOPPING=1").await;
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
    // It becomes the daemon with the first connection, so killing it kills the daemon.
    let _child = command.stderr(Stdio::null()).kill_on_drop(true).spawn().unwrap();
    until(|| async { socket.exists() }).await;
    let ended = teeter_at(&socket, &["holds"]).await.unwrap();
    assert_eq!(ended.code, 0, "{ended:?}");
}
