//! Ended runs leave teeterd's memory and stay in the store.

use rusqlite::Connection;
use serde_json::Value;
use teeter_lab::Sample;

use crate::fixtures::exit;
use crate::fixtures::site::Site;

#[tokio::test]
async fn ended_runs_leave_memory_and_are_read_from_the_store() {
    let mut site = Site::start_sample(Sample::Route, &[]).await;
    assert_eq!(site.teeter(&["flip", "web", "b"]).await.code, 0);
    site.daemon.kill().await;
    // Add 249 later runs to the store.
    let store = Connection::open(site.farm.dir().join("teeter.db")).expect("it is opened");
    let first: String =
        store.query_row("SELECT json FROM runs WHERE id = 1", [], |row| row.get(0)).expect("it is there");
    let mut run: Value = serde_json::from_str(&first).expect("it is a run");
    run["holds"] = serde_json::json!({});
    for id in 2..=250 {
        run["id"] = id.into();
        store.execute("INSERT INTO runs VALUES (?1, 0, ?2)", (id, run.to_string())).expect("it is put in");
    }
    store.execute("UPDATE counters SET value = 251 WHERE name = 'run'", []).expect("it is set");
    drop(store);
    site.daemon.restart().await;
    // teeterd keeps run 1, which has a standby side, and the latest 200 of the others.
    let ids = listed_runs(&site).await;
    assert_eq!((ids[0], ids[1], ids.len()), (1, 51, 201));
    // Each of these flips takes over the standby side of the run before.
    for _ in 0..4 {
        assert_eq!(site.teeter(&["flip", "web", "b"]).await.code, 0);
    }
    let ids = listed_runs(&site).await;
    assert_eq!((ids[0], ids[199], ids.len()), (55, 254, 200));
    assert!(site.teeter(&["holds"]).await.out.contains("standby of web"));
    for (run, shown) in [("1", true), ("2", true), ("999", false)] {
        let show = site.teeter(&["show", run]).await;
        assert_eq!(show.code, if shown { 0 } else { exit::NOT_FOUND }, "{show:?}");
    }
    let old = site.json(&["show", "2"]).await;
    assert_eq!((old["id"].as_u64(), old["state"].as_str()), (Some(2), Some("done")));
    let events = site.teeter(&["events", "1"]).await;
    assert!(events.out.contains("flip of web"), "{events:?}");
    let ended = site.teeter(&["advance", "2"]).await;
    assert!(ended.code != 0 && !ended.err.contains("there is no run"), "{ended:?}");
}

/// The ids in the list of runs.
async fn listed_runs(site: &Site) -> Vec<u64> {
    let listed = site.json(&["runs"]).await;
    let runs = listed["runs"].as_array().expect("they are listed");
    runs.iter().filter_map(|run| run["id"].as_u64()).collect()
}
