//! Tests of stores in files.

use super::*;
use crate::farm::Baseline;
use crate::haproxy::AdminState;

fn baseline(expect: u64) -> Transaction {
    let entry = "edge:app/web01".to_owned().try_into().unwrap();
    let was = Baseline {
        down: false,
        state: AdminState::Ready,
        agent: true,
        agent_down: false,
        weight: 7,
        weighed: false,
        overruled: None,
        origin: None,
    };
    let event = NewEvent {
        at: jiff::Timestamp::UNIX_EPOCH,
        kind: "test",
        text: "x".into(),
        run: Some(RunId(3)),
        hold: None,
        caller: None,
        changed: Vec::new(),
    };
    Transaction { expect, changes: vec![Change::PutBaseline(entry, was)], events: vec![event] }
}

#[test]
fn committed_changes_survive_reopening() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("t.db");
    let store = SqliteStore::open(&path).unwrap();
    let mut state = store.load().unwrap();
    let transaction = baseline(state.revision);
    let revision = store.commit(&transaction).unwrap();
    state.apply(&transaction.changes, revision);
    drop(store);
    let store = SqliteStore::open(&path).unwrap();
    assert_eq!(store.load().unwrap(), state);
    let events = store.events(EventQuery { run: Some(RunId(3)), limit: 10, ..EventQuery::default() }).unwrap();
    assert_eq!(events.len(), 1);
}

#[test]
fn recorded_events_are_counted_and_keep_the_revision() {
    let dir = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(&dir.path().join("t.db")).unwrap();
    store.commit(&baseline(1)).unwrap();
    let revision = store.load().unwrap().revision;
    let output = NewEvent { kind: "output", text: "für".into(), ..baseline(1).events.remove(0) };
    store.record(&[output.clone(), output]).unwrap();
    assert_eq!(store.load().unwrap().revision, revision);
    assert_eq!(store.tally(RunId(3), "output").unwrap(), Tally { events: 2, bytes: 8 });
    assert_eq!(store.tally(RunId(4), "output").unwrap(), Tally::default());
    let others = EventQuery { run: Some(RunId(3)), without: Some("output"), limit: 10, ..EventQuery::default() };
    assert_eq!(store.events(others).unwrap().len(), 1);
}

#[test]
fn a_change_from_an_older_revision_is_refused_completely() {
    let dir = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(&dir.path().join("t.db")).unwrap();
    store.commit(&baseline(1)).unwrap();
    assert!(matches!(store.commit(&baseline(1)), Err(StoreError::Conflict { expected: 1, found: 2 })));
    assert_eq!(store.events(EventQuery { limit: 10, ..EventQuery::default() }).unwrap().len(), 1);
}

#[test]
fn recorded_events_cannot_be_changed() {
    let dir = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(&dir.path().join("t.db")).unwrap();
    store.commit(&baseline(1)).unwrap();
    for attempt in [
        "DELETE FROM events",
        "UPDATE events SET text = 'y'",
        "REPLACE INTO events (id, at, kind, text) VALUES (1, '', 'k', 'y')",
        "INSERT INTO events (id, at, kind, text) VALUES (1, '', 'k', 'y') ON CONFLICT (id) DO UPDATE SET text = 'y'",
    ] {
        let refused = store.connection().execute(attempt, []).unwrap_err().to_string();
        assert!(refused.contains("events are never"), "{attempt}: {refused}");
    }
    assert_eq!(store.events(EventQuery { limit: 10, ..EventQuery::default() }).unwrap()[0].text, "x");
}

#[test]
fn events_are_found_by_their_time_after_the_clock_was_set_back() {
    let dir = tempfile::tempdir().unwrap();
    let store = SqliteStore::open(&dir.path().join("t.db")).unwrap();
    let times = ["2026-01-01T10:00:00Z", "2026-01-01T10:00:05.25Z", "2026-01-01T09:00:00Z", "2026-01-01T10:00:07Z"];
    let event = |at: &str| NewEvent { at: at.parse().unwrap(), ..baseline(1).events.remove(0) };
    store.record(&times.map(event)).unwrap();
    let ids = |since: &str| {
        let query = EventQuery { since: Some(since.parse().unwrap()), limit: 10, ..EventQuery::default() };
        store.events(query).unwrap().iter().map(|event| event.id).collect::<Vec<_>>()
    };
    assert_eq!(ids("2026-01-01T10:00:00.9Z"), [1, 2, 4]);
    assert_eq!(ids("2026-01-01T10:00:05Z"), [2, 4]);
    assert_eq!(ids("2026-01-01T09:00:00Z"), [1, 2, 3, 4]);
    assert_eq!(ids("2026-01-01T10:00:08Z"), [0; 0]);
}

#[test]
fn a_second_daemon_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("t.db");
    let _first = SqliteStore::open(&path).unwrap();
    assert!(matches!(SqliteStore::open(&path), Err(StoreError::InUse { .. })));
}

#[test]
fn a_newer_store_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("t.db");
    drop(SqliteStore::open(&path).unwrap());
    Connection::open(&path).unwrap().pragma_update(None, "user_version", 99).unwrap();
    assert!(matches!(SqliteStore::open(&path), Err(StoreError::TooNew { found: 99, .. })));
}

#[test]
fn runs_of_a_farm_are_found_by_their_time_the_latest_first() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("t.db");
    std::fs::copy("tests/stores/schema-5.db", &path).unwrap();
    let store = SqliteStore::open(&path).unwrap();
    let state = store.load().unwrap();
    let farm: crate::farm::FarmName = "web".parse().unwrap();
    let run = |id: u64, farm: &str, started: &str| {
        let mut run = state.runs[&RunId(1)].clone();
        (run.id, run.plan.farm, run.started) = (RunId(id), farm.parse().unwrap(), started.parse().unwrap());
        Change::PutRun(Box::new(run))
    };
    let changes = vec![
        run(10, "web", "2027-01-01T10:00:00Z"),
        run(11, "shop", "2027-01-02T10:00:00Z"),
        run(12, "web", "2027-01-03T10:00:00Z"),
    ];
    store.commit(&Transaction { expect: state.revision, changes, events: Vec::new() }).unwrap();
    let ids = |since: Option<&str>, limit: usize| {
        let query = RunQuery { farm: farm.clone(), since: since.map(|at| at.parse().unwrap()), limit };
        store.runs(&query).unwrap().iter().map(|run| run.id.0).collect::<Vec<_>>()
    };
    assert_eq!(ids(None, 10), [12, 10, 2, 1]);
    assert_eq!(ids(None, 3), [12, 10, 2]);
    assert_eq!(ids(Some("2027-01-01T10:00:00Z"), 10), [12, 10]);
    assert_eq!(ids(Some("2027-01-01T10:00:01Z"), 10), [12]);
    assert_eq!(ids(Some("2028-01-01T00:00:00Z"), 10), [0; 0]);
}
