//! Whether a store is whole: the file, each record in it, and what records say of one another. Changes nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use jiff::Timestamp;
use rusqlite::{Connection, MAIN_DB, OpenFlags};
use serde::de::DeserializeOwned;

use super::schema::{counter, failure, migrate};
use super::{Caller, StoreError, beside};
use crate::farm::{Baseline, Entry, Hold, HoldId, Owner, Route, RunId};
use crate::plan::Run;

/// What a store was found to be.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Verified {
    /// The schema that the file has.
    pub schema: u32,
    /// Rises with every transaction.
    pub revision: u64,
    /// How many holds.
    pub holds: usize,
    /// Of how many server lines it is remembered what they were.
    pub baselines: usize,
    /// Of how many farms the traffic is turned.
    pub routes: usize,
    /// How many runs.
    pub runs: usize,
    /// How many events.
    pub events: usize,
    /// What is wrong, for people; nothing, where it is whole.
    pub problems: Vec<String>,
}

/// Verifies the store in a file that no teeterd has open: as it is, and as it would be read after its migration.
///
/// # Errors
/// It cannot be read, is in use, or is newer than this program. That it is damaged is no error but what was found.
pub fn verify_file(path: &Path) -> Result<Verified, StoreError> {
    let failed = failure(path);
    // SQLite would call a directory, and a file that may not be read, only "unable to open".
    let read = File::open(path).and_then(|mut file| file.read(&mut [0; 1]));
    let size = read.map_err(|source| StoreError::File { path: path.display().to_string(), source })?;
    let damaged = |what: String| Verified { problems: vec![what], ..Verified::default() };
    if size == 0 {
        return Ok(damaged("the file is empty".to_owned()));
    }
    let image = match image_of(path) {
        Ok(image) => image,
        Err(source) => {
            return match failed(source) {
                StoreError::Corrupt { what, .. } => Ok(damaged(what)),
                other => Err(other),
            };
        }
    };
    let mut connection = Connection::open_in_memory().map_err(&failed)?;
    let opened = connection
        .deserialize_read_exact(MAIN_DB, image.as_slice(), image.len(), false)
        .and_then(|()| connection.query_row("PRAGMA user_version", [], |row| row.get::<_, u32>(0)));
    let schema = match opened.map_err(&failed) {
        Ok(schema) => schema,
        Err(StoreError::Corrupt { what, .. }) => return Ok(damaged(what)),
        Err(other) => return Err(other),
    };
    let problems = match integrity(&connection).map_err(&failed) {
        Ok(problems) => problems,
        Err(StoreError::Corrupt { what, .. }) => vec![what],
        Err(other) => return Err(other),
    };
    if schema == 0 {
        return Ok(damaged("it is no store of teeter's: it has no schema".to_owned()));
    }
    if !problems.is_empty() {
        return Ok(Verified { schema, problems, ..Verified::default() });
    }
    match migrate(&mut connection, path).and_then(|_| records(&connection).map_err(&failed)) {
        Ok(found) => Ok(Verified { schema, ..found }),
        Err(error @ StoreError::Database { .. }) => {
            Ok(Verified { schema, problems: vec![error.to_string()], ..Verified::default() })
        }
        Err(error) => Err(error),
    }
}

/// The same for a store that is open, and thus migrated.
pub(super) fn verify(connection: &Connection) -> rusqlite::Result<Verified> {
    let problems = integrity(connection)?;
    let schema = connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    let mut found = Verified { schema, ..records(connection)? };
    found.problems.splice(0..0, problems);
    Ok(found)
}

/// The whole database as one file has it that needs no other beside it.
pub(super) fn image(connection: &mut Connection) -> rusqlite::Result<Vec<u8>> {
    let mut image = connection.serialize(MAIN_DB)?.to_vec();
    // The format's read and write versions: 2 says that there may be a log beside the file, and there is none.
    if let Some(versions) = image.get_mut(18..20) {
        versions.fill(1);
    }
    Ok(image)
}

fn image_of(path: &Path) -> rusqlite::Result<Vec<u8>> {
    // Without a log there is nothing to be read but the file, and nothing has to be made beside it.
    let log = beside(path, "-wal").metadata().is_ok_and(|log| log.len() > 0);
    let mut connection = if log {
        Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?
    } else {
        let uri = format!("file:{}?mode=ro&immutable=1", escaped(path));
        Connection::open_with_flags(uri, OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI)?
    };
    // What is wrong is told by a read; a copy that fails says only that there is no memory.
    connection.query_row("PRAGMA schema_version", [], |row| row.get::<_, u32>(0))?;
    image(&mut connection)
}

fn escaped(path: &Path) -> String {
    use std::os::unix::ffi::OsStrExt as _;
    let bytes = path.as_os_str().as_bytes().iter();
    bytes
        .map(|&byte| match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'.' | b'-' | b'_' => char::from(byte).to_string(),
            other => format!("%{other:02X}"),
        })
        .collect()
}

/// What SQLite finds wrong with the file.
fn integrity(connection: &Connection) -> rusqlite::Result<Vec<String>> {
    let mut statement = connection.prepare("PRAGMA integrity_check(20)")?;
    let found: Vec<String> = statement.query_map([], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?;
    Ok(found.into_iter().filter(|line| line != "ok").collect())
}

/// Reads every record, and follows what each says of others.
fn records(connection: &Connection) -> rusqlite::Result<Verified> {
    let mut problems = Vec::new();
    let mut holds = BTreeMap::<HoldId, Hold>::new();
    for (key, hold) in rows::<Hold>(connection, "hold", "SELECT CAST(id AS TEXT), json FROM holds", &mut problems)? {
        expect(&mut problems, key == hold.id.to_string(), || format!("hold {key} calls itself {}", hold.id));
        holds.insert(hold.id, hold);
    }
    let mut baselines = BTreeSet::new();
    for (key, _) in rows::<Baseline>(connection, "baseline", "SELECT entry, json FROM baselines", &mut problems)? {
        match Entry::try_from(key.clone()) {
            Ok(entry) => drop(baselines.insert(entry)),
            Err(error) => problems.push(format!("baseline {key}: {error}")),
        }
    }
    let routes = rows::<Route>(connection, "route", "SELECT farm, json FROM routes", &mut problems)?;
    for (key, route) in &routes {
        expect(&mut problems, *key == route.farm.as_str(), || format!("route {key} calls itself {}", route.farm));
    }
    let mut runs = BTreeMap::<RunId, Run>::new();
    for (key, run) in rows::<Run>(connection, "run", "SELECT CAST(id AS TEXT), json FROM runs", &mut problems)? {
        expect(&mut problems, key == run.id.to_string(), || format!("run {key} calls itself {}", run.id));
        runs.insert(run.id, run);
    }
    let active = "SELECT CAST(id AS TEXT) FROM runs WHERE active";
    let mut statement = connection.prepare(active)?;
    let active: BTreeSet<String> = statement.query_map([], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?;
    for run in runs.values() {
        let (listed, is) = (active.contains(&run.id.to_string()), run.is_active());
        expect(&mut problems, listed == is, || format!("run {} is listed as active: {listed}, and is: {is}", run.id));
        let steps = run.plan.steps.len();
        expect(&mut problems, run.cursor <= steps, || format!("run {} is at step {} of {steps}", run.id, run.cursor));
    }
    let revision = counter(connection, "revision")?;
    across(&holds, &baselines, &runs, revision, &mut problems);
    for (what, next, last) in [
        ("hold", counter(connection, "hold")?, holds.keys().next_back().map(|id| id.0)),
        ("run", counter(connection, "run")?, runs.keys().next_back().map(|id| id.0)),
    ] {
        let used = last.is_some_and(|last| last >= next);
        expect(&mut problems, !used, || format!("the next {what} would get number {next}, which is used"));
    }
    let events = events(connection, &runs, &mut problems)?;
    let (holds, baselines, routes, runs) = (holds.len(), baselines.len(), routes.len(), runs.len());
    Ok(Verified { schema: 0, revision, holds, baselines, routes, runs, events, problems })
}

/// What records say of one another.
fn across(
    holds: &BTreeMap<HoldId, Hold>,
    baselines: &BTreeSet<Entry>,
    runs: &BTreeMap<RunId, Run>,
    revision: u64,
    problems: &mut Vec<String>,
) {
    for (id, hold) in holds {
        if let Owner::Run(run) = hold.owner {
            expect(problems, runs.contains_key(&run), || format!("hold {id} is of run {run}, which is not there"));
        }
        for entry in hold.entries.iter().filter(|entry| !baselines.contains(entry)) {
            problems.push(format!("hold {id} has {entry}, of which it is not known what it was before"));
        }
        let at = hold.revision;
        expect(problems, at <= revision, || format!("hold {id} is of revision {at}, and the store of {revision}"));
    }
    for run in runs.values().filter(|run| run.is_active()) {
        for (group, id) in &run.holds {
            // One that has gone is released, or has been taken over; one that is there is its own.
            let other = holds.get(id).filter(|hold| hold.owner != Owner::Run(run.id));
            expect(problems, other.is_none(), || {
                format!("run {} has hold {id} on {group}, which is not its own", run.id)
            });
        }
    }
}

/// Counts the events, each of which must be readable and about a run that there is.
fn events(connection: &Connection, runs: &BTreeMap<RunId, Run>, problems: &mut Vec<String>) -> rusqlite::Result<usize> {
    let mut statement = connection.prepare("SELECT id, at, run, caller FROM events ORDER BY id")?;
    let mut rows = statement.query([])?;
    let mut count = 0;
    while let Some(row) = rows.next()? {
        count += 1;
        let (id, at): (u64, String) = (row.get(0)?, row.get(1)?);
        let (run, caller): (Option<u64>, Option<String>) = (row.get(2)?, row.get(3)?);
        expect(problems, at.parse::<Timestamp>().is_ok(), || format!("event {id} is of no time: {at:?}"));
        if let Some(run) = run.filter(|run| !runs.contains_key(&RunId(*run))) {
            problems.push(format!("event {id} is about run {run}, which is not there"));
        }
        if let Some(Err(error)) = caller.map(|json| serde_json::from_str::<Caller>(&json)) {
            problems.push(format!("event {id} has a caller that cannot be read: {error}"));
        }
    }
    Ok(count)
}

fn rows<T: DeserializeOwned>(
    connection: &Connection,
    what: &str,
    sql: &str,
    problems: &mut Vec<String>,
) -> rusqlite::Result<Vec<(String, T)>> {
    let mut statement = connection.prepare(sql)?;
    let rows = statement.query_map([], |row| Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?)))?;
    let mut read = Vec::new();
    for row in rows {
        let (key, json) = row?;
        match serde_json::from_str(&json) {
            Ok(record) => read.push((key, record)),
            Err(error) => problems.push(format!("{what} {key} cannot be read: {error}")),
        }
    }
    Ok(read)
}

fn expect(problems: &mut Vec<String>, is: bool, problem: impl FnOnce() -> String) {
    if !is {
        problems.push(problem());
    }
}
