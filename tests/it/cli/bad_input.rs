//! Bad input gets a clear error and an exit code, and changes nothing.

use std::io::Write as _;

use tokio::net::UnixListener;

use crate::fixtures::exit;
use crate::fixtures::site::{Daemon, Site, check_config, instance, teeter_at, until};

async fn refused(site: &Site, args: &[&str], code: i32, word: &str) {
    let ended = site.teeter(args).await;
    assert_eq!(ended.code, code, "{args:?}: {ended:?}");
    assert!(ended.err.contains(word), "{args:?}: {ended:?}");
}

#[tokio::test]
async fn unknown_names_are_refused_and_nothing_changes() {
    let site = Site::start().await;
    let long = "w".repeat(10_000);
    refused(&site, &["drain", "web99", "--reason", "r"], exit::NOT_FOUND, "web99").await;
    refused(&site, &["deploy", "shop", "--", "true"], exit::NOT_FOUND, "shop").await;
    refused(&site, &["drain", "farm:web/c", "--reason", "r"], exit::NOT_FOUND, "a, b").await;
    refused(&site, &["drain", "web01;shutdown sessions", "--reason", "r"], exit::USAGE, "web01;shutdown").await;
    refused(&site, &["drain", "app/web01\nshow info", "--reason", "r"], exit::USAGE, "app/web01").await;
    refused(&site, &["drain", &long, "--reason", "r"], exit::USAGE, "1 to 2048").await;
    refused(&site, &["drain", "web01", "--reason", "r", "--deadline", "30"], exit::USAGE, "30").await;
    refused(&site, &["drain", "web01"], exit::USAGE, "--reason").await;
    refused(&site, &["ready", "web01"], exit::NOT_FOUND, "there is no hold on these servers").await;
    refused(&site, &["show", "7"], exit::NOT_FOUND, "7").await;
    refused(&site, &["advance", "7"], exit::NOT_FOUND, "7").await;
    refused(&site, &["deploy", "web", "--", "/no/such/hook"], exit::USAGE, "/no/such/hook").await;
    assert_eq!(site.bits().await, [0; 4]);
    assert_eq!(site.json(&["holds"]).await["holds"].as_array().map(Vec::len), Some(0));
    assert_eq!(site.json(&["runs"]).await["runs"].as_array().map(Vec::len), Some(0));
}

#[tokio::test]
async fn socket_without_admin_level_is_refused_before_any_change() {
    for level in ["operator", "user"] {
        let farm = teeter_lab::TestFarm::start("v1").await.unwrap();
        let low = farm.dir().join("low.sock");
        let config = std::fs::read_to_string(farm.haproxy().config()).unwrap();
        let line = format!("global\n    stats socket {} level {level}\n", low.display());
        farm.haproxy().write_config(&config.replacen("global\n", &line, 1)).unwrap();
        farm.haproxy().restart().await.unwrap();
        let daemon = Daemon::start(farm.dir(), &instance(&low)).await;
        let ended = daemon.teeter(&["drain", "app/web01", "--reason", "r"]).await;
        assert_eq!(ended.code, exit::NOT_PERMITTED, "{ended:?}");
        assert!(ended.err.contains(level) && ended.err.contains("level admin"), "{ended:?}");
        assert_eq!(farm.haproxy().server_admin_bits("app/web01").await.unwrap(), 0);
        assert_eq!(daemon.teeter(&["status"]).await.code, 0);
    }
}

#[tokio::test]
async fn socket_without_haproxy_is_reported() {
    let dir = tempfile::tempdir().unwrap();
    let daemon = Daemon::start(dir.path(), &instance(&dir.path().join("none.sock"))).await;
    let ended = daemon.teeter(&["drain", "app/web01", "--reason", "r"]).await;
    assert_eq!(ended.code, exit::UNREACHABLE, "{ended:?}");
    assert!(ended.err.contains("none.sock"), "{ended:?}");
}

#[tokio::test]
async fn socket_of_another_program_is_reported() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("other.sock");
    let listener = UnixListener::bind(&path).unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let mut stream = stream.into_std().unwrap();
            stream.set_nonblocking(false).unwrap();
            // The client may have disconnected.
            let _ = stream.write_all(b"-ERR unknown command 'prompt'\r\n\n\nHello\n\n");
        }
    });
    let daemon = Daemon::start(dir.path(), &instance(&path)).await;
    let ended = daemon.teeter(&["drain", "app/web01", "--reason", "r"]).await;
    assert_eq!(ended.code, exit::UNREACHABLE, "{ended:?}");
    assert!(ended.err.contains("other.sock") && ended.err.contains("not HAProxy"), "{ended:?}");
}

#[tokio::test]
async fn second_daemon_on_one_store_exits() {
    let site = Site::start().await;
    let config = std::fs::read_to_string(site.daemon.config()).unwrap().replace("control.sock", "second.sock");
    let path = site.farm.dir().join("second.toml");
    std::fs::write(&path, config).unwrap();
    let second =
        tokio::process::Command::new(env!("CARGO_BIN_EXE_teeterd")).arg("--config").arg(&path).output().await.unwrap();
    assert_eq!(second.status.code(), Some(exit::FAILED));
    assert!(String::from_utf8_lossy(&second.stderr).contains("in use by another teeterd"), "{second:?}");
    assert_eq!(site.teeter(&["holds"]).await.code, 0);
}

#[tokio::test]
async fn bad_configuration_is_reported_with_its_position_and_a_reload_keeps_the_old_one() {
    let site = Site::start().await;
    let good = std::fs::read_to_string(site.daemon.config()).unwrap();
    std::fs::write(site.daemon.config(), format!("{good}\nflip_mode = \"x\"\n")).unwrap();
    let line = good.lines().count() + 2;
    let checked = check_config(site.daemon.config()).await;
    assert_eq!(checked.code, exit::USAGE, "{checked:?}");
    assert!(checked.err.contains(&format!("teeter.toml:{line}:1")) && checked.err.contains("flip_mode"), "{checked:?}");
    site.daemon.signal("-HUP").await;
    until(|| async { site.daemon.log().contains("the old configuration stays") }).await;
    assert_eq!(site.teeter(&["deploy", "web", "--dry-run"]).await.code, 0);
}

#[tokio::test]
async fn command_without_a_daemon_reports_that_none_runs() {
    let dir = tempfile::tempdir().unwrap();
    let ended = teeter_at(&dir.path().join("none.sock"), &["status"]).await.unwrap();
    assert_eq!(ended.code, exit::UNREACHABLE);
    assert!(ended.err.contains("teeterd"), "{ended:?}");
}
