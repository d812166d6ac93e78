//! Whether a store is whole: the file, each record in it, and what records say of one another. Changes nothing.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use rusqlite::{Connection, MAIN_DB, OpenFlags};

use super::records::records;
use super::schema::{failure, migrate};
use super::{StoreError, beside, lock};
use crate::platform::chain;

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
    let read = File::open(path).and_then(|mut file| Ok((file.read(&mut [0; 1])?, lock::is_taken(&file)?)));
    let (size, taken) = read.map_err(|source| StoreError::File { path: path.display().to_string(), source })?;
    if taken {
        return Err(StoreError::InUse { path: path.display().to_string() });
    }
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
            Ok(Verified { schema, problems: vec![chain(&error)], ..Verified::default() })
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
