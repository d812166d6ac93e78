//! Stores with the records of many deploys, multiplied from those of real ones; and what takes the room.

use std::io;
use std::path::Path;

use tokio::process::Command;

use crate::command::failure;

/// How many runs a store has, and how many of them are of one day.
pub(crate) struct Year {
    pub(crate) runs: u32,
    pub(crate) a_day: u32,
}

/// Writes a store with copies of recorded runs, their events, drains and watches, the last of today. The output of hooks is as
/// old as teeterd keeps it by default.
pub(crate) async fn copies(recorded: &Path, store: &Path, year: &Year) -> io::Result<()> {
    std::fs::copy(recorded, store)?;
    let text = COPIES.replace("@RUNS@", &year.runs.to_string()).replace("@A_DAY@", &year.a_day.to_string());
    sqlite(store, &text).await.map(drop)
}

/// The tables and indexes of a store with more than 16 KiB, and their room.
pub(crate) async fn tables(store: &Path) -> io::Result<String> {
    Ok(format!("\n| table or index | KiB |\n|---|---:|\n{}", sqlite(store, TABLES).await?))
}

/// The records of a deploy, by kind, with the bytes of their texts.
pub(crate) async fn per_deploy(store: &Path, deploys: u32) -> io::Result<String> {
    let text = PER_DEPLOY.replace("@DEPLOYS@", &deploys.to_string());
    let head = "| records | of a deploy | bytes of a deploy | of them in `changed` |\n|---|---:|---:|---:|";
    Ok(format!("{head}\n{}", sqlite(store, &text).await?))
}

/// The size of a file in bytes.
pub(crate) fn size(path: &Path) -> io::Result<u64> {
    Ok(std::fs::metadata(path)?.len())
}

async fn sqlite(store: &Path, text: &str) -> io::Result<String> {
    let output = Command::new("sqlite3").arg(store).arg(text).output().await;
    let output = output.map_err(|error| failure(format!("sqlite3 cannot be run: {error}")))?;
    match output.status.success() {
        true => Ok(String::from_utf8_lossy(&output.stdout).trim_end().to_owned()),
        false => Err(failure(format!("sqlite3: {}", String::from_utf8_lossy(&output.stderr)))),
    }
}

/// The recorded runs keep their numbers and become the first of the year. Events are appended in order of time, as
/// teeterd does it, so that pages are as full as they are then.
const COPIES: &str = "
PRAGMA journal_mode = OFF;
PRAGMA synchronous = OFF;
BEGIN;
CREATE TEMP TABLE recorded AS SELECT max(id) AS runs FROM runs;
CREATE TEMP TABLE copies AS
    WITH RECURSIVE n(id) AS (SELECT runs + 1 FROM recorded UNION ALL SELECT id + 1 FROM n WHERE id < @RUNS@)
    SELECT n.id AS id, 1 + (n.id - 1) % recorded.runs AS source, (@RUNS@ - n.id) / @A_DAY@ AS days FROM n, recorded;
CREATE TEMP TABLE old_events AS SELECT * FROM events WHERE run IS NOT NULL;
CREATE INDEX temp.old_events_of_run ON old_events (run, id);
CREATE TEMP TABLE old_drains AS SELECT * FROM drains WHERE run IS NOT NULL;
CREATE TEMP TABLE old_watches AS SELECT * FROM watches;
INSERT INTO runs
    SELECT copies.id, 0, json_set(runs.json, '$.id', copies.id,
        '$.started', strftime('%Y-%m-%dT%H:%M:%fZ', json_extract(runs.json, '$.started'), '-' || days || ' days'),
        '$.finished', strftime('%Y-%m-%dT%H:%M:%fZ', json_extract(runs.json, '$.finished'), '-' || days || ' days'))
    FROM copies, runs WHERE runs.id = copies.source ORDER BY copies.id;
INSERT INTO events (at, kind, text, run, hold, caller, changed)
    SELECT strftime('%Y-%m-%dT%H:%M:%fZ', old.at, '-' || days || ' days'), old.kind, old.text, copies.id, old.hold,
        old.caller, old.changed
    FROM copies CROSS JOIN old_events AS old
    WHERE old.run = copies.source AND NOT (old.kind = 'hook.output' AND days > 90)
    ORDER BY copies.id, old.id;
INSERT INTO drains (run, farm, ended, json)
    SELECT copies.id, old.farm, strftime('%Y-%m-%dT%H:%M:%fZ', old.ended, '-' || days || ' days'),
        json_set(old.json, '$.run', copies.id)
    FROM copies, old_drains AS old WHERE old.run = copies.source ORDER BY copies.id, old.id;
INSERT INTO watches (run, ended, json)
    SELECT copies.id, strftime('%Y-%m-%dT%H:%M:%fZ', old.ended, '-' || days || ' days'),
        json_set(old.json, '$.run', copies.id)
    FROM copies, old_watches AS old WHERE old.run = copies.source ORDER BY copies.id, old.id;
UPDATE counters SET value = max(value, @RUNS@ + 1) WHERE name = 'run';
COMMIT;
";

const TABLES: &str = "
SELECT '| ' || name || ' | ' || (sum(pgsize) / 1024) || ' |' FROM dbstat
    GROUP BY name HAVING sum(pgsize) > 16384 ORDER BY sum(pgsize) DESC;
";

const PER_DEPLOY: &str = "
SELECT '| runs | ' || round(count(*) * 1.0 / @DEPLOYS@, 1) || ' | ' || (sum(length(json)) / @DEPLOYS@) || ' | |' FROM runs;
SELECT '| drains | ' || round(count(*) * 1.0 / @DEPLOYS@, 1) || ' | ' || (sum(length(json)) / @DEPLOYS@) || ' | |'
    FROM drains;
SELECT '| watches | ' || round(count(*) * 1.0 / @DEPLOYS@, 1) || ' | ' || (sum(length(json)) / @DEPLOYS@) || ' | |'
    FROM watches;
SELECT '| events ' || kind || ' | ' || round(count(*) * 1.0 / @DEPLOYS@, 1) || ' | '
    || (sum(length(text) + coalesce(length(caller), 0) + coalesce(length(changed), 0)) / @DEPLOYS@) || ' | '
    || (sum(coalesce(length(changed), 0)) / @DEPLOYS@) || ' |'
    FROM events WHERE run IS NOT NULL GROUP BY kind ORDER BY sum(length(text) + coalesce(length(changed), 0)) DESC;
";
