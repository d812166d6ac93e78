//! teeterd deletes old records from the store by itself, and keeps those that are needed.

use rusqlite::{Connection, params};
use serde_json::Value;
use teeter_lab::Sample;

use crate::fixtures::exit;
use crate::fixtures::site::{Site, until};

#[tokio::test]
async fn old_records_leave_the_store_and_standby_runs_stay() {
    let mut site = Site::start_sample(Sample::Route, &[]).await;
    assert_eq!(site.teeter(&["flip", "web", "b"]).await.code, 0);
    site.daemon.kill().await;
    let path = site.farm.dir().join("teeter.db");
    let store = Connection::open(&path).expect("it is opened");
    let first: String =
        store.query_row("SELECT json FROM runs WHERE id = 1", [], |row| row.get(0)).expect("it is there");
    let mut run: Value = serde_json::from_str(&first).expect("it is a run");
    let now: jiff::Timestamp = run["finished"].as_str().and_then(|at| at.parse().ok()).expect("it has ended");
    let days_ago = |days: i64| now - jiff::SignedDuration::from_hours(24 * days);
    let add_event = |id: u64, days: i64, kind: &str| {
        let insert = "INSERT INTO events (at, kind, text, run) VALUES (?1, ?2, 'then', ?3)";
        store.execute(insert, params![days_ago(days).to_string(), kind, id]).expect("it is put in");
    };
    // Run 1 ended long ago, too, and its other side is the standby.
    for (id, days) in [(1, 800), (2, 700), (3, 500), (4, 100)] {
        run["id"] = id.into();
        run["finished"] = days_ago(days).to_string().into();
        if id > 1 {
            run["holds"] = serde_json::json!({});
        }
        let insert = "INSERT OR REPLACE INTO runs VALUES (?1, 0, ?2)";
        store.execute(insert, params![id, run.to_string()]).expect("it is put in");
        for _ in 0..700 {
            add_event(id, days, "then");
            add_event(id, days, "hook.output");
        }
    }
    store.execute("UPDATE counters SET value = 5 WHERE name = 'run'", []).expect("it is set");
    drop(store);
    site.daemon.restart().await;
    until(|| async { site.teeter(&["events"]).await.out.contains("deleted from the store, because of their age") })
        .await;
    let events = site.teeter(&["events"]).await.out;
    assert!(events.contains("old records are being deleted from the store: it keeps runs = \"400d\""), "{events}");
    assert!(events.contains("2 runs, 1400 events, 2100 pieces of hooks' output and 0 drains"), "{events}");
    for (run, code, kept) in [("1", 0, 1400), ("2", exit::NOT_FOUND, 0), ("3", exit::NOT_FOUND, 0), ("4", 0, 700)] {
        assert_eq!(site.teeter(&["show", run]).await.code, code, "{run}");
        let events = site.json(&["events", run, "--limit", "5000"]).await;
        let events = events["events"].as_array().expect("they are listed");
        assert_eq!(events.iter().filter(|event| event["text"] == "then").count(), kept, "{run}");
    }
    let verified = site.teeter(&["store", "verify"]).await;
    assert_eq!(verified.code, 0, "{verified:?}");
    // A reload applies a new retention.
    site.daemon.reconfigure(|toml| format!("{toml}\n[retention]\nruns = \"30d\"\n")).await;
    until(|| async { site.teeter(&["show", "4"]).await.code == exit::NOT_FOUND }).await;
    // A flip to the standby side needs none of the deleted records.
    let flipped = site.teeter(&["flip", "web", "a"]).await;
    assert_eq!(flipped.code, 0, "{flipped:?}");
}
