//! Connections that read a store beside the connection that writes to it: no reader makes a change wait.
//!
//! In SQLite's write-ahead log a reader sees the state of its start, and a writer waits for no reader.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard};

use rusqlite::backup::{Backup, StepResult};
use rusqlite::{Connection, OpenFlags};

use super::lock::BUSY;
use super::schema::failure;
use super::verify::{self, Verified};
use super::{StoreError, beside};
use crate::platform::lock;

/// The read-only connections.
#[derive(Debug)]
pub(super) struct Readers {
    path: PathBuf,
    events: Mutex<Connection>,
}

impl Readers {
    /// # Errors
    /// The file cannot be opened another time.
    pub(super) fn open(path: &Path) -> Result<Self, StoreError> {
        Ok(Self { path: path.to_owned(), events: Mutex::new(connect(path)?) })
    }

    /// The connection for events.
    pub(super) fn of_events(&self) -> MutexGuard<'_, Connection> {
        lock(&self.events)
    }

    /// Verifies the store as it is now.
    pub(super) fn verify(&self) -> Result<Verified, StoreError> {
        let failed = failure(&self.path);
        // A read of the whole store has its own connection, and its memory is freed with that.
        let connection = connect(&self.path)?;
        let now = connection.unchecked_transaction().map_err(&failed)?;
        verify::verify(&now).map_err(&failed)
    }

    /// A copy of the store as it is now. A small store is copied in memory, so that a full disk does not prevent it; a
    /// larger one into a file beside the store, which loses its name at once.
    ///
    /// # Errors
    /// The store cannot be read, or there is no room for the copy.
    pub(super) fn copy(&self) -> Result<File, StoreError> {
        let failed = failure(&self.path);
        let mut connection = connect(&self.path)?;
        let size = |what: &str| connection.query_row(&format!("PRAGMA {what}"), [], |row| row.get::<_, u64>(0));
        let size = size("page_count").and_then(|pages| Ok(pages * size("page_size")?)).map_err(&failed)?;
        if size <= SMALL {
            let failed = |source| StoreError::File { path: self.path.display().to_string(), source };
            return in_memory(&mut connection).map_err(failed);
        }
        let now = connection.unchecked_transaction().map_err(&failed)?;
        // The first read fixes the state that the connection sees.
        now.query_row("PRAGMA schema_version", [], |row| row.get::<_, u32>(0)).map_err(&failed)?;
        let copy = Copy::make(&self.path, size)?;
        {
            let mut into = Connection::open_with_flags(&copy.at, OpenFlags::SQLITE_OPEN_READ_WRITE).map_err(&failed)?;
            into.execute_batch("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF;").map_err(&failed)?;
            let backup = Backup::new(&now, &mut into).map_err(&failed)?;
            while backup.step(PAGES).map_err(&failed)? != StepResult::Done {}
        }
        let of_copy = |source| StoreError::File { path: copy.at.display().to_string(), source };
        // The read and write versions of the file format: 2 means that there may be a log beside the file, and a copy
        // has none.
        copy.file.write_all_at(&[1, 1], 18).map_err(of_copy)?;
        copy.file.try_clone().map_err(of_copy)
    }
}

fn connect(path: &Path) -> Result<Connection, StoreError> {
    let failed = failure(path);
    let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY).map_err(&failed)?;
    connection.busy_timeout(BUSY).map_err(&failed)?;
    Ok(connection)
}

fn in_memory(store: &mut Connection) -> io::Result<File> {
    let file = File::from(rustix::fs::memfd_create("copy", rustix::fs::MemfdFlags::CLOEXEC)?);
    file.write_all_at(&verify::image(store).map_err(io::Error::other)?, 0)?;
    Ok(file)
}

/// The file of a copy. Its name is removed when this is dropped.
struct Copy {
    at: PathBuf,
    file: File,
}

impl Copy {
    fn make(store: &Path, size: u64) -> Result<Self, StoreError> {
        let at = beside(store, ".copy");
        let failed = |source| StoreError::File { path: at.display().to_string(), source };
        // A teeterd that was killed may have left such a file.
        match fs::remove_file(&at) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error)),
            _ => {}
        }
        let file = OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(&at).map_err(failed)?;
        let copy = Self { at: at.clone(), file };
        let disk = rustix::fs::fstatvfs(&copy.file).map_err(|error| failed(error.into()))?;
        let room = disk.f_bavail.saturating_mul(disk.f_frsize);
        if room < size.saturating_add(LEFT) {
            return Err(failed(io::Error::other(format!(
                "a copy of the store takes {} MiB of its file system for a moment, and {} are free, of which {} stay \
                 free for the store itself: make room there, or stop teeterd and copy the file",
                size.div_ceil(1 << 20),
                room >> 20,
                LEFT >> 20
            ))));
        }
        Ok(copy)
    }
}

impl Drop for Copy {
    fn drop(&mut self) {
        // The next copy removes a file that is left.
        let _ = fs::remove_file(&self.at);
    }
}

/// The largest store, in bytes, that is copied in memory.
const SMALL: u64 = 16 << 20;

/// How many pages are copied at a time.
const PAGES: std::ffi::c_int = 256;

/// How many bytes a copy must leave free on the store's file system.
const LEFT: u64 = 64 << 20;

#[cfg(test)]
mod tests {
    use super::super::{EventQuery, SqliteStore, Store, verify_file};
    use crate::state::{NewEvent, Transaction};

    fn change(expect: u64) -> Transaction {
        changes(expect, 1000)
    }

    fn changes(expect: u64, length: usize) -> Transaction {
        let event = NewEvent {
            at: jiff::Timestamp::UNIX_EPOCH,
            kind: "test",
            text: "x".repeat(length),
            run: None,
            hold: None,
            caller: None,
            changed: Vec::new(),
        };
        Transaction { expect, changes: Vec::new(), events: vec![event] }
    }

    #[test]
    fn a_change_does_not_wait_for_a_reader() {
        let dir = tempfile::tempdir().unwrap();
        let store = SqliteStore::open(&dir.path().join("t.db")).unwrap();
        let query = EventQuery { limit: 10, ..EventQuery::default() };
        store.commit(&change(1)).unwrap();
        let readers = super::Readers::open(&dir.path().join("t.db")).unwrap();
        let count = |reader: &rusqlite::Connection| {
            reader.query_row("SELECT count(*) FROM events", [], |row| row.get::<_, u64>(0)).unwrap()
        };
        let reader = readers.of_events();
        let now = reader.unchecked_transaction().unwrap();
        assert_eq!(count(&now), 1);
        // Many more than the log has room for before it is written back.
        for revision in 2..400 {
            store.commit(&change(revision)).unwrap();
        }
        assert_eq!((count(&now), store.events(query).unwrap().len()), (1, 10));
        now.commit().unwrap();
        assert_eq!(count(&reader), 399);
    }

    #[test]
    fn a_copy_is_complete_and_leaves_no_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("t.db");
        let store = SqliteStore::open(&path).unwrap();
        let copied = |what: &str| {
            let file = dir.path().join(what);
            std::io::copy(&mut store.backup().unwrap(), &mut std::fs::File::create(&file).unwrap()).unwrap();
            assert_eq!(verify_file(&file).unwrap(), store.verify().unwrap());
            assert_eq!(SqliteStore::open(&file).unwrap().load().unwrap(), store.load().unwrap());
        };
        store.commit(&change(1)).unwrap();
        copied("small.db");
        store.commit(&changes(2, 1 + usize::try_from(super::SMALL).unwrap())).unwrap();
        std::fs::write(dir.path().join("t.db.copy"), "the copy of a killed teeterd").unwrap();
        copied("large.db");
        assert!(!dir.path().join("t.db.copy").exists());
    }
}
