//! Separate connections for readers of a store: no reader makes a change wait.
//!
//! With SQLite's write-ahead log, a reader sees the state at its start, and a writer waits for no reader.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard};

use rusqlite::backup::{Backup, StepResult};
use rusqlite::{Connection, OpenFlags};

use super::lock::BUSY_TIMEOUT;
use super::schema::failure;
use super::verify::{self, Verified};
use super::{StoreError, with_suffix};
use crate::platform::lock;

/// The read-only connections.
#[derive(Debug)]
pub(super) struct Readers {
    path: PathBuf,
    events: Mutex<Connection>,
}

impl Readers {
    /// Opens the connections to this file.
    ///
    /// # Errors
    /// The file cannot be opened another time.
    pub(super) fn open(path: &Path) -> Result<Self, StoreError> {
        Ok(Self { path: path.to_owned(), events: Mutex::new(connect(path)?) })
    }

    /// The connection for events.
    pub(super) fn events(&self) -> MutexGuard<'_, Connection> {
        lock(&self.events)
    }

    /// Verifies the present state of the store.
    pub(super) fn verify(&self) -> Result<Verified, StoreError> {
        let failed = failure(&self.path);
        // A read of the whole store has its own connection, whose memory is freed at the end.
        let connection = connect(&self.path)?;
        let snapshot = connection.unchecked_transaction().map_err(&failed)?;
        verify::verify(&snapshot).map_err(&failed)
    }

    /// A copy of the present state of the store. A small store is copied into memory, so that a full disk does not
    /// prevent the copy; a larger store into a file beside it, whose name is removed at once.
    ///
    /// # Errors
    /// The store cannot be read, or there is no room for the copy.
    pub(super) fn copy(&self) -> Result<File, StoreError> {
        let failed = failure(&self.path);
        let mut connection = connect(&self.path)?;
        let pragma = |name: &str| connection.query_row(&format!("PRAGMA {name}"), [], |row| row.get::<_, u64>(0));
        let size = pragma("page_count").and_then(|pages| Ok(pages * pragma("page_size")?)).map_err(&failed)?;
        if size <= LARGEST_IN_MEMORY {
            let failed = |source| StoreError::File { path: self.path.display().to_string(), source };
            return in_memory(&mut connection).map_err(failed);
        }
        let snapshot = connection.unchecked_transaction().map_err(&failed)?;
        // The first read fixes the state that the connection sees.
        snapshot.query_row("PRAGMA schema_version", [], |row| row.get::<_, u32>(0)).map_err(&failed)?;
        let copy = CopyFile::create(&self.path, size)?;
        {
            let mut target =
                Connection::open_with_flags(&copy.path, OpenFlags::SQLITE_OPEN_READ_WRITE).map_err(&failed)?;
            target.execute_batch("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF;").map_err(&failed)?;
            let backup = Backup::new(&snapshot, &mut target).map_err(&failed)?;
            while backup.step(PAGES).map_err(&failed)? != StepResult::Done {}
        }
        let failed = |source| StoreError::File { path: copy.path.display().to_string(), source };
        // The read and write versions of the file format: 2 means that there may be a log beside the file, and a copy
        // has none.
        copy.file.write_all_at(&[1, 1], 18).map_err(failed)?;
        copy.file.try_clone().map_err(failed)
    }
}

fn connect(path: &Path) -> Result<Connection, StoreError> {
    let failed = failure(path);
    let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY).map_err(&failed)?;
    connection.busy_timeout(BUSY_TIMEOUT).map_err(&failed)?;
    Ok(connection)
}

fn in_memory(store: &mut Connection) -> io::Result<File> {
    let file = File::from(rustix::fs::memfd_create("copy", rustix::fs::MemfdFlags::CLOEXEC)?);
    file.write_all_at(&verify::image(store).map_err(io::Error::other)?, 0)?;
    Ok(file)
}

/// The file of a copy. Its name is removed when this value is dropped.
struct CopyFile {
    path: PathBuf,
    file: File,
}

impl CopyFile {
    fn create(store: &Path, size: u64) -> Result<Self, StoreError> {
        let path = with_suffix(store, ".copy");
        let failed = |source| StoreError::File { path: path.display().to_string(), source };
        // A teeterd that was killed may have left such a file.
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error)),
            _ => {}
        }
        let file =
            OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(&path).map_err(failed)?;
        let copy = Self { path: path.clone(), file };
        let disk = rustix::fs::fstatvfs(&copy.file).map_err(|error| failed(error.into()))?;
        let free = disk.f_bavail.saturating_mul(disk.f_frsize);
        if free < size.saturating_add(RESERVE) {
            return Err(failed(io::Error::other(format!(
                "a copy of the store takes {} MiB of its file system for a moment, and {} MiB are free, of which {} \
                 MiB are reserved for the store: make room there, or stop teeterd and copy the file",
                size.div_ceil(1 << 20),
                free >> 20,
                RESERVE >> 20
            ))));
        }
        Ok(copy)
    }
}

impl Drop for CopyFile {
    fn drop(&mut self) {
        // If this fails, the next copy removes the file.
        let _ = fs::remove_file(&self.path);
    }
}

/// The largest store, in bytes, that is copied in memory.
const LARGEST_IN_MEMORY: u64 = 16 << 20;

/// How many pages of the database are copied at a time.
const PAGES: std::ffi::c_int = 256;

/// How many bytes a copy must leave free on the store's file system.
const RESERVE: u64 = 64 << 20;

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
        let reader = readers.events();
        let snapshot = reader.unchecked_transaction().unwrap();
        assert_eq!(count(&snapshot), 1);
        // Many more changes than SQLite keeps in the log before it writes them back.
        for revision in 2..400 {
            store.commit(&change(revision)).unwrap();
        }
        assert_eq!((count(&snapshot), store.events(query).unwrap().len()), (1, 10));
        snapshot.commit().unwrap();
        assert_eq!(count(&reader), 399);
    }

    #[test]
    fn a_copy_is_complete_and_leaves_no_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("t.db");
        let store = SqliteStore::open(&path).unwrap();
        let copied = |name: &str| {
            let file = dir.path().join(name);
            std::io::copy(&mut store.backup().unwrap(), &mut std::fs::File::create(&file).unwrap()).unwrap();
            assert_eq!(verify_file(&file).unwrap(), store.verify().unwrap());
            assert_eq!(SqliteStore::open(&file).unwrap().load().unwrap(), store.load().unwrap());
        };
        store.commit(&change(1)).unwrap();
        copied("small.db");
        store.commit(&changes(2, 1 + usize::try_from(super::LARGEST_IN_MEMORY).unwrap())).unwrap();
        std::fs::write(dir.path().join("t.db.copy"), "the copy of a killed teeterd").unwrap();
        copied("large.db");
        assert!(!dir.path().join("t.db.copy").exists());
    }
}
