//! Readers with many or large requests do not delay changes, and use only their own quota.

use std::fmt::Write as _;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;

use crate::control::caller_limits::{as_user, record_much_output};
use crate::fixtures::custom_backends::CustomBackends;
use crate::fixtures::exit;
use crate::fixtures::site::{Daemon, Site, finish, instance, until};
use crate::fixtures::socket_relay::Relay;
use crate::fixtures::system_users::{ROOT, can_change, curl, nameless, open_to_all};

/// A text that only a line with a look at all backends contains.
const AT_EVERYTHING: &str = "show servers state;";

#[tokio::test]
async fn drain_does_not_wait_for_readers() {
    let site = CustomBackends::start(&backends(), "").await;
    let mut relay = Relay::start(site.dir().join("relay.sock"), &site.haproxy.socket(), AT_EVERYTHING);
    let dir = tempfile::tempdir().unwrap();
    let daemon = Daemon::start(dir.path(), &instance(&relay.path)).await;
    assert_eq!(daemon.teeter(&["drain", "app/web02", "--reason", "a first look"]).await.code, 0);
    relay.arm(0);
    let reader = daemon.spawn(&["status"]);
    let cut = relay.cut().await;
    relay.take_lines();
    let drained = daemon.teeter(&["drain", "app/web01", "--reason", "r", "--no-wait", "--allow-outage"]).await;
    assert_eq!(drained.code, 0, "{drained:?}\n{}", daemon.log());
    // If the drain had waited for that look, another look at all backends would precede it.
    let lines = relay.take_lines();
    let (drain, look) = (find(&lines, "set server app/web01 state drain"), find(&lines, AT_EVERYTHING));
    assert!(drain.is_some() && look.is_none(), "{lines:#?}");
    drop(cut);
    // The look was cut, so HAProxy has not answered the reader.
    assert_eq!(finish(reader).await.code, exit::UNREACHABLE);
}

/// The position of the first line with `text`.
fn find(lines: &[String], text: &str) -> Option<usize> {
    lines.iter().position(|line| line.contains(text))
}

/// Several backends, so that a look at one differs from a look at all.
fn backends() -> String {
    let mut text = "backend app\n  server web01 {web01}\n  server web02 {web02}\n  server web03 {web03}\n".to_owned();
    for number in 0..4 {
        writeln!(text, "backend other{number}\n  server web04 {{web04}}").unwrap();
    }
    text
}

#[tokio::test]
async fn caller_that_reads_no_answer_uses_its_own_quota_only() {
    if !can_change() {
        return;
    }
    let site = Site::start().await;
    open_to_all(&site.daemon);
    record_much_output(&site).await;
    // The answer is larger than a socket's buffer: each request keeps its place at the desk.
    let greedy = nameless(54_400);
    let socket = site.daemon.socket().to_owned();
    let (begun, all_begun) = tokio::sync::oneshot::channel();
    let (end, ended) = tokio::sync::oneshot::channel::<()>();
    let crowd = as_user(greedy, async move {
        let mut streams = Vec::new();
        for _ in 0..2 {
            let mut stream = UnixStream::connect(&socket).await.unwrap();
            stream.write_all(b"GET /v1/events?limit=5000 HTTP/1.1\r\nhost: t\r\n\r\n").await.unwrap();
            let mut head = [0; 12];
            stream.read_exact(&mut head).await.unwrap();
            assert_eq!(&head, b"HTTP/1.1 200");
            streams.push(stream);
        }
        begun.send(()).unwrap();
        let _ = ended.await;
    });
    all_begun.await.unwrap();
    // Root and other users can read, and this user can make changes.
    for user in [ROOT, nameless(54_401)] {
        assert_eq!(curl(user, &site.daemon, "GET", "/v1/status", "").await.0, 200);
    }
    let hold = r#"{"selectors":["app/web01"],"mode":"drain","reason":"r"}"#;
    let (status, answer) = curl(greedy, &site.daemon, "POST", "/v1/holds", hold).await;
    assert_eq!(status, 201, "{answer}");
    end.send(()).unwrap();
    crowd.join().unwrap();
    until(|| async { curl(greedy, &site.daemon, "GET", "/v1/status", "").await.0 == 200 }).await;
}

#[tokio::test]
async fn selectors_and_farms_of_one_request_are_limited() {
    let dir = tempfile::tempdir().unwrap();
    let daemon = Daemon::start(dir.path(), &instance(&dir.path().join("none.sock"))).await;
    let get_status = async |selectors: Vec<String>| {
        let query = selectors.iter().map(|selector| format!("sel={selector}")).collect::<Vec<_>>().join("&");
        curl(ROOT, &daemon, "GET", &format!("/v1/status?{query}"), "").await
    };
    let names =
        |count: usize, glob: &str| (0..count).map(|number| format!("app/web{number}{glob}")).collect::<Vec<_>>();
    // There is no HAProxy: teeterd accepts the request and finds no server.
    for selectors in [names(1000, ""), names(50, "*"), vec!["app/*".to_owned(); 2000], names(1, &"*a".repeat(1000))] {
        let (status, problem) = get_status(selectors).await;
        assert_ne!(problem["type"].as_str(), Some("urn:teeter:bad-request"), "{status} {problem}");
    }
    let farms = (0..51).map(|number| format!("farm:web{number}")).collect();
    let long = (0..5).map(|number| format!("app/{number}{}", "*a".repeat(500))).collect();
    for selectors in [names(1001, ""), names(51, "*"), farms, long] {
        let (status, problem) = get_status(selectors).await;
        assert_eq!((status, problem["type"].as_str()), (400, Some("urn:teeter:bad-request")), "{problem}");
        assert!(problem["detail"].as_str().unwrap().contains("globs, farms or hosts"), "{problem}");
    }
    let (status, problem) = curl(ROOT, &daemon, "POST", "/v1/holds", &body(&names(51, "*"))).await;
    assert_eq!((status, problem["exit"].as_u64()), (400, Some(2)), "{problem}");
}

fn body(selectors: &[String]) -> String {
    serde_json::json!({"selectors": selectors, "mode": "drain", "reason": "r"}).to_string()
}
