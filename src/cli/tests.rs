//! Whole commands against a server that answers from a script.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::Request;
use axum::response::Response;
use clap::Parser as _;
use http_body_util::BodyExt as _;
use serde_json::{Value, json};

use super::args::Cli;
use super::{Context, print, run};
use crate::api::{Exit, Problem, RunView};
use crate::control::client::Client;

struct Fake {
    directory: tempfile::TempDir,
    requests: Arc<Mutex<Vec<String>>>,
}

impl Fake {
    /// Answers each request, given as `GET /v1/path?query body`.
    fn answering(answer: impl FnMut(&str) -> (u16, Value) + Send + 'static) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let listener = tokio::net::UnixListener::bind(directory.path().join("control.sock")).unwrap();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let (log, answer) = (Arc::clone(&requests), Arc::new(Mutex::new(answer)));
        let handler = move |request: Request| {
            let (log, answer) = (Arc::clone(&log), Arc::clone(&answer));
            async move {
                let (head, body) = request.into_parts();
                let body = body.collect().await.unwrap().to_bytes();
                let line = format!("{} {} {}", head.method, head.uri, String::from_utf8_lossy(&body));
                let (status, value) = answer.lock().unwrap()(&line);
                log.lock().unwrap().push(line);
                Response::builder().status(status).header("teeter-tick", "7").body(value.to_string()).unwrap()
            }
        };
        tokio::spawn(async { axum::serve(listener, Router::new().fallback(handler)).await });
        Self { directory, requests }
    }

    async fn teeter(&self, words: &[&str]) -> Exit {
        let cli = Cli::try_parse_from(std::iter::once(&"teeter").chain(words)).unwrap();
        let context = Context { client: Client::new(self.directory.path().join("control.sock")), json: cli.json };
        run(&context, cli.command).await.unwrap_or_else(|error| print::failure(&error, context.json))
    }

    fn posts(&self) -> Vec<String> {
        self.requests.lock().unwrap().iter().filter(|line| line.starts_with("POST")).cloned().collect()
    }
}

fn problem(status: u16, exit: u8) -> (u16, Value) {
    let (kind, title) = ("urn:teeter:test".to_owned(), "test".to_owned());
    (status, json!(Problem { kind, title, status, detail: "the test says no".to_owned(), hints: Vec::new(), exit }))
}

/// A run of two works, at this step: 0 out, 1 work a, 2 flip, 3 work b, 4 the end.
fn at(cursor: usize, state: &str, failure: Option<&str>) -> (u16, Value) {
    let texts = ["out a", "work a", "flip a to b", "work b"];
    let steps: Vec<Value> = texts
        .iter()
        .enumerate()
        .map(|(index, text)| json!({"text": text, "state": if index < cursor { "done" } else { "to do" }}))
        .collect();
    let group = if cursor == 1 { ("a", ["web01", "web02"]) } else { ("b", ["web03", "web04"]) };
    let work = (cursor % 2 == 1 && state == "running").then(
        || json!({"step": cursor, "group": group.0, "servers": group.1, "addresses": ["10.0.0.1:80", "10.0.0.2:80"]}),
    );
    let run = json!({"id": 3, "farm": "web", "strategy": "see-saw", "version": "v2", "state": state, "why": failure,
        "failure": failure, "by": "alice", "started": "2026-01-01T00:00:00Z", "finished": null, "cursor": cursor, "steps": steps,
        "waiting": null, "in_flight": {}, "work": work, "skipped": {}, "versions": {}, "out": [], "next": null});
    assert!(serde_json::from_value::<RunView>(run.clone()).is_ok());
    (200, run)
}

#[tokio::test]
async fn a_deploy_calls_its_hook_for_each_group_and_survives_a_restart_of_teeterd() {
    let (mut cursor, mut away) = (0, 2);
    let fake = Fake::answering(move |line| {
        if line.starts_with("POST /v1/runs/3/advance") {
            // The first report is lost on its way.
            away -= 1;
            if away == 1 {
                return problem(503, 9);
            }
            cursor += 1;
        } else if line.starts_with("GET /v1/runs/3") && cursor % 2 == 0 {
            cursor += 1;
        }
        at(cursor, if cursor == 4 { "done" } else { "running" }, None)
    });
    let log = fake.directory.path().join("log");
    let script =
        "echo \"$TEETER_RUN $TEETER_FARM $TEETER_STEP $TEETER_GROUP $TEETER_VERSION $TEETER_SERVERS\" >> \"$0\"";
    let exit = fake.teeter(&["deploy", "web", "--to", "v2", "--", "sh", "-c", script, log.to_str().unwrap()]).await;
    assert_eq!(exit, Exit::Done);
    assert_eq!(std::fs::read_to_string(log).unwrap(), "3 web 1 a v2 web01 web02\n3 web 3 b v2 web03 web04\n");
    assert_eq!(fake.posts().len(), 4);
}

#[tokio::test]
async fn a_hook_that_fails_fails_the_run() {
    let fake = Fake::answering(|line| match line {
        line if line.contains("hook exited with code 4 on web02") => at(1, "failed", Some("work")),
        _ => at(1, "running", None),
    });
    let script = "test \"$TEETER_SERVERS\" = web01 || exit 4";
    assert_eq!(fake.teeter(&["deploy", "web", "--per-server", "--", "sh", "-c", script]).await, Exit::Failed);
    let report = r#"POST /v1/runs/3/advance {"step":1,"failed":"hook exited with code 4 on web02","key":""#;
    assert!(fake.posts()[1].starts_with(report), "{:?}", fake.posts());
}

#[tokio::test]
async fn nothing_is_begun_for_a_hook_that_is_not_there() {
    let fake = Fake::answering(|_| at(1, "running", None));
    for hook in ["no-such-hook", "./no-such-hook", "/etc/passwd", "/"] {
        assert_eq!(fake.teeter(&["deploy", "web", "--", hook]).await, Exit::Usage, "{hook}");
    }
    assert_eq!(fake.posts().len(), 0);
}

#[tokio::test]
async fn the_kind_of_a_failure_is_the_exit_code() {
    for (failure, exit) in [
        ("verify", Exit::Failed),
        ("deadline", Exit::TimedOut),
        ("refused", Exit::Failed),
        ("unreachable", Exit::Unreachable),
    ] {
        let fake = Fake::answering(move |_| at(0, "failed", Some(failure)));
        assert_eq!(fake.teeter(&["deploy", "web", "--", "true"]).await, exit, "{failure}");
    }
    let fake = Fake::answering(|_| problem(409, 8));
    assert_eq!(fake.teeter(&["begin", "web"]).await, Exit::Busy);
}

#[tokio::test]
async fn a_drain_waits_until_its_hold_is_settled() {
    let hold = |stage: &str| {
        (
            200,
            json!({"id": 4, "owner": "alice", "reason": "x", "entries": ["edge:app/web01"], "members": ["web01"], "mode": "drain",
            "stage": stage, "left": 0, "since": "2026-01-01T00:00:00Z", "expires": null, "waiting": null, "wait": null,
            "in_flight": {}, "note": null}),
        )
    };
    for (end, policy, exit) in [
        ("out", "fail", Exit::Done),
        ("stuck", "fail", Exit::TimedOut),
        ("", "restore", Exit::TimedOut),
        ("", "fail", Exit::Aborted),
    ] {
        let fake = Fake::answering(move |line| match line {
            line if line.starts_with("POST") => hold("draining"),
            line if line.starts_with("GET /v1/sessions?sel=web01") => (200, json!({"sessions": []})),
            line if !line.contains("tick=7&wait=10s") => hold("draining"),
            _ if end.is_empty() => problem(404, 3),
            _ => hold(end),
        });
        assert_eq!(
            fake.teeter(&["drain", "web01", "--reason", "x", "--on-deadline", policy]).await,
            exit,
            "{end} {policy}"
        );
    }
}
