//! The JSON documents of the API, recorded from a running teeterd in `tests/api-documents`. Each must be read into its
//! type and written again with the same fields and values, so that a change of a type shows in these files.
//!
//! `cargo test --test it -- --ignored documents` records them anew.

use std::path::Path;

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use teeter::api;
use teeter_lab::{FarmSpec, Held, Sample};

use crate::control::http_api::http;
use crate::fixtures::exit;
use crate::fixtures::site::{Site, finish, step_of, until};

const FOLDER: &str = "tests/api-documents";

/// Reads a document into its type and writes it again.
fn round_trip<T: Serialize + DeserializeOwned>(document: &Value) -> Result<Value, serde_json::Error> {
    serde_json::to_value(serde_json::from_value::<T>(document.clone())?)
}

type RoundTrip = fn(&Value) -> Result<Value, serde_json::Error>;

/// The type of each document, by the first word of its file's name.
const TYPES: [(&str, RoundTrip); 16] = [
    ("status", round_trip::<api::StatusView>),
    ("holds", round_trip::<api::Holds>),
    ("hold", round_trip::<api::HoldView>),
    ("runs", round_trip::<api::Runs>),
    ("run", round_trip::<api::RunView>),
    ("farm-runs", round_trip::<api::FarmRuns>),
    ("sessions", round_trip::<api::Sessions>),
    ("doctor", round_trip::<api::Findings>),
    ("events", round_trip::<api::Events>),
    ("idle", round_trip::<api::IdleView>),
    ("store", round_trip::<api::StoreView>),
    ("problem", round_trip::<api::Problem>),
    ("request-hold", round_trip::<api::HoldRequest>),
    ("request-release", round_trip::<api::ReleaseRequest>),
    ("request-run", round_trip::<api::RunRequest>),
    ("request-advance", round_trip::<api::AdvanceRequest>),
];

#[test]
fn recorded_documents_survive_a_round_trip() {
    let mut seen = std::collections::BTreeSet::new();
    for file in std::fs::read_dir(FOLDER).unwrap() {
        let path = file.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap();
        let is_of = |kind: &str| name == kind || name.starts_with(&format!("{kind}."));
        let (kind, round_trip) =
            TYPES.iter().find(|(kind, _)| is_of(kind)).unwrap_or_else(|| panic!("{name} has no type"));
        let document: Value = serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
        let written = round_trip(&document).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(written, document, "{name}");
        seen.insert(*kind);
    }
    assert_eq!(seen.len(), TYPES.len(), "each type has a document: {seen:?}");
}

/// Sends a request and writes the answer, without paths of this machine, into the folder.
async fn record(site: &Site, name: &str, request: &str, body: &str) {
    let (_, text) = http(site, request, body).await;
    let mut document: Value = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{name}: {error}: {text}"));
    let program = Path::new(env!("CARGO_BIN_EXE_teeter")).display().to_string();
    let tests = std::env::current_exe().unwrap().display().to_string();
    let directories = [site.farm.dir().to_owned(), site.farm.dir().canonicalize().unwrap()];
    let mut names = vec![(program, "/usr/bin/teeter".to_owned()), (tests, "/usr/bin/curl".to_owned())];
    names.extend(directories.map(|path| (path.display().to_string(), "/srv/site".to_owned())));
    rename(&mut document, &names);
    let text = serde_json::to_string_pretty(&document).unwrap();
    std::fs::write(format!("{FOLDER}/{name}.json"), format!("{text}\n")).unwrap();
}

/// Replaces parts of every text in a document.
fn rename(value: &mut Value, names: &[(String, String)]) {
    match value {
        Value::String(text) => names.iter().for_each(|(from, to)| *text = text.replace(from, to)),
        Value::Array(all) => all.iter_mut().for_each(|value| rename(value, names)),
        Value::Object(all) => all.values_mut().for_each(|value| rename(value, names)),
        _ => {}
    }
}

async fn until_hold(site: &Site, stage: &str) {
    until(|| async {
        let holds = site.json(&["holds"]).await;
        holds["holds"].as_array().is_some_and(|holds| holds.iter().any(|hold| hold["stage"] == stage))
    })
    .await;
}

#[tokio::test]
#[ignore = "writes tests/api-documents"]
async fn record_holds_and_problems() {
    let site = Site::start_with("min_available = 2", FarmSpec::default()).await;
    record(&site, "status.ready", "GET /v1/status", "").await;
    record(&site, "doctor", "GET /v1/doctor", "").await;
    let session = loop {
        let held = Held::open(site.farm.addr(), "/ws", &[]).await.expect("a websocket opens");
        if held.answer().server() == "web01" {
            break held;
        }
    };
    let drain = ["drain", "app/web01", "--reason", "new disk", "--for", "2h", "--deadline", "3s", "--no-wait"];
    assert_eq!(site.teeter(&drain).await.code, 0);
    record(&site, "holds.draining", "GET /v1/holds", "").await;
    record(&site, "sessions", "GET /v1/sessions?sel=app/web01", "").await;
    record(&site, "status.draining", "GET /v1/status", "").await;
    until_hold(&site, "stuck").await;
    record(&site, "holds.stuck", "GET /v1/holds", "").await;
    drop(session);
    assert_eq!(site.teeter(&["maint", "app/web02", "--reason", "kernel"]).await.code, 0);
    record(&site, "holds.out", "GET /v1/holds", "").await;
    record(&site, "hold", "GET /v1/holds/2", "").await;
    record(&site, "problem.guard", "POST /v1/holds", r#"{"selectors":["app/*"],"mode":"drain","reason":"r"}"#).await;
    record(&site, "problem.usage", "POST /v1/holds", r#"{"selectors":["app/*"],"mode":"off","reason":"r"}"#).await;
    record(&site, "problem.not-found", "GET /v1/runs/9", "").await;
    record(&site, "problem.no-path", "GET /v1/nowhere", "").await;
    site.farm.app("web02").set_healthy(false);
    assert_eq!(site.teeter(&["ready", "app/web02", "--no-wait"]).await.code, 0);
    record(&site, "holds.verifying", "GET /v1/holds", "").await;
    record(&site, "events.holds", "GET /v1/events", "").await;
    record(&site, "store", "GET /v1/store", "").await;
}

#[tokio::test]
#[ignore = "writes tests/api-documents"]
async fn record_a_see_saw() {
    let site = Site::start().await;
    record(&site, "run.see-saw-planned", "POST /v1/runs", r#"{"farm":"web","version":"v2","dry_run":true}"#).await;
    assert_eq!(site.teeter(&["begin", "web", "--to", "v2"]).await.code, 0);
    record(&site, "run.see-saw-at-work", "GET /v1/runs/1", "").await;
    record(&site, "problem.busy", "POST /v1/runs", r#"{"farm":"web"}"#).await;
    record(&site, "problem.not-now", "POST /v1/runs/1/retry", "").await;
    assert_eq!(site.teeter(&["pause", "1"]).await.code, 0);
    record(&site, "run.see-saw-paused", "GET /v1/runs/1", "").await;
    assert_eq!(site.teeter(&["resume", "1"]).await.code, 0);
    assert_eq!(site.teeter(&["advance", "1", "--failed", "no space left on device"]).await.code, 0);
    record(&site, "run.see-saw-failed-work", "GET /v1/runs/1", "").await;
    record(&site, "status.see-saw", "GET /v1/status", "").await;
    assert_eq!(site.teeter(&["abort", "1"]).await.code, 0);
    record(&site, "run.see-saw-aborted", "GET /v1/runs/1", "").await;
    let go = site.farm.dir().join("go");
    let wait = format!("[ $TEETER_GROUP = a ] || while [ ! -e {} ]; do sleep 0.05; done", go.display());
    let hook = site.hook();
    let deploy = ["deploy", "web", "--to", "v2", "--before-out", "true", "--after-out", &wait, "--", &hook];
    let deploy = site.daemon.spawn(&deploy);
    let at = |step| {
        let site = &site;
        async move { step_of(&site.json(&["show", "2"]).await) == Some(step) }
    };
    until(|| at("after-out b")).await;
    record(&site, "run.see-saw-attended", "GET /v1/runs/2", "").await;
    assert_eq!(site.teeter(&["rollback", "2", "--reason", "the shop is empty"]).await.code, 0);
    record(&site, "run.see-saw-rolled-back", "GET /v1/runs/2", "").await;
    finish(deploy).await;
    record(&site, "runs.see-saw", "GET /v1/runs", "").await;
    record(&site, "farm-runs", "GET /v1/farms/web/runs?since=2026-01-01T00:00:00Z", "").await;
    record(&site, "events.see-saw", "GET /v1/events", "").await;
}

#[tokio::test]
#[ignore = "writes tests/api-documents"]
async fn record_a_rolling_deploy() {
    let site = Site::start_with("verify.deadline = \"2s\"", FarmSpec::default()).await;
    let hook = site.hook();
    let script = format!("if [ \"$TEETER_GROUP\" = batch-2 ]; then exit 0; fi; {hook}");
    let roll = ["deploy", "web", "--strategy", "rolling", "--settle", "0s", "--to", "v2"];
    assert_eq!(site.teeter(&[&roll[..], &["--", "sh", "-c", &script]].concat()).await.code, exit::FAILED);
    record(&site, "run.rolling-failed-verify", "GET /v1/runs/1", "").await;
    assert_eq!(site.teeter(&["abort", "1"]).await.code, 0);
    assert_eq!(site.teeter(&[&roll[..], &["--max-failed", "1", "--", "sh", "-c", &script]].concat()).await.code, 0);
    record(&site, "run.rolling-left-out", "GET /v1/runs/2", "").await;
    record(&site, "holds.rolling", "GET /v1/holds", "").await;
    record(&site, "events.rolling", "GET /v1/events", "").await;
}

#[tokio::test]
#[ignore = "writes tests/api-documents"]
async fn record_a_canary() {
    let site = Site::start().await;
    let hook = site.hook();
    let deploy = ["deploy", "web", "--strategy", "canary", "--steps", "25%,100%", "--pause", "10m", "--to", "v2"];
    let deploy = site.daemon.spawn(&[&deploy[..], &["--", &hook]].concat());
    until_hold(&site, "shared").await;
    until(|| async {
        let run = site.json(&["show", "1"]).await;
        run["waiting"].as_str().is_some_and(|text| text.starts_with("watching"))
    })
    .await;
    record(&site, "run.canary-watched", "GET /v1/runs/1", "").await;
    record(&site, "holds.canary", "GET /v1/holds", "").await;
    record(&site, "status.canary", "GET /v1/status", "").await;
    drop(deploy);
}

#[tokio::test]
#[ignore = "writes tests/api-documents"]
async fn record_a_blue_green_deploy() {
    let site = Site::start_spec(FarmSpec { sample: Sample::BlueGreen, ..FarmSpec::default() }, &[]).await;
    record(&site, "idle", "GET /v1/farms/shop/idle", "").await;
    record(&site, "doctor.route", "GET /v1/doctor", "").await;
    let hook = site.hook();
    let deploy = ["deploy", "shop", "--strategy", "blue-green", "--to", "v2", "--", &hook];
    assert_eq!(site.teeter(&deploy).await.code, 0);
    record(&site, "run.blue-green-done", "GET /v1/runs/1", "").await;
    record(&site, "holds.standby", "GET /v1/holds", "").await;
    record(&site, "status.route", "GET /v1/status", "").await;
    assert_eq!(site.teeter(&["flip", "shop", "blue"]).await.code, 0);
    record(&site, "run.flip-done", "GET /v1/runs/2", "").await;
    record(&site, "runs.blue-green", "GET /v1/runs", "").await;
    record(&site, "events.blue-green", "GET /v1/events", "").await;
}

/// The requests of `teeter`.
#[test]
#[ignore = "writes tests/api-documents"]
fn record_requests() {
    for (name, request) in [
        (
            "request-hold",
            json!({"selectors": ["app/web01", "farm:web"], "mode": "drain", "reason": "new disk", "expires_in": "2h",
                "grace": "30s", "deadline": "5m", "on_deadline": "kill", "idle": true, "allow_outage": false,
                "all_but_min": true, "without_haproxy": ["edge2"]}),
        ),
        (
            "request-hold.short",
            json!({"selectors": ["web01"], "mode": "maint", "reason": "r", "expires_in": null, "grace": null,
                "deadline": null, "on_deadline": null, "idle": false, "allow_outage": false, "all_but_min": false}),
        ),
        (
            "request-release",
            json!({"selectors": ["host:10.0.0.7"], "verify": true, "deadline": "5m", "force": true, "take_over": false,
                "owner": "alice"}),
        ),
        (
            "request-run",
            json!({"farm": "web", "strategy": "rolling", "to": null, "order": "gap", "version": "v2", "dry_run": false,
                "grace": "30s", "deadline": "5m", "on_deadline": "fail", "on_stall": "restore", "stall_after": "30m",
                "steps": null, "pause": null, "batch": "25%", "settle": "10s", "max_failed": 1, "allow_outage": false,
                "without": ["web03"], "phases": ["before-out", "after-in"], "without_haproxy": ["edge2"]}),
        ),
        (
            "request-run.canary",
            json!({"farm": "web", "strategy": "canary", "to": null, "order": null, "version": "v2", "dry_run": true,
                "grace": null, "deadline": null, "on_deadline": null, "on_stall": null, "stall_after": null,
                "steps": "5%,25%,100%", "pause": "10m", "batch": null, "settle": null, "max_failed": null,
                "allow_outage": false, "without": [], "phases": []}),
        ),
        (
            "request-run.flip",
            json!({"farm": "shop", "strategy": "flip", "to": "blue", "order": "overlap", "version": null,
                "dry_run": false, "grace": null, "deadline": null, "on_deadline": null, "on_stall": null,
                "stall_after": null, "steps": null, "pause": null, "batch": null, "settle": null, "max_failed": null,
                "allow_outage": false, "without": [], "phases": []}),
        ),
        ("request-advance", json!({"step": 3, "failed": "no space left on device", "key": "k", "force": false})),
    ] {
        let text = serde_json::to_string_pretty(&request).unwrap();
        std::fs::write(format!("{FOLDER}/{name}.json"), format!("{text}\n")).unwrap();
    }
}

/// The description has the allowed values of these fields.
#[test]
fn description_lists_the_values_of_each_enum() {
    let document = serde_json::to_value(teeter::control::openapi_document()).unwrap();
    let schemas = &document["components"]["schemas"];
    for (schema, field, words) in [
        ("HoldView", "stage", "HoldStage"),
        ("RunView", "state", "RunStatus"),
        ("StepView", "state", "StepStatus"),
        ("FindingView", "state", "FindingStatus"),
    ] {
        let reference = &schemas[schema]["properties"][field];
        assert!(reference.to_string().contains(&format!("#/components/schemas/{words}")), "{schema}: {reference}");
        let listed = schemas[words]["enum"].as_array().unwrap_or_else(|| panic!("{words} is not described"));
        assert!(listed.len() > 3, "{listed:?}");
    }
}
