//! The store's files: only the daemon's user may open them, and none of them is a link.

use std::fs::{File, Metadata, OpenOptions};
use std::io;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;

use rustix::fs::OFlags;

use super::{SQLITE_SUFFIXES, with_suffix};

/// Creates the file of a database for its owner only, and takes the rights of all other users from an existing file.
/// The files that SQLite creates beside the database get the same mode.
///
/// # Errors
/// One of the files is a symbolic link or not a regular file, or the system refuses.
pub(super) fn create(path: &Path) -> io::Result<()> {
    restrict(path, OpenOptions::new().create(true).mode(0o600))?;
    for suffix in SQLITE_SUFFIXES {
        match restrict(&with_suffix(path, suffix), &mut OpenOptions::new()) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            other => other?,
        }
    }
    Ok(())
}

/// Opens a file, and takes the rights of all other users from it.
fn restrict(path: &Path, options: &mut OpenOptions) -> io::Result<()> {
    let Some((file, found)) = open_regular_file(path, options.write(true))? else {
        return Err(io::Error::other(format!(
            "{} is a symbolic link or not a regular file: configure the path of the file itself",
            path.display()
        )));
    };
    let mode = found.permissions().mode();
    if mode & OTHERS != 0 {
        file.set_permissions(std::fs::Permissions::from_mode(mode & !OTHERS))?;
    }
    Ok(())
}

/// Opens a regular file for reading and by the options. `None` where the path is a symbolic link or another kind of
/// file. The check is made on the opened file, so a later change at the path has no effect.
///
/// # Errors
/// The system refuses.
pub(super) fn open_regular_file(path: &Path, options: &mut OpenOptions) -> io::Result<Option<(File, Metadata)>> {
    // Non-blocking: without this flag, opening a pipe would wait for a writer.
    let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits().cast_signed();
    let file = match options.read(true).custom_flags(flags).open(path) {
        Err(error) if error.raw_os_error() == Some(rustix::io::Errno::LOOP.raw_os_error()) => return Ok(None),
        other => other?,
    };
    let found = file.metadata()?;
    Ok(found.is_file().then_some((file, found)))
}

/// The rights of all other users. Rights that an operator gives to a group stay.
const OTHERS: u32 = 0o007;

#[cfg(test)]
mod tests {
    use super::super::{SqliteStore, Store, StoreError};
    use super::*;
    use std::fs;
    use std::os::unix::fs::symlink;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn other_users_get_no_rights_to_a_store() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("t.db");
        let beside = ["-wal", "-shm"].map(|end| dir.path().join(format!("t.db{end}")));
        let store = SqliteStore::open(&path).unwrap();
        assert_eq!(mode(&path), 0o600);
        for beside in beside.iter().filter(|beside| beside.exists()) {
            assert_eq!(mode(beside), 0o600, "{}", beside.display());
        }
        drop(store);
        // A store with rights for a group and for other users.
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        SqliteStore::open(&path).unwrap().load().unwrap();
        assert_eq!(mode(&path), 0o640);
    }

    #[test]
    fn a_store_behind_a_link_is_refused_and_the_target_stays_unchanged() {
        let dir = tempfile::tempdir().unwrap();
        let (victim, path) = (dir.path().join("victim"), dir.path().join("t.db"));
        fs::write(&victim, "the file of another user").unwrap();
        fs::set_permissions(&victim, fs::Permissions::from_mode(0o644)).unwrap();
        let untouched = || {
            assert_eq!(fs::read_to_string(&victim).unwrap(), "the file of another user");
            assert_eq!(mode(&victim), 0o644);
        };
        for link in ["t.db", "t.db-wal", "t.db-shm"] {
            symlink(&victim, dir.path().join(link)).unwrap();
            let error = SqliteStore::open(&path).unwrap_err();
            assert!(matches!(error, StoreError::File { .. }), "{error:?}");
            let text = crate::platform::chain(&error);
            assert!(text.contains(link) && text.contains("path of the file itself"), "{text}");
            untouched();
            fs::remove_file(dir.path().join(link)).unwrap();
        }
        fs::remove_file(&path).unwrap();
        // A link to a missing file creates no file.
        symlink(dir.path().join("nothing"), &path).unwrap();
        SqliteStore::open(&path).unwrap_err();
        assert!(!dir.path().join("nothing").exists());
    }
}
