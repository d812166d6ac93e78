//! A wall clock that was set back while no teeterd ran.

use rusqlite::{Connection, params};

use crate::site::{DRAIN, Site, until};

/// What a store says of times, three hours later: as a teeterd has written it whose clock was that far ahead.
fn three_hours_later(text: &str) -> String {
    let later = |at: jiff::Timestamp| at + jiff::SignedDuration::from_hours(3);
    let word = |word: &str| word.parse().map_or_else(|_| word.to_owned(), |at: jiff::Timestamp| later(at).to_string());
    text.split('"').map(word).collect::<Vec<_>>().join("\"")
}

/// Since when there is the latest hold.
async fn since(site: &Site) -> jiff::Timestamp {
    let holds = site.json(&["holds"]).await;
    let last = holds["holds"].as_array().and_then(|holds| holds.last()).expect("there is one");
    last["since"].as_str().expect("it is told").parse().expect("it is a time")
}

#[tokio::test]
async fn a_hold_ends_in_time_though_the_clock_was_set_back() {
    let mut site = Site::start().await;
    assert_eq!(site.teeter(&["drain", "web01", "--reason", "disk", "--for", "3s", "--no-wait"]).await.code, 0);
    assert_eq!(site.teeter(&["drain", "web03", "--reason", "disk", "--no-wait", "--deadline", "1h"]).await.code, 0);
    let before = since(&site).await;
    site.daemon.kill().await;
    let store = Connection::open(site.farm.dir().join("teeter.db")).expect("it is opened");
    for (table, column) in [("holds", "json"), ("events", "at")] {
        let rows: Vec<(u64, String)> = {
            let mut all = store.prepare(&format!("SELECT id, {column} FROM {table}")).expect("it is there");
            let rows = all.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).expect("it is read");
            rows.map(|row| row.expect("it is a row")).collect()
        };
        for (id, text) in rows {
            let update = format!("UPDATE {table} SET {column} = ?2 WHERE id = ?1");
            store.execute(&update, params![id, three_hours_later(&text)]).expect("it is written");
        }
    }
    drop(store);
    site.daemon.restart().await;
    // The one is over in seconds and not in hours, the other stays.
    until(|| async { site.json(&["holds"]).await["holds"].as_array().is_some_and(|holds| holds.len() == 1) }).await;
    until(|| async { site.bits().await == [0, 0, DRAIN, 0] }).await;
    let moved = since(&site).await.duration_since(before).abs();
    assert!(moved.as_secs() < 60, "{moved}");
    assert!(site.teeter(&["events"]).await.out.contains("the clock was set back by"));
}
