//! The schema of the database: every version of it, and the migration to the latest.

use std::path::Path;

use rusqlite::{Connection, ErrorCode, OptionalExtension, TransactionBehavior, params};

use super::StoreError;

/// Maps an error of the database to the error of the store in this file.
pub(super) fn failure(path: &Path) -> impl Fn(rusqlite::Error) -> StoreError {
    let path = path.display().to_string();
    move |problem| match problem.sqlite_error_code() {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => StoreError::InUse { path: path.clone() },
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
            StoreError::Corrupt { path: path.clone(), what: problem.to_string() }
        }
        _ => StoreError::Database { path: path.clone(), problem },
    }
}

/// Migrates the database to the latest schema.
pub(super) fn migrate(connection: &mut Connection, path: &Path) -> Result<(), StoreError> {
    let error = failure(path);
    let known = u32::try_from(MIGRATIONS.len()).unwrap_or(u32::MAX);
    let found: u32 = connection.query_row("PRAGMA user_version", [], |row| row.get(0)).map_err(&error)?;
    if found > known {
        return Err(StoreError::TooNew { path: path.display().to_string(), found, known });
    }
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Exclusive).map_err(&error)?;
    for migration in &MIGRATIONS[found as usize..] {
        transaction.execute_batch(migration).map_err(&error)?;
    }
    transaction.pragma_update(None, "user_version", known).map_err(&error)?;
    // A write, so that SQLite takes its lock now and not with the first hold.
    transaction.execute("UPDATE counters SET value = value WHERE name = 'revision'", []).map_err(&error)?;
    transaction.commit().map_err(&error)
}

pub(super) fn counter(connection: &Connection, name: &str) -> rusqlite::Result<u64> {
    let value =
        connection.query_row("SELECT value FROM counters WHERE name = ?1", [name], |row| row.get(0)).optional()?;
    Ok(value.unwrap_or(1))
}

pub(super) fn set_counter(connection: &Connection, name: &str, value: u64) -> rusqlite::Result<()> {
    connection.execute("UPDATE counters SET value = ?2 WHERE name = ?1", params![name, value]).map(drop)
}

/// The migrations, one for each version of the schema. Only ever appended to.
const MIGRATIONS: &[&str] = &[
    "
    CREATE TABLE counters (name TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT;
    INSERT INTO counters VALUES ('revision', 1), ('hold', 1), ('run', 1);
    CREATE TABLE holds (id INTEGER PRIMARY KEY, json TEXT NOT NULL) STRICT;
    CREATE TABLE baselines (entry TEXT PRIMARY KEY, json TEXT NOT NULL) STRICT;
    CREATE TABLE runs (id INTEGER PRIMARY KEY, active INTEGER NOT NULL, json TEXT NOT NULL) STRICT;
    CREATE TABLE events (
        id INTEGER PRIMARY KEY AUTOINCREMENT, at TEXT NOT NULL, kind TEXT NOT NULL, text TEXT NOT NULL,
        run INTEGER, hold INTEGER, caller TEXT
    ) STRICT;
    CREATE INDEX events_of_run ON events (run, id);
",
    "
    CREATE TABLE routes (farm TEXT PRIMARY KEY, json TEXT NOT NULL) STRICT;
",
    // The events are the record of all changes: they are only appended.
    "
    ALTER TABLE events ADD COLUMN changed TEXT;
    CREATE INDEX events_by_time ON events (at);
    CREATE TRIGGER events_stay BEFORE DELETE ON events
        BEGIN SELECT RAISE(ABORT, 'events are never deleted'); END;
    CREATE TRIGGER events_are_final BEFORE UPDATE ON events
        BEGIN SELECT RAISE(ABORT, 'events are never changed'); END;
    CREATE TRIGGER events_are_new BEFORE INSERT ON events
        WHEN EXISTS (SELECT 1 FROM events WHERE id = NEW.id)
        BEGIN SELECT RAISE(ABORT, 'events are never replaced'); END;
",
    // Retention may delete events: an event can be deleted only when the same transaction has written its number here
    // before.
    "
    CREATE TABLE prunable (id INTEGER PRIMARY KEY) STRICT;
    CREATE INDEX output_by_time ON events (at) WHERE kind = 'hook.output';
    DROP TRIGGER events_stay;
    CREATE TRIGGER events_stay BEFORE DELETE ON events
        WHEN NOT EXISTS (SELECT 1 FROM prunable WHERE id = OLD.id)
        BEGIN SELECT RAISE(ABORT, 'events are never deleted by hand'); END;
",
    "
    CREATE TABLE drains (
        id INTEGER PRIMARY KEY, run INTEGER, farm TEXT, ended TEXT NOT NULL, json TEXT NOT NULL
    ) STRICT;
    CREATE INDEX drains_of_run ON drains (run, id);
    CREATE INDEX drains_of_farm ON drains (farm, id);
    CREATE INDEX drains_by_time ON drains (ended);
",
    "
    CREATE TABLE watches (
        id INTEGER PRIMARY KEY, run INTEGER NOT NULL, ended TEXT NOT NULL, json TEXT NOT NULL,
        thinned INTEGER NOT NULL DEFAULT 0
    ) STRICT;
    CREATE INDEX watches_of_run ON watches (run, id);
    CREATE INDEX watches_to_thin ON watches (ended) WHERE thinned = 0;
    ALTER TABLE drains ADD COLUMN thinned INTEGER NOT NULL DEFAULT 0;
    CREATE INDEX drains_to_thin ON drains (ended) WHERE thinned = 0;
    CREATE INDEX runs_of_farm ON runs (json_extract(json, '$.plan.farm'), id);
",
];
