//! A clock that was set back, and time that passes while no teeterd runs.

use rusqlite::{Connection, params};

use crate::fixtures::site::{DRAIN, MAINT, Site, step_of, until};

/// A text with all times in it moved by a number of hours.
fn with_times_moved(text: &str, hours: i64) -> String {
    let moved = |at: jiff::Timestamp| (at + jiff::SignedDuration::from_hours(hours)).to_string();
    let word = |word: &str| word.parse().map_or_else(|_| word.to_owned(), moved);
    text.split('"').map(word).collect::<Vec<_>>().join("\"")
}

/// Moves all times in a column of the store, which no teeterd may have open.
fn move_times(site: &Site, table: &str, column: &str, hours: i64) {
    let store = Connection::open(site.farm.dir().join("teeter.db")).expect("it is opened");
    // The trigger forbids changes of events.
    store.execute_batch("DROP TRIGGER IF EXISTS events_are_final").expect("it is written");
    let mut all = store.prepare(&format!("SELECT id, {column} FROM {table}")).expect("it is there");
    let rows = all.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).expect("it is read");
    let rows: Vec<(u64, String)> = rows.map(|row| row.expect("it is a row")).collect();
    assert!(!rows.is_empty());
    for (id, text) in rows {
        let update = format!("UPDATE {table} SET {column} = ?2 WHERE id = ?1");
        store.execute(&update, params![id, with_times_moved(&text, hours)]).expect("it is written");
    }
}

/// The time at which the latest hold began.
async fn since(site: &Site) -> jiff::Timestamp {
    let holds = site.json(&["holds"]).await;
    let last = holds["holds"].as_array().and_then(|holds| holds.last()).expect("there is one");
    last["since"].as_str().expect("it has a time").parse().expect("it is a time")
}

async fn holds(site: &Site) -> usize {
    site.json(&["holds"]).await["holds"].as_array().map_or(0, Vec::len)
}

#[tokio::test]
async fn hold_ends_in_time_after_the_clock_was_set_back() {
    let mut site = Site::start().await;
    assert_eq!(site.teeter(&["drain", "web01", "--reason", "disk", "--for", "3s", "--no-wait"]).await.code, 0);
    assert_eq!(site.teeter(&["drain", "web03", "--reason", "disk", "--no-wait", "--deadline", "1h"]).await.code, 0);
    let before = since(&site).await;
    site.daemon.kill().await;
    // As if the clock had been three hours ahead before.
    move_times(&site, "holds", "json", 3);
    move_times(&site, "events", "at", 3);
    site.daemon.restart().await;
    // The first hold ends in seconds and not in hours, and the second stays.
    until(|| async { holds(&site).await == 1 }).await;
    until(|| async { site.bits().await == [0, 0, DRAIN, 0] }).await;
    let moved = since(&site).await.duration_since(before).abs();
    assert!(moved.as_secs() < 60, "{moved}");
    assert!(site.teeter(&["events"]).await.out.contains("the clock was set back by"));
}

#[tokio::test]
async fn downtime_of_teeterd_does_not_count_against_a_confirmation() {
    let mut site = Site::start().await;
    assert_eq!(site.teeter(&["begin", "web", "--phase", "before-out"]).await.code, 0);
    // HAProxy is stopped during the change, and teeterd is killed before HAProxy answers.
    site.farm.haproxy().pause().expect("it is stopped");
    let advance = site.daemon.spawn(&["advance", "1", "--step", "0"]);
    until(|| async { holds(&site).await == 1 }).await;
    drop(advance);
    site.daemon.kill().await;
    move_times(&site, "runs", "json", -3);
    site.daemon.restart().await;
    site.farm.haproxy().resume().expect("it goes on");
    site.wait_for_bits([MAINT, MAINT, 0, 0]).await;
    assert_eq!(site.json(&["show", "1"]).await["state"], "running");
}

#[tokio::test]
async fn downtime_of_teeterd_does_not_count_against_probed_servers() {
    let mut site = Site::start().await;
    let rolling = ["begin", "web", "--strategy", "rolling", "--batch", "2", "--settle", "0s"];
    assert_eq!(site.teeter(&rolling).await.code, 0);
    for next in ["web03", "web04"] {
        site.farm.app(next).set_healthy(false);
    }
    let advance = site.daemon.spawn(&["advance", "1"]);
    until(|| async { step_of(&site.json(&["show", "1"]).await) == Some("ask batch-2") }).await;
    drop(advance);
    site.daemon.kill().await;
    move_times(&site, "runs", "json", -3);
    for next in ["web03", "web04"] {
        site.farm.app(next).set_healthy(true);
    }
    site.daemon.restart().await;
    until(|| async { site.json(&["show", "1"]).await["work"]["group"] == "batch-2" }).await;
    assert_eq!(site.json(&["show", "1"]).await["left_out"], serde_json::json!({}));
}
