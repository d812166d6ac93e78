//! teeterd opens the stores of every earlier version: it migrates them, and each record keeps its content.

use std::path::Path;

use rusqlite::Connection;
use serde_json::Value;
use teeter::plan::Run;
use teeter::state::{State, Transaction};
use teeter::store::{DrainQuery, EventQuery, SqliteStore, Store, verify_file};
use teeter_lab::FarmSpec;

use crate::fixtures::site::{DRAIN, MAINT, Site, until};

/// The stores, with the version of their schema. Each was written by a teeterd with that schema, and has a run that has
/// ended, an active run, and an operator's holds. A new schema adds a store and a line here.
const STORES: [(&str, u32); 7] = [
    ("schema-1", 1),
    ("schema-2-first", 2),
    ("schema-2", 2),
    ("schema-3", 3),
    ("schema-4", 4),
    ("schema-5", 5),
    ("schema-6", 6),
];

fn path(name: &str) -> String {
    format!("tests/stores/{name}.db")
}

/// The rows of a table as they are in the file: a key and a document.
fn rows(file: &Path, sql: &str) -> Vec<(String, Value)> {
    let connection = Connection::open(file).expect("it is opened");
    let mut statement = connection.prepare(sql).expect("it has the table");
    let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get::<_, String>(1)?)));
    let rows = rows.expect("it is read").map(|row| row.expect("it is a row"));
    rows.map(|(key, text)| (key, serde_json::from_str(&text).expect("it is a document"))).collect()
}

/// Keys and values that have another name today.
const RENAMED: [(&str, &str); 8] = [
    ("nobody", "none"),
    ("who_sticks", "sticky"),
    ("everybody", "all"),
    ("proving", "verifying"),
    ("proven", "verified"),
    ("proof", "verify"),
    ("turn", "switch"),
    ("aside", "skipped_lines"),
];

fn is_renamed(was: &str, is: &str) -> bool {
    RENAMED.contains(&(was, is))
}

/// What the old record has and the new one has not. The new record may have more.
fn lost(was: &Value, is: &Value) -> Option<String> {
    match (was, is) {
        (Value::Object(was), Value::Object(is)) => was.iter().find_map(|(key, was)| {
            let renamed = || is.iter().find(|(now, _)| is_renamed(key, now)).map(|(_, value)| value);
            let lost = lost(was, is.get(key).or_else(renamed).unwrap_or(&Value::Null))?;
            Some(format!("{key} {lost}"))
        }),
        (Value::Array(was), Value::Array(is)) if was.len() == is.len() => {
            was.iter().zip(is).find_map(|(was, is)| lost(was, is))
        }
        // A single value may have become a list with that value.
        (was, Value::Array(is)) if !was.is_array() && is.len() == 1 => lost(was, &is[0]),
        (Value::String(was), Value::String(is)) if is_renamed(was, is) => None,
        (was, is) => (was != is).then(|| format!("was {was} and is {is}")),
    }
}

fn records(state: &State, what: &str) -> Vec<(String, Value)> {
    let json = |value: serde_json::Result<Value>| value.expect("it is a document");
    match what {
        "holds" => {
            let all = state.holds.iter();
            all.map(|(id, hold)| (id.to_string(), json(serde_json::to_value(hold)))).collect()
        }
        "baselines" => {
            let all = state.baselines.iter();
            all.map(|(entry, was)| (entry.to_string(), json(serde_json::to_value(was)))).collect()
        }
        "routes" => {
            let all = state.routes.iter();
            all.map(|(farm, route)| (farm.to_string(), json(serde_json::to_value(route)))).collect()
        }
        _ => {
            let all = state.runs.iter();
            all.map(|(id, run)| (id.to_string(), json(serde_json::to_value(run)))).collect()
        }
    }
}

#[test]
fn every_old_store_is_read_as_it_was_written() {
    let mut latest = None;
    for (name, schema) in STORES {
        let dir = tempfile::tempdir().expect("a directory is made");
        let file = dir.path().join("t.db");
        std::fs::copy(path(name), &file).expect("it is copied");
        let found = verify_file(&file).expect("it is read");
        assert_eq!((found.schema, found.problems.as_slice(), found.runs), (schema, &[][..], 2), "{name}");
        assert!(found.holds >= 1 && found.baselines >= 4 && found.events >= 20, "{name}: {found:?}");
        let mut tables = vec![
            ("holds", "SELECT CAST(id AS TEXT), json FROM holds ORDER BY id"),
            ("baselines", "SELECT entry, json FROM baselines ORDER BY entry"),
            ("runs", "SELECT CAST(id AS TEXT), json FROM runs ORDER BY id"),
        ];
        if schema > 1 {
            tables.push(("routes", "SELECT farm, json FROM routes ORDER BY farm"));
        }
        let before: Vec<_> = tables.into_iter().map(|(what, sql)| (what, rows(&file, sql))).collect();
        let events_before =
            rows(&file, "SELECT CAST(id AS TEXT), json_array(at, kind, text, run, hold) FROM events ORDER BY id");

        let store = SqliteStore::open(&file).expect("it is opened");
        let state = store.load().expect("it is read");
        for (what, was) in before {
            let mut now = records(&state, what);
            now.sort_by_key(|row| old_position(&was, &row.0));
            assert_eq!(was.len(), now.len(), "{name}: {what}");
            for ((key, was), (also, is)) in was.iter().zip(&now) {
                assert_eq!((key, lost(was, is)), (also, None), "{name}: {what} {key}");
            }
        }
        assert_eq!(state.revision, found.revision, "{name}");
        let (halfway, ended) = (state.runs.values().next_back(), state.runs.values().next());
        assert!(halfway.is_some_and(|run| run.is_active() && at_second_work(run)), "{name}: {halfway:?}");
        assert!(ended.is_some_and(|run| !run.is_active() && run.finished.is_some()), "{name}: {ended:?}");
        assert!(state.next_run > 2 && state.holds.keys().all(|id| id.0 < state.next_hold), "{name}");

        let events = store.events(EventQuery { limit: 5000, ..EventQuery::default() }).expect("they are read");
        assert_eq!(events.len(), events_before.len(), "{name}");
        for (event, (id, was)) in events.iter().zip(&events_before) {
            assert_eq!(
                (&event.id.to_string(), event.kind.as_str(), event.text.as_str()),
                (id, was[1].as_str().unwrap_or_default(), was[2].as_str().unwrap_or_default()),
                "{name}"
            );
            assert_eq!(Some(event.at.to_string().as_str()), was[0].as_str(), "{name}");
        }
        assert!(events.iter().any(|event| event.caller.as_ref().is_some_and(|caller| caller.user == "root")), "{name}");

        let drains = store.drains(&DrainQuery::OfFarm("web".parse().expect("it is a name"))).expect("they are read");
        assert!(if schema < 5 { drains.is_empty() } else { drains.len() >= 2 }, "{name}: {drains:?}");

        let watches = state.runs.keys().map(|run| store.watches(*run).expect("they are read").len());
        assert_eq!(watches.sum::<usize>(), if schema < 6 { 0 } else { 2 }, "{name}");

        // The migrated store can be written and verified.
        store.commit(&Transaction { expect: state.revision, ..Transaction::default() }).expect("it is written");
        let now = store.verify().expect("it is read");
        assert!(now.problems.is_empty() && now.schema >= schema, "{name}: {now:?}");
        assert_eq!(*latest.get_or_insert(now.schema), now.schema, "{name}");
    }
    // The last store of the list has today's schema.
    assert_eq!(latest, STORES.last().map(|(_, schema)| *schema), "a store of the new schema is missing");
}

fn at_second_work(run: &Run) -> bool {
    run.current().is_some_and(|step| step.to_string() == "work b")
}

/// Writes the store of a new schema: for a commit that adds one.
#[tokio::test]
#[ignore = "writes tests/stores"]
async fn record_the_store_of_the_present_schema() {
    let site = Site::start_with("bake = { for = \"1s\", max_5xx = \"1%\" }", FarmSpec::default()).await;
    let hook = site.hook();
    let ended = site.teeter(&["deploy", "web", "--to", "v2", "--", &hook]).await;
    assert_eq!(ended.code, 0, "{ended:?}");
    let begun = site.teeter(&["begin", "web", "--to", "v2"]).await;
    assert_eq!(begun.code, 0, "{begun:?}");
    let advanced = site.teeter(&["advance", "2"]).await;
    assert_eq!(advanced.code, 0, "{advanced:?}");
    let held = site.teeter(&["maint", "api/web02", "--reason", "a disk is replaced"]).await;
    assert_eq!(held.code, 0, "{held:?}");
    let schema = site.json(&["store", "verify"]).await["schema"].clone();
    let file = path(&format!("schema-{schema}"));
    let copied = site.teeter(&["store", "backup", &file]).await;
    assert_eq!(copied.code, 0, "{copied:?}");
}

/// The position of a key among the old rows.
fn old_position(was: &[(String, Value)], key: &str) -> Option<usize> {
    was.iter().position(|(old, _)| old == key)
}

#[tokio::test]
async fn run_begun_by_an_earlier_version_is_completed() {
    for name in ["schema-1", "schema-2"] {
        let mut site = Site::start().await;
        for done in ["web01", "web02"] {
            site.farm.app(done).replace("v2").await.expect("it is replaced");
        }
        site.daemon.kill().await;
        let store = site.farm.dir().join("teeter.db");
        let _ = std::fs::remove_file(store.with_extension("db-wal"));
        std::fs::copy(path(name), &store).expect("it is put in place");
        site.daemon.restart().await;
        site.wait_for_bits([0, DRAIN, MAINT, MAINT]).await;
        for work in ["web03", "web04"] {
            site.farm.app(work).replace("v2").await.expect("it is replaced");
        }
        // The last steps of the run in schema-2 send requests to the addresses of that time, where no server listens
        // now: abort that run.
        let (command, state) = if name == "schema-1" { ("advance", "done") } else { ("abort", "aborted") };
        let ended = site.teeter(&[command, "2"]).await;
        assert_eq!(ended.code, 0, "{name}: {ended:?}");
        assert_eq!(site.json(&["show", "2"]).await["state"], state, "{name}");
        assert_eq!(site.teeter(&["ready", "web02"]).await.code, 0, "{name}");
        // The other operator's hold has expired, or this ends it.
        site.teeter(&["ready", "api/web01"]).await;
        until(|| async { site.json(&["holds"]).await["holds"].as_array().is_some_and(Vec::is_empty) }).await;
        assert_eq!(site.bits().await, [0; 4], "{name}");
    }
}
