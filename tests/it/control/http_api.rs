//! The control socket for other programs: plain HTTP and JSON.

use std::os::unix::fs::PermissionsExt;

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

use crate::fixtures::site::Site;

/// Sends one request on a connection of its own; returns the status and the body.
pub(crate) async fn http(site: &Site, request: &str, body: &str) -> (u16, String) {
    http_with(site, request, "content-type: application/json\r\n", body).await
}

/// The same with other headers, each with its line end.
async fn http_with(site: &Site, request: &str, headers: &str, body: &str) -> (u16, String) {
    let mut stream = UnixStream::connect(site.daemon.socket()).await.unwrap();
    let length = body.len();
    let text = format!(
        "{request} HTTP/1.1\r\nhost: teeter\r\nconnection: close\r\n{headers}content-length: {length}\r\n\r\n{body}"
    );
    stream.write_all(text.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
}

#[tokio::test]
async fn hold_is_made_and_recorded_with_its_caller() {
    let site = Site::start().await;
    let (status, body) =
        http(&site, "POST /v1/holds", r#"{"selectors":["app/web01"],"mode":"drain","reason":"disk"}"#).await;
    assert_eq!(status, 201, "{body}");
    let events: Value = serde_json::from_str(&http(&site, "GET /v1/events", "").await.1).unwrap();
    let created = events["events"].as_array().unwrap().iter().find(|event| event["kind"] == "hold.created").unwrap();
    assert_eq!(created["caller"]["pid"], std::process::id());
    assert!(created["text"].as_str().unwrap().contains("disk"));
}

#[tokio::test]
async fn error_is_a_problem_document() {
    let site = Site::start().await;
    for (request, body, status, exit) in [
        ("GET /v1/nowhere", "", 404, 3),
        ("GET /v1/runs/9", "", 404, 3),
        ("GET /v1/runs/abc", "", 400, 2),
        ("POST /v1/holds", "{", 400, 2),
        ("POST /v1/holds", r#"{"selectors":["web01"],"mode":"off","reason":"r"}"#, 400, 2),
        ("POST /v1/holds", r#"{"selectors":["web01"],"mode":"drain","reason":"r","colour":"red"}"#, 400, 2),
        ("POST /v1/holds", r#"{"selectors":[],"mode":"drain","reason":"r"}"#, 400, 2),
        ("POST /v1/runs", r#"{"farm":"web","strategy":"bang"}"#, 400, 2),
        ("POST /v1/runs/9/output", r#"{"lines":[]}"#, 404, 3),
        ("POST /v1/runs/9/output", r#"{"lines":[{"from":"a","text":"x","colour":"red"}]}"#, 400, 2),
        ("GET /v1/events?output=perhaps", "", 400, 2),
        ("DELETE /v1/holds", "", 405, 2),
        ("POST /v1/status", "", 405, 2),
        ("GET /v1/runs/1/advance", "", 405, 2),
        ("GET /v1/runs/%ff", "", 400, 2),
    ] {
        let (got, text) = http(&site, request, body).await;
        let problem: Value = serde_json::from_str(&text).unwrap_or_else(|_| panic!("{request}: {text}"));
        assert_eq!((got, problem["exit"].as_u64()), (status, Some(exit)), "{request} {body}: {text}");
        assert!(problem["type"].as_str().unwrap().starts_with("urn:teeter:"), "{text}");
    }
}

/// Sends these bytes, and reads everything until teeterd closes the connection.
async fn raw(site: &Site, request: &[u8]) -> String {
    let mut stream = UnixStream::connect(site.daemon.socket()).await.unwrap();
    // teeterd may close the connection before it has read everything.
    let _ = stream.write_all(request).await;
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    String::from_utf8(answer).unwrap()
}

/// The HTTP library answers these requests itself, with a status only, as docs/api.md says.
#[tokio::test]
async fn invalid_http_gets_a_status_without_a_document() {
    let site = Site::start().await;
    let headers = |count: usize| "x: y\r\n".repeat(count);
    let line =
        |path: &str, headers: &str| format!("GET {path} HTTP/1.1\r\nhost: t\r\nconnection: close\r\n{headers}\r\n");
    for (request, status) in [
        (b"GET /v1/runs/\xff HTTP/1.1\r\nhost: t\r\n\r\n".to_vec(), 400),
        (b"no request at all\r\n\r\n".to_vec(), 400),
        (line(&format!("/v1/status?sel={}", "a".repeat(65_600)), "").into_bytes(), 414),
        (line("/v1/status", &headers(101)).into_bytes(), 431),
        (line("/v1/status", &format!("x: {}\r\n", "y".repeat(400 << 10))).into_bytes(), 431),
    ] {
        let begins = String::from_utf8_lossy(&request[..30.min(request.len())]).into_owned();
        let answer = raw(&site, &request).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{begins}: {answer}");
        assert!(answer.ends_with("\r\n\r\n") && !answer.contains("problem+json"), "{begins}: {answer}");
    }
    // teeterd refuses with a document what the HTTP library accepts.
    let answer = raw(&site, line("/v1/status", &format!("x: {}\r\n", "y".repeat(70 << 10))).as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 431 ") && answer.contains("urn:teeter:too-large"), "{answer}");
    let json = "POST /v1/holds HTTP/1.1\r\nhost: t\r\nconnection: close\r\ncontent-type: application/json\r\n\
                content-length: 3\r\n\r\n";
    let answer = raw(&site, &[json.as_bytes(), b"\"\xff\""].concat()).await;
    assert!(answer.starts_with("HTTP/1.1 400 ") && answer.contains("urn:teeter:bad-request"), "{answer}");
}

#[tokio::test]
async fn requests_from_a_web_page_change_nothing() {
    let site = Site::start().await;
    let json = "content-type: application/json\r\n";
    let begun = http(&site, "POST /v1/runs", r#"{"farm":"web"}"#).await;
    assert_eq!(begun.0, 201, "{begun:?}");
    for change in ["abort", "pause", "resume", "retry"] {
        let request = format!("POST /v1/runs/1/{change}");
        for (headers, status, kind) in [
            // Forms, which a browser sends without a preflight, and scripts of other sites.
            ("content-type: text/plain\r\n".to_owned(), 415, "media-type"),
            ("content-type: application/x-www-form-urlencoded\r\n".to_owned(), 415, "media-type"),
            (String::new(), 415, "media-type"),
            (format!("{json}origin: https://evil.example\r\n"), 403, "cross-site"),
            (format!("{json}sec-fetch-site: cross-site\r\n"), 403, "cross-site"),
        ] {
            let (got, text) = http_with(&site, &request, &headers, "").await;
            let problem: Value = serde_json::from_str(&text).unwrap();
            assert_eq!((got, problem["type"].as_str().unwrap()), (status, &*format!("urn:teeter:{kind}")), "{headers}");
        }
    }
    for headers in ["origin: null\r\n", "sec-fetch-site: same-site\r\n"] {
        assert_eq!(http_with(&site, "GET /v1/runs", headers, "").await.0, 403, "{headers}");
    }
    // A preflight is refused.
    let asks = "origin: https://evil.example\r\naccess-control-request-method: POST\r\n";
    assert_eq!(http_with(&site, "OPTIONS /v1/runs/1/abort", asks, "").await.0, 403);
    assert_eq!(http_with(&site, "GET /v1/runs/1", "sec-fetch-site: none\r\n", "").await.0, 200);
    let run = site.json(&["show", "1"]).await;
    assert!(run["state"] != "aborted" && run["paused"] != true, "{run}");
    assert_eq!(http(&site, "POST /v1/runs/1/abort", "").await.0, 200);
}

#[tokio::test]
async fn description_names_every_path() {
    let site = Site::start().await;
    let document: Value = serde_json::from_str(&http(&site, "GET /v1/openapi.json", "").await.1).unwrap();
    let paths = document["paths"].as_object().unwrap();
    for path in [
        "/v1/status",
        "/v1/holds",
        "/v1/holds/{id}",
        "/v1/release",
        "/v1/sessions",
        "/v1/runs",
        "/v1/runs/{id}/advance",
        "/v1/events/stream",
    ] {
        assert!(paths.contains_key(path), "{path}");
    }
}

#[tokio::test]
async fn events_are_streamed_as_they_happen() {
    let site = Site::start().await;
    let mut stream = UnixStream::connect(site.daemon.socket()).await.unwrap();
    stream.write_all(b"GET /v1/events/stream HTTP/1.1\r\nhost: teeter\r\n\r\n").await.unwrap();
    let mut seen = String::new();
    let mut buffer = vec![0; 65536];
    let mut read = async |word: &str| {
        while !seen.contains(word) {
            let length = stream.read(&mut buffer).await.unwrap();
            assert!(length > 0, "{seen}");
            seen.push_str(&String::from_utf8_lossy(&buffer[..length]));
        }
    };
    read("text/event-stream").await;
    assert_eq!(site.teeter(&["drain", "web01", "--reason", "streamed"]).await.code, 0);
    let news = tokio::time::timeout(std::time::Duration::from_secs(20), read("streamed"));
    news.await.expect("the event comes");
}

#[tokio::test]
async fn socket_has_the_configured_mode() {
    let site = Site::start().await;
    let mode = std::fs::metadata(site.daemon.socket()).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o660);
}

#[tokio::test]
async fn sample_configurations_are_accepted() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("haproxy.cfg");
    // Without Debian's user and chroot, which not every machine has.
    let text = std::fs::read_to_string("haproxy/servers.cfg").unwrap();
    std::fs::write(
        &path,
        text.replace("    chroot /var/lib/haproxy\n", "").replace("    user haproxy\n    group haproxy\n", ""),
    )
    .unwrap();
    teeter_lab::Haproxy::check_config(&path).unwrap();
    let check = std::process::Command::new(env!("CARGO_BIN_EXE_teeterd"))
        .args(["--check", "--config", "haproxy/servers.toml"])
        .output()
        .unwrap();
    assert!(check.status.success(), "{check:?}");
}

#[tokio::test]
async fn reported_hook_output_is_sanitised_and_bounded() {
    let site = Site::start().await;
    let begun = site.teeter(&["begin", "web"]).await;
    assert_eq!(begun.code, 0, "{begun:?}");
    let lines = serde_json::json!({"lines": [{"from": "a\u{1b}[2J", "text": "\u{1b}]0;title\u{7}one\ntwo\u{9b}3m"}]});
    let (status, body) = http(&site, "POST /v1/runs/1/output", &lines.to_string()).await;
    assert_eq!((status, body.as_str()), (200, r#"{"more":true}"#));
    let kept = site.json(&["events", "1"]).await.to_string();
    assert!(kept.contains("a | one?two") && !kept.contains("title") && !kept.contains("\\u00"), "{kept}");
    let line = serde_json::json!({"from": "a", "text": "x".repeat(50_000)});
    let long = serde_json::json!({"lines": [line]}).to_string();
    let mut answers = Vec::new();
    for _ in 0..80 {
        answers.push(http(&site, "POST /v1/runs/1/output", &long).await.1);
    }
    // 4 KiB of each line are kept: there is room for 62 lines.
    assert_eq!(answers.iter().filter(|answer| *answer == r#"{"more":true}"#).count(), 62, "{answers:?}");
    let kept = site.json(&["events", "1", "--limit", "5000"]).await;
    let of_kind = |kind: &str| kept["events"].as_array().unwrap().iter().filter(|e| e["kind"] == kind).count();
    assert_eq!((of_kind("hook.output"), of_kind("hook.cut")), (63, 1));
    let many = serde_json::json!({"lines": vec![serde_json::json!({"from": "", "text": ""}); 1001]}).to_string();
    assert_eq!(http(&site, "POST /v1/runs/1/output", &many).await.0, 400);
}

#[tokio::test]
async fn change_completes_when_its_caller_hangs_up() {
    let site = Site::start().await;
    assert_eq!(site.teeter(&["begin", "web"]).await.code, 0);
    for round in 0..200 {
        let mut stream = UnixStream::connect(site.daemon.socket()).await.unwrap();
        let command = if round % 2 == 0 { "pause" } else { "resume" };
        let text = format!("POST /v1/runs/1/{command} HTTP/1.1\r\nhost: teeter\r\ncontent-length: 0\r\n\r\n");
        stream.write_all(text.as_bytes()).await.unwrap();
        // The caller disconnects while the request is read, stored, or done.
        tokio::time::sleep(std::time::Duration::from_micros(round * 5)).await;
    }
    // The store and teeterd's memory agree: the run continues.
    let aborted = site.teeter(&["abort", "1"]).await;
    assert_eq!(aborted.code, 0, "{aborted:?}");
    assert_eq!(site.bits().await, [0; 4]);
}
