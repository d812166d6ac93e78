//! Readers that ask more than is good for others: what changes something goes on beside them.

use std::fmt::Write as _;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;

use crate::control::caller_limits::say_much;
use crate::fixtures::custom_backends::Stand;
use crate::fixtures::exit;
use crate::fixtures::site::{Daemon, Site, finish, instance, until};
use crate::fixtures::socket_relay::Relay;
use crate::fixtures::system_users::{ROOT, can_change, curl, nameless, open_to_all};

/// In the line of a look at everything, and in no other.
const AT_EVERYTHING: &str = "show servers state;";

#[tokio::test]
async fn drain_does_not_wait_for_readers() {
    let stand = Stand::start(&backends(), "").await;
    let mut relay = Relay::start(stand.dir().join("relay.sock"), &stand.haproxy.socket(), AT_EVERYTHING);
    let dir = tempfile::tempdir().unwrap();
    let daemon = Daemon::start(dir.path(), &instance(&relay.path)).await;
    assert_eq!(daemon.teeter(&["drain", "app/web02", "--reason", "so that all is known"]).await.code, 0);
    relay.arm(0);
    let reader = daemon.spawn(&["status"]);
    let cut = relay.cut().await;
    relay.take_lines();
    let drained = daemon.teeter(&["drain", "app/web01", "--reason", "r", "--no-wait", "--allow-outage"]).await;
    assert_eq!(drained.code, 0, "{drained:?}\n{}", daemon.log());
    // Had the drain waited for the end of that look, another one like it would have come before it.
    let lines = relay.take_lines();
    let (drain, look) = (find(&lines, "set server app/web01 state drain"), find(&lines, AT_EVERYTHING));
    assert!(drain.is_some() && look.is_none(), "{lines:#?}");
    drop(cut);
    // It was cut short, so HAProxy has not answered the reader.
    assert_eq!(finish(reader).await.code, exit::UNREACHABLE);
}

fn find(lines: &[String], text: &str) -> Option<usize> {
    lines.iter().position(|line| line.contains(text))
}

/// Several, so that one is not looked at by a look at all.
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
    say_much(&site).await;
    // More than a socket takes: each of these stays at the desk.
    let greedy = nameless(54_400);
    let socket = site.daemon.socket().to_owned();
    let (begun, all_begun) = tokio::sync::oneshot::channel();
    let (end, ended) = tokio::sync::oneshot::channel::<()>();
    let crowd = crate::control::caller_limits::as_user(greedy, async move {
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
        ended.await.unwrap_or_default();
    });
    all_begun.await.unwrap();
    // Root reads, others read, and even this user changes something.
    for user in [ROOT, nameless(54_401)] {
        assert_eq!(curl(user, &site.daemon, "GET", "/v1/status", "").await.0, 200);
    }
    let hold = r#"{"selectors":["app/web01"],"mode":"drain","reason":"r"}"#;
    let (status, said) = curl(greedy, &site.daemon, "POST", "/v1/holds", hold).await;
    assert_eq!(status, 201, "{said}");
    end.send(()).unwrap();
    crowd.join().unwrap();
    until(|| async { curl(greedy, &site.daemon, "GET", "/v1/status", "").await.0 == 200 }).await;
}

#[tokio::test]
async fn selectors_and_farms_of_one_request_are_limited() {
    let dir = tempfile::tempdir().unwrap();
    let daemon = Daemon::start(dir.path(), &instance(&dir.path().join("none.sock"))).await;
    let ask = async |selectors: Vec<String>| {
        let query = selectors.iter().map(|it| format!("sel={it}")).collect::<Vec<_>>().join("&");
        curl(ROOT, &daemon, "GET", &format!("/v1/status?{query}"), "").await
    };
    let names = |count: usize, glob: &str| (0..count).map(|it| format!("app/web{it}{glob}")).collect::<Vec<_>>();
    // There is no HAProxy: what is asked for is found nowhere, after it was taken for a question.
    for asked in [names(1000, ""), names(50, "*"), vec!["app/*".to_owned(); 2000], names(1, &"*a".repeat(1000))] {
        let (status, problem) = ask(asked).await;
        assert_ne!(problem["type"].as_str(), Some("urn:teeter:bad-request"), "{status} {problem}");
    }
    let farms = (0..51).map(|it| format!("farm:web{it}")).collect();
    let long = (0..5).map(|it| format!("app/{it}{}", "*a".repeat(500))).collect();
    for asked in [names(1001, ""), names(51, "*"), farms, long] {
        let (status, problem) = ask(asked).await;
        assert_eq!((status, problem["type"].as_str()), (400, Some("urn:teeter:bad-request")), "{problem}");
        assert!(problem["detail"].as_str().unwrap().contains("globs, farms or hosts"), "{problem}");
    }
    let (status, problem) = curl(ROOT, &daemon, "POST", "/v1/holds", &body(&names(51, "*"))).await;
    assert_eq!((status, problem["exit"].as_u64()), (400, Some(2)), "{problem}");
}

fn body(selectors: &[String]) -> String {
    serde_json::json!({"selectors": selectors, "mode": "drain", "reason": "r"}).to_string()
}
