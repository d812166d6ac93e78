//! The store of one daemon: a SQLite file with a write-ahead log and synchronous FULL, locked for as long as it is
//! open. Readers have their own connections.

use std::collections::BTreeSet;
use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::{Mutex, MutexGuard};

use rusqlite::{Connection, OptionalExtension, TransactionBehavior, params};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::lock::{BUSY, Lock};
use super::readers::Readers;
use super::schema::{counter, failure, migrate, set_counter};
use super::verify::{self, Verified};
use super::{DrainQuery, EventQuery, Keep, Pruned, Store, StoreError, Tally, private, prune};
use crate::farm::RunId;
use crate::plan::Run;
use crate::platform::lock;
use crate::state::{Change, DrainRecord, Event, NewEvent, REMEMBERED, State, Transaction};

/// A store in a SQLite file.
#[derive(Debug)]
pub struct SqliteStore {
    path: String,
    connection: Mutex<Connection>,
    /// `None` for a store in memory, whose only connection also reads.
    readers: Option<Readers>,
    /// The lock of the file. It must be dropped last.
    _lock: Option<Lock>,
}

impl SqliteStore {
    /// Opens the store, creates it where it does not exist, and migrates its schema.
    ///
    /// # Errors
    /// Another process has it open, it is newer than this program, it is damaged, or it cannot be opened.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        private::make(path).map_err(|source| StoreError::File { path: path.display().to_string(), source })?;
        // Two daemons on one store would reverse each other's changes.
        let lock = Lock::take(path)?;
        let error = failure(path);
        let connection = Connection::open(path).map_err(&error)?;
        connection.busy_timeout(BUSY).map_err(&error)?;
        connection.execute_batch("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;").map_err(&error)?;
        // Damage is better known now than in the middle of a deploy.
        let what: String = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0)).map_err(&error)?;
        if what != "ok" {
            return Err(StoreError::Corrupt { path: path.display().to_string(), what });
        }
        let store = Self::of(connection, path)?;
        Ok(Self { readers: Some(Readers::open(path)?), _lock: Some(lock), ..store })
    }

    /// An empty store in memory, for simulations.
    ///
    /// # Errors
    /// The database failed.
    pub fn in_memory() -> Result<Self, StoreError> {
        let nowhere = Path::new(":memory:");
        Self::of(Connection::open_in_memory().map_err(failure(nowhere))?, nowhere)
    }

    fn of(mut connection: Connection, path: &Path) -> Result<Self, StoreError> {
        migrate(&mut connection, path)?;
        let path = path.display().to_string();
        Ok(Self { path, connection: Mutex::new(connection), readers: None, _lock: None })
    }

    fn connection(&self) -> MutexGuard<'_, Connection> {
        // A panic of another thread leaves at worst a transaction that was never committed.
        lock(&self.connection)
    }

    /// The connection for reads while the daemon runs.
    fn reader(&self) -> MutexGuard<'_, Connection> {
        self.readers.as_ref().map_or_else(|| self.connection(), Readers::of_events)
    }

    pub(super) fn error(&self, problem: rusqlite::Error) -> StoreError {
        StoreError::Database { path: self.path.clone(), problem }
    }

    fn rows<T: DeserializeOwned>(
        &self,
        connection: &Connection,
        what: &'static str,
        sql: &str,
    ) -> Result<Vec<(String, T)>, StoreError> {
        let mut statement = connection.prepare(sql).map_err(|source| self.error(source))?;
        let rows = statement
            .query_map([], |row| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?)))
            .map_err(|source| self.error(source))?;
        rows.map(|row| {
            let (key, json) = row.map_err(|source| self.error(source))?;
            Ok((key, self.read(what, &json)?))
        })
        .collect()
    }

    pub(super) fn read<T: DeserializeOwned>(&self, what: &'static str, json: &str) -> Result<T, StoreError> {
        serde_json::from_str(json).map_err(|source| StoreError::Damaged { path: self.path.clone(), what, source })
    }

    fn one_run(&self, connection: &Connection, id: RunId) -> Result<Option<Run>, StoreError> {
        let json: Option<String> = connection
            .query_row("SELECT json FROM runs WHERE id = ?1", [id.0], |row| row.get(0))
            .optional()
            .map_err(|source| self.error(source))?;
        let run: Option<Run> = json.map(|json| self.read("run", &json)).transpose()?;
        if let Some(run) = &run {
            self.check_key("run", id.to_string(), &run.id)?;
        }
        Ok(run)
    }

    /// Checks that a record has its own key. Of two records with one identity, one would be lost.
    fn check_key(&self, what: &'static str, key: String, identity: &impl ToString) -> Result<(), StoreError> {
        let identity = identity.to_string();
        if key == identity { Ok(()) } else { Err(self.misfiled(what, key, format!("it calls itself {identity}"))) }
    }

    fn misfiled(&self, what: &'static str, key: String, problem: String) -> StoreError {
        StoreError::Misfiled { path: self.path.clone(), what, key, problem }
    }

    fn write(&self, what: &'static str, value: &impl Serialize) -> Result<String, StoreError> {
        serde_json::to_string(value).map_err(|source| StoreError::Damaged { path: self.path.clone(), what, source })
    }

    fn apply(&self, transaction: &rusqlite::Transaction<'_>, change: &Change) -> Result<(), StoreError> {
        let done = match change {
            Change::PutHold(hold) => {
                let json = self.write("hold", hold)?;
                transaction.execute("INSERT OR REPLACE INTO holds VALUES (?1, ?2)", params![hold.id.0, json])
            }
            Change::DropHold(id) => transaction.execute("DELETE FROM holds WHERE id = ?1", params![id.0]),
            Change::PutBaseline(entry, baseline) => {
                let json = self.write("baseline", baseline)?;
                transaction
                    .execute("INSERT OR REPLACE INTO baselines VALUES (?1, ?2)", params![entry.to_string(), json])
            }
            Change::DropBaseline(entry) => {
                transaction.execute("DELETE FROM baselines WHERE entry = ?1", params![entry.to_string()])
            }
            Change::PutRoute(route) => {
                let json = self.write("route", route)?;
                transaction.execute("INSERT OR REPLACE INTO routes VALUES (?1, ?2)", params![route.farm.as_str(), json])
            }
            Change::DropRoute(farm) => {
                transaction.execute("DELETE FROM routes WHERE farm = ?1", params![farm.as_str()])
            }
            Change::PutRun(run) => {
                let json = self.write("run", run)?;
                transaction.execute(
                    "INSERT OR REPLACE INTO runs VALUES (?1, ?2, ?3)",
                    params![run.id.0, run.is_active(), json],
                )
            }
            Change::AddDrain(drain) => {
                let json = self.write("drain", drain)?;
                let (run, farm) = (drain.run.map(|run| run.0), drain.farm.as_ref().map(ToString::to_string));
                transaction.execute(
                    "INSERT INTO drains (run, farm, ended, json) VALUES (?1, ?2, ?3, ?4)",
                    params![run, farm, drain.ended.to_string(), json],
                )
            }
        };
        done.map(drop).map_err(|source| self.error(source))
    }

    fn append(&self, transaction: &rusqlite::Transaction<'_>, events: &[NewEvent]) -> Result<(), StoreError> {
        for event in events {
            let caller = event.caller.as_ref().map(|caller| self.write("caller", caller)).transpose()?;
            let (run, hold) = (event.run.map(|id| id.0), event.hold.map(|id| id.0));
            let changed = Some(&event.changed).filter(|changed| !changed.is_empty());
            let changed = changed.map(|changed| self.write("change", changed)).transpose()?;
            transaction
                .execute(
                    "INSERT INTO events (at, kind, text, run, hold, caller, changed) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
                    params![event.at.to_string(), event.kind, event.text, run, hold, caller, changed],
                )
                .map_err(|source| self.error(source))?;
        }
        Ok(())
    }
}

impl Store for SqliteStore {
    fn load(&self) -> Result<State, StoreError> {
        let connection = self.connection();
        let number = |name| counter(&connection, name).map_err(|source| self.error(source));
        let mut state = State {
            revision: number("revision")?,
            next_hold: number("hold")?,
            next_run: number("run")?,
            ..State::default()
        };
        let holds = "SELECT CAST(id AS TEXT), json FROM holds";
        for (key, hold) in self.rows::<crate::farm::Hold>(&connection, "hold", holds)? {
            self.check_key("hold", key, &hold.id)?;
            state.holds.insert(hold.id, hold);
        }
        for (key, baseline) in self.rows(&connection, "baseline", "SELECT entry, json FROM baselines")? {
            // Without its baseline a server would never be given back.
            let entry = key.clone().try_into().map_err(|problem| self.misfiled("baseline", key, problem))?;
            state.baselines.insert(entry, baseline);
        }
        for (key, route) in self.rows::<crate::farm::Route>(&connection, "route", "SELECT farm, json FROM routes")? {
            self.check_key("route", key, &route.farm)?;
            state.routes.insert(route.farm.clone(), route);
        }
        let since = state.next_run.saturating_sub(REMEMBERED);
        let runs = format!("SELECT CAST(id AS TEXT), json FROM runs WHERE active OR id >= {since}");
        for (key, run) in self.rows::<Run>(&connection, "run", &runs)? {
            self.check_key("run", key, &run.id)?;
            state.runs.insert(run.id, run);
        }
        // Ended runs that left servers out or on standby are found through their holds.
        let holding: BTreeSet<RunId> = state.holds.values().filter_map(|hold| hold.owner.run()).collect();
        for id in holding {
            if !state.runs.contains_key(&id)
                && let Some(run) = self.one_run(&connection, id)?
            {
                state.runs.insert(id, run);
            }
        }
        Ok(state)
    }

    fn commit(&self, wanted: &Transaction) -> Result<u64, StoreError> {
        let mut connection = self.connection();
        let failed = |source| self.error(source);
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(failed)?;
        let found = counter(&transaction, "revision").map_err(failed)?;
        if found != wanted.expect {
            return Err(StoreError::Conflict { expected: wanted.expect, found });
        }
        let revision = found + 1;
        set_counter(&transaction, "revision", revision).map_err(failed)?;
        for change in &wanted.changes {
            self.apply(&transaction, change)?;
            // The numbers of holds and runs are never used again, so the counters outlive them.
            let used = match change {
                Change::PutHold(hold) => Some(("hold", hold.id.0 + 1)),
                Change::PutRun(run) => Some(("run", run.id.0 + 1)),
                _ => None,
            };
            if let Some((name, next)) = used {
                transaction
                    .execute("UPDATE counters SET value = max(value, ?2) WHERE name = ?1", params![name, next])
                    .map_err(failed)?;
            }
        }
        self.append(&transaction, &wanted.events)?;
        transaction.commit().map_err(failed)?;
        Ok(revision)
    }

    fn record(&self, events: &[NewEvent]) -> Result<(), StoreError> {
        let mut connection = self.connection();
        let transaction = connection.transaction().map_err(|source| self.error(source))?;
        self.append(&transaction, events)?;
        transaction.commit().map_err(|source| self.error(source))
    }

    fn tally(&self, run: RunId, kind: &str) -> Result<Tally, StoreError> {
        let count =
            "SELECT count(*), ifnull(sum(length(CAST(text AS BLOB))), 0) FROM events WHERE run = ?1 AND kind = ?2";
        let tally = self
            .connection()
            .query_row(count, params![run.0, kind], |row| Ok(Tally { events: row.get(0)?, bytes: row.get(1)? }));
        tally.map_err(|source| self.error(source))
    }

    fn events(&self, query: EventQuery) -> Result<Vec<Event>, StoreError> {
        self.events_of(&self.reader(), query)
    }

    fn run(&self, id: RunId) -> Result<Option<Run>, StoreError> {
        self.one_run(&self.reader(), id)
    }

    fn drains(&self, query: &DrainQuery) -> Result<Vec<DrainRecord>, StoreError> {
        self.drains_of(&self.reader(), query)
    }

    fn prune(&self, keep: &Keep, most: usize, begun: Option<&NewEvent>) -> Result<Pruned, StoreError> {
        let mut connection = self.connection();
        let failed = |source| self.error(source);
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(failed)?;
        let pruned = prune::prune(&transaction, keep, most).map_err(failed)?;
        if !pruned.is_empty() {
            self.append(&transaction, begun.map(std::slice::from_ref).unwrap_or_default())?;
            transaction.commit().map_err(failed)?;
        }
        Ok(pruned)
    }

    fn try_to_write(&self) -> Result<(), StoreError> {
        let written = self.connection().execute("UPDATE counters SET value = value WHERE name = 'revision'", []);
        written.map(drop).map_err(|source| self.error(source))
    }

    fn verify(&self) -> Result<Verified, StoreError> {
        match &self.readers {
            Some(readers) => readers.verify(),
            None => verify::verify(&self.connection()).map_err(|source| self.error(source)),
        }
    }

    fn backup(&self) -> Result<File, StoreError> {
        let in_memory = || StoreError::File {
            path: self.path.clone(),
            source: io::Error::new(io::ErrorKind::Unsupported, "it is in memory only"),
        };
        self.readers.as_ref().ok_or_else(in_memory)?.copy()
    }

    fn size(&self) -> Option<u64> {
        let of = |end: &str| std::fs::metadata(format!("{}{end}", self.path)).map(|metadata| metadata.len());
        let file = of("").ok()?;
        // The log is gone while no change was written.
        Some(file + of("-wal").unwrap_or_default())
    }

    fn holds_lease(&self) -> bool {
        true
    }
}

#[cfg(test)]
mod tests {
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
        let said = NewEvent { kind: "said", text: "für".into(), ..baseline(1).events.remove(0) };
        store.record(&[said.clone(), said]).unwrap();
        assert_eq!(store.load().unwrap().revision, revision);
        assert_eq!(store.tally(RunId(3), "said").unwrap(), Tally { events: 2, bytes: 8 });
        assert_eq!(store.tally(RunId(4), "said").unwrap(), Tally::default());
        let others = EventQuery { run: Some(RunId(3)), without: Some("said"), limit: 10, ..EventQuery::default() };
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
}
