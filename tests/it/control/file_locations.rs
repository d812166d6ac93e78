//! teeterd creates its files in no directory in which another user could replace them.

use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;

use crate::fixtures::exit;
use crate::fixtures::site::{Daemon, PATIENCE, instance, until};
use crate::fixtures::system_users::{can_change, give, nameless};

/// Runs a daemon with its socket and its store in these directories to its end; returns its exit code and its log.
async fn run_to_end(dir: &Path, socket: &Path, store: &Path) -> (Option<i32>, String) {
    let config = dir.join("teeter.toml");
    let text = format!(
        "[control]\nsocket = {:?}\n[store]\npath = {:?}\n{}",
        socket.join("t.ctl"),
        store.join("t.db"),
        instance(&dir.join("none.sock"))
    );
    std::fs::write(&config, text).expect("it is written");
    let mut daemon = tokio::process::Command::new(env!("CARGO_BIN_EXE_teeterd"));
    let output = daemon.arg("--config").arg(&config).kill_on_drop(true).output();
    let output = tokio::time::timeout(PATIENCE, output).await.expect("it ends").expect("it ran");
    (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
}

#[tokio::test]
async fn socket_is_not_made_in_a_directory_of_another_user() {
    let dir = tempfile::tempdir().expect("a directory is made");
    let (own, others) = (dir.path().join("own"), dir.path().join("others"));
    for made in [&own, &others] {
        std::fs::create_dir(made).expect("it is made");
    }
    std::fs::set_permissions(&others, std::fs::Permissions::from_mode(0o777)).expect("its mode is set");
    let check = async || {
        for (socket, store, what) in [(&others, &own, "control socket"), (&own, &others, "store")] {
            let (code, log) = run_to_end(dir.path(), socket, store).await;
            assert_eq!(code, Some(exit::FAILED), "{log}");
            let directory = others.display().to_string();
            for words in [what, &directory, "could replace teeterd's files", "shared_directory = true"] {
                assert!(log.contains(words), "{words}: {log}");
            }
            assert_eq!(std::fs::read_dir(&others).expect("it is read").count(), 0);
        }
    };
    check().await;
    if can_change() {
        std::fs::set_permissions(&others, std::fs::Permissions::from_mode(0o755)).expect("its mode is set");
        give(&others, nameless(54_001));
        check().await;
    }
}

#[tokio::test]
async fn shared_directory_is_used_when_the_configuration_allows_it() {
    let dir = tempfile::tempdir().expect("a directory is made");
    let shared = dir.path().join("shared");
    std::fs::create_dir(&shared).expect("it is made");
    std::fs::set_permissions(&shared, std::fs::Permissions::from_mode(0o777)).expect("its mode is set");
    let allow = ["env", "TEETER_CONTROL__SHARED_DIRECTORY=true", "TEETER_STORE__SHARED_DIRECTORY=true"];
    let none = instance(&dir.path().join("none.sock"));
    let mut daemon = Daemon::start_by(&allow, &shared, &none).await;
    let found = std::fs::symlink_metadata(daemon.socket()).expect("it is there");
    assert_eq!((found.mode() & 0o777, found.nlink()), (0o660, 1));
    // A killed daemon leaves its socket, which the next one replaces.
    daemon.kill().await;
    assert!(daemon.socket().exists());
    daemon.restart().await;
    until(|| async { daemon.teeter(&["holds"]).await.code == 0 }).await;
}
