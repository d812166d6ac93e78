//! Verifies a store: its file, each record, and the references between records. Changes nothing.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use rusqlite::{Connection, MAIN_DB, OpenFlags};

use super::records::records;
use super::schema::{failure, migrate};
use super::{StoreError, lock, with_suffix};
use crate::platform::chain;

/// The result of a verification.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Verified {
    /// The schema of the file.
    pub schema: u32,
    /// The revision of the store, which rises with every transaction.
    pub revision: u64,
    /// The number of holds.
    pub holds: usize,
    /// The number of server lines whose earlier state is recorded.
    pub baselines: usize,
    /// The number of farms whose traffic teeter has switched.
    pub routes: usize,
    /// The number of runs.
    pub runs: usize,
    /// The number of drains that have ended.
    pub drains: usize,
    /// The number of watches that have ended.
    pub watches: usize,
    /// The number of events.
    pub events: usize,
    /// The problems that were found, for people. Empty for a store without damage.
    pub problems: Vec<String>,
}

/// Verifies the store in a file that no teeterd has open: the file itself, and its records after a migration in memory.
///
/// # Errors
/// The file cannot be read, is in use, or is newer than this program. Damage is a result and not an error.
pub fn verify_file(path: &Path) -> Result<Verified, StoreError> {
    let failed = failure(path);
    // For a directory, and for a file without read permission, SQLite only reports "unable to open".
    let read = File::open(path).and_then(|mut file| Ok((file.read(&mut [0; 1])?, lock::is_taken(&file)?)));
    let (size, taken) = read.map_err(|source| StoreError::File { path: path.display().to_string(), source })?;
    if taken {
        return Err(StoreError::InUse { path: path.display().to_string() });
    }
    let damaged = |problem: String| Verified { problems: vec![problem], ..Verified::default() };
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
        return Ok(damaged("the file is not a store of teeter: it has no schema".to_owned()));
    }
    if !problems.is_empty() {
        return Ok(Verified { schema, problems, ..Verified::default() });
    }
    match migrate(&mut connection, path).and_then(|_| records(&connection).map_err(&failed)) {
        Ok(found) => Ok(Verified { schema, ..found }),
        Err(error @ StoreError::Database { .. }) => {
            Ok(Verified { schema, problems: vec![chain(&error)], ..Verified::default() })
        }
        Err(error) => Err(error),
    }
}

/// Verifies a store that is open, and thus migrated.
pub(super) fn verify(connection: &Connection) -> rusqlite::Result<Verified> {
    let problems = integrity(connection)?;
    let schema = connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    let mut found = Verified { schema, ..records(connection)? };
    found.problems.splice(0..0, problems);
    Ok(found)
}

/// The whole database as the content of one file that needs no other file beside it.
pub(super) fn image(connection: &mut Connection) -> rusqlite::Result<Vec<u8>> {
    let mut image = connection.serialize(MAIN_DB)?.to_vec();
    // The read and write versions of the file format: 2 means that there may be a log beside the file, and a copy has
    // none.
    if let Some(versions) = image.get_mut(18..20) {
        versions.fill(1);
    }
    Ok(image)
}

fn image_of(path: &Path) -> rusqlite::Result<Vec<u8>> {
    // Without a log, SQLite has to read only this file, and need not create files beside it.
    let log = with_suffix(path, "-wal").metadata().is_ok_and(|log| log.len() > 0);
    let mut connection = if log {
        Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?
    } else {
        let uri = format!("file:{}?mode=ro&immutable=1", escaped(path));
        Connection::open_with_flags(uri, OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI)?
    };
    // The error of a read names the damage; a failed copy only reports that there is no memory.
    connection.query_row("PRAGMA schema_version", [], |row| row.get::<_, u32>(0))?;
    image(&mut connection)
}

/// A path as part of a URI.
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

/// The problems that SQLite finds in the file.
fn integrity(connection: &Connection) -> rusqlite::Result<Vec<String>> {
    let mut statement = connection.prepare("PRAGMA integrity_check(20)")?;
    let found: Vec<String> = statement.query_map([], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?;
    Ok(found.into_iter().filter(|line| line != "ok").collect())
}
