//! Commands that wait for a stage of a hold, when that stage has already passed.

use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{UnixListener, UnixStream};
use tokio::process::Command;

use crate::fixtures::exit;

/// A fake control socket with one hold, which is always in this stage.
fn hold_in_stage(dir: &Path, stage: &'static str) -> std::path::PathBuf {
    let socket = dir.join("control.sock");
    let listener = UnixListener::bind(&socket).expect("it can listen");
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(answer(stream, stage));
        }
    });
    socket
}

async fn answer(mut stream: UnixStream, stage: &str) {
    let mut request = Vec::new();
    while !request.windows(4).any(|end| end == b"\r\n\r\n") {
        let Ok(1..) = stream.read_buf(&mut request).await else { return };
    }
    let path = String::from_utf8_lossy(&request).split(' ').nth(1).unwrap_or_default().to_owned();
    let hold = json!({
        "id": 1, "owner": "root", "reason": "kernel", "entries": ["edge:app/web01"], "members": ["web01"],
        "mode": "drain", "stage": stage, "left": 0, "since": "2026-01-01T00:00:00Z", "expires": null, "waiting": null,
        "wait": null, "in_flight": {}, "note": null
    });
    let body: Value = match path.split('?').next() {
        Some("/v1/holds/1") => hold,
        Some("/v1/holds") if request.starts_with(b"POST") => hold,
        Some("/v1/holds" | "/v1/release") => json!({"holds": [hold]}),
        _ => json!({"status": 404, "title": "not there", "detail": "not there", "exit": 3}),
    };
    let status = if body["status"] == 404 { "404 Not Found" } else { "200 OK" };
    let body = body.to_string();
    let head =
        format!("HTTP/1.1 {status}\r\nteeter-tick: 1\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", body.len());
    // The command may have disconnected.
    let _ = stream.write_all((head + &body).as_bytes()).await;
}

async fn teeter(socket: &Path, args: &[&str]) -> (Option<i32>, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_teeter"));
    let running = command.arg("--socket").arg(socket).args(args).kill_on_drop(true).output();
    let ended = tokio::time::timeout(Duration::from_secs(60), running).await.expect("it ends").expect("it runs");
    (ended.status.code(), String::from_utf8_lossy(&ended.stderr).into_owned())
}

#[tokio::test]
async fn server_taken_out_again_before_the_first_poll_ends_the_wait() {
    for stage in ["draining", "out", "stuck"] {
        let dir = tempfile::tempdir().expect("a directory");
        let socket = hold_in_stage(dir.path(), stage);
        let (code, err) = teeter(&socket, &["ready", "web01"]).await;
        assert_eq!(code, Some(exit::FAILED), "{stage}: {err}");
        assert!(err.contains("stays out: it was taken out again"), "{stage}: {err}");
    }
}

#[tokio::test]
async fn server_released_before_the_first_poll_ends_the_wait_for_empty() {
    let dir = tempfile::tempdir().expect("a directory");
    let socket = hold_in_stage(dir.path(), "verifying");
    let (code, err) = teeter(&socket, &["drain", "web01", "--reason", "kernel"]).await;
    assert_eq!(code, Some(exit::ABORTED), "{err}");
    assert!(err.contains("is brought back before it was empty"), "{err}");
}
