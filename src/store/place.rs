//! Directories for teeterd's files: whether other users may write to them, and a rename that replaces no file.

use std::fs::DirBuilder;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::Path;

use rustix::fs::{AtFlags, CWD, Mode, OFlags, RenameFlags, Stat, fstat, linkat, openat, renameat_with, unlinkat};
use rustix::io::Errno;
use rustix::path::Arg;

use super::{SQLITE_SUFFIXES, with_suffix};

/// Opens a directory, and creates it with this mode if it does not exist. Unless `shared`, only root and the user of
/// this process may write to the directory: another user could replace teeterd's files there.
///
/// # Errors
/// Other users may write to the directory, or the system refuses.
pub(crate) fn directory(path: &Path, mode: u32, shared: bool) -> io::Result<OwnedFd> {
    DirBuilder::new().recursive(true).mode(mode).create(path)?;
    let folder = openat(CWD, path, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())?;
    if !shared && let Some(writers) = writers(&fstat(&folder)?) {
        return Err(io::Error::other(format!(
            "{} {writers}, and another user could replace teeterd's files there. Use another directory, change its \
             mode, or write `shared_directory = true` beside the path in the configuration",
            path.display()
        )));
    }
    Ok(folder)
}

/// Checks the directory of the store at this path, and creates the directory if it does not exist. A directory in which
/// every user may add files and no user may replace another's, such as the root of a file system in memory, is accepted
/// as long as the store's files belong to no other user.
///
/// # Errors
/// Other users may write to the directory, one of the files belongs to another user, or the system refuses.
pub fn check_directory(path: &Path, shared: bool) -> io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("/"));
    let sticky = std::fs::symlink_metadata(folder)
        .is_ok_and(|found| found.is_dir() && found.uid() == 0 && found.permissions().mode() & 0o1022 == 0o1022);
    directory(folder, 0o700, shared || sticky)?;
    let own = rustix::process::geteuid().as_raw();
    let names = [path.to_owned()].into_iter().chain(SQLITE_SUFFIXES.map(|suffix| with_suffix(path, suffix)));
    for name in names.filter(|_| sticky && !shared) {
        match std::fs::symlink_metadata(&name) {
            Ok(found) if found.uid() != own => {
                return Err(io::Error::other(format!(
                    "{} belongs to uid {}, and every user may add files to its directory: remove the file, or use \
                     another directory",
                    name.display(),
                    found.uid()
                )));
            }
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

/// Which other users may write to a directory, for a message; `None` where only root and this process may.
fn writers(folder: &Stat) -> Option<String> {
    let own = rustix::process::geteuid().as_raw();
    if folder.st_uid != 0 && folder.st_uid != own {
        let user = uzers::get_user_by_uid(folder.st_uid);
        let name = user.map_or_else(String::new, |user| format!(" ({})", user.name().to_string_lossy()));
        return Some(format!("belongs to another user, uid {}{name}", folder.st_uid));
    }
    match folder.st_mode & 0o022 {
        0 => None,
        0o020 => Some(format!("may be written to by the members of group {}", folder.st_gid)),
        _ => Some("may be written to by every user".to_owned()),
    }
}

/// Renames a file to an unused name. Replaces no file, also not one that gets the name at the same moment.
///
/// # Errors
/// The name is in use (`AlreadyExists`), or the system refuses.
pub(crate) fn rename_new(from_in: impl AsFd, from: impl Arg, to_in: impl AsFd, to: impl Arg) -> io::Result<()> {
    let (from, to) = (from.into_c_str()?, to.into_c_str()?);
    match renameat_with(&from_in, &*from, &to_in, &*to, RenameFlags::NOREPLACE) {
        // Some file systems do not support this flag. A hard link never replaces a file, either.
        Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => {
            linkat(&from_in, &*from, &to_in, &*to, AtFlags::empty())?;
            unlinkat(&from_in, &*from, AtFlags::empty())?;
            Ok(())
        }
        other => other.map_err(io::Error::from),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_directory_that_others_may_write_to_is_refused_unless_shared() {
        let dir = tempfile::tempdir().unwrap();
        let made = dir.path().join("a/b");
        directory(&made, 0o755, false).unwrap();
        assert_eq!(fs::metadata(&made).unwrap().permissions().mode() & 0o022, 0);
        for (mode, users) in [(0o775, "by the members of group"), (0o757, "every user"), (0o1777, "every user")] {
            fs::set_permissions(&made, fs::Permissions::from_mode(mode)).unwrap();
            let error = directory(&made, 0o755, false).unwrap_err().to_string();
            assert!(error.contains(users) && error.contains("shared_directory"), "{error}");
            directory(&made, 0o755, true).unwrap();
        }
        if rustix::process::geteuid().is_root() {
            fs::set_permissions(&made, fs::Permissions::from_mode(0o755)).unwrap();
            std::os::unix::fs::chown(&made, Some(1), None).unwrap();
            let error = directory(&made, 0o755, false).unwrap_err().to_string();
            assert!(error.contains("another user, uid 1"), "{error}");
            directory(&made, 0o755, true).unwrap();
        }
    }

    #[test]
    fn a_sticky_directory_is_accepted_while_the_stores_files_are_its_own() {
        let dir = tempfile::tempdir().unwrap();
        let root = rustix::process::geteuid().is_root();
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o1777)).unwrap();
        let path = dir.path().join("t.db");
        // Only in a directory of root can no other user replace a file.
        assert_eq!(check_directory(&path, false).is_ok(), root);
        for name in ["t.db", "t.db-wal"].into_iter().filter(|_| root) {
            let name = dir.path().join(name);
            fs::write(&name, "").unwrap();
            check_directory(&path, false).unwrap();
            std::os::unix::fs::chown(&name, Some(1), None).unwrap();
            let error = check_directory(&path, false).unwrap_err().to_string();
            assert!(error.contains("belongs to uid 1"), "{error}");
            check_directory(&path, true).unwrap();
            fs::remove_file(&name).unwrap();
        }
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o777)).unwrap();
        assert!(check_directory(&path, false).is_err());
    }

    #[test]
    fn a_new_name_replaces_no_file() {
        let dir = tempfile::tempdir().unwrap();
        let [from, to] = ["from", "to"].map(|name| dir.path().join(name));
        fs::write(&from, "new").unwrap();
        for taken in ["a file", "a link to nothing"] {
            match taken {
                "a file" => fs::write(&to, "old").unwrap(),
                _ => std::os::unix::fs::symlink("nothing", &to).unwrap(),
            }
            let error = rename_new(CWD, &from, CWD, &to).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::AlreadyExists, "{taken}");
            assert_eq!(fs::read_to_string(&from).unwrap(), "new", "{taken}");
            fs::remove_file(&to).unwrap();
        }
        rename_new(CWD, &from, CWD, &to).unwrap();
        assert!(fs::read_to_string(&to).unwrap() == "new" && !from.exists());
    }
}
