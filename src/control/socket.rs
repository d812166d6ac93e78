//! Creates the control socket in the file system. The socket has the configured mode and group from the moment that it
//! is visible: it is created in a directory that only teeterd may enter, and then moved to its name. No symbolic link
//! is followed.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, FileType, Gid, Mode, OFlags, chmodat, chownat, fstat, mkdirat, openat, unlinkat};
use rustix::io::Errno;
use tokio::net::{UnixListener, UnixStream};

use crate::store::{directory, rename_new};

/// The settings of a socket in the file system.
#[derive(Debug, Clone, Copy)]
pub struct SocketSettings<'a> {
    /// The path of the socket.
    pub path: &'a Path,
    /// The mode of the socket.
    pub mode: u32,
    /// The group of the socket; the group of the process where unset.
    pub group: Option<&'a str>,
    /// Whether other users may write to the directory of the socket.
    pub shared: bool,
}

/// Creates a listener. A socket on which no process listens is replaced; any other file at the path stays.
///
/// # Errors
/// Another kind of file is at the path, another teeterd listens there, other users may write to the directory, the
/// group is unknown, or the system refuses.
pub async fn bind(settings: SocketSettings<'_>) -> io::Result<UnixListener> {
    let gid = settings.group.map(gid_of).transpose()?;
    let (Some(folder), Some(name)) = (settings.path.parent(), settings.path.file_name()) else {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "not the path of a file"));
    };
    // Such a socket could be created, but no client could open it.
    if settings.path.as_os_str().len() > LONGEST_PATH {
        let text = format!("the path of a UNIX socket has {LONGEST_PATH} bytes at most");
        return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
    }
    let folder = directory(folder, 0o755, settings.shared)?;
    remove_stale(&folder, name).await?;
    let private = PrivateFolder::create(folder.as_fd(), name)?;
    let listener = UnixListener::bind(proc_path(&private.folder).join(name))?;
    chownat(&private.folder, name, None, gid, AtFlags::SYMLINK_NOFOLLOW)?;
    chmodat(&private.folder, name, Mode::from_raw_mode(settings.mode), AtFlags::empty())?;
    rename_new(&private.folder, name, &folder, name)?;
    Ok(listener)
}

fn gid_of(name: &str) -> io::Result<Gid> {
    let group = uzers::get_group_by_name(name);
    let gid = group.map(|group| Gid::from_raw(group.gid()));
    gid.ok_or_else(|| io::Error::other(format!("there is no group {name}")))
}

/// Removes a socket on which no process listens.
async fn remove_stale(folder: &OwnedFd, name: &OsStr) -> io::Result<()> {
    let found = match openat(folder, name, OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty()) {
        Err(Errno::NOENT) => return Ok(()),
        found => found?,
    };
    if FileType::from_raw_mode(fstat(&found)?.st_mode) != FileType::Socket {
        return Err(io::Error::new(io::ErrorKind::AlreadyExists, "a file that is not a socket is there"));
    }
    match UnixStream::connect(proc_path(&found)).await {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {}
        // The queue of waiting connections is full: a process listens.
        Err(error) if error.kind() != io::ErrorKind::WouldBlock => return Err(error),
        _ => return Err(io::Error::new(io::ErrorKind::AddrInUse, "another teeterd answers there")),
    }
    match unlinkat(folder, name, AtFlags::empty()) {
        Err(Errno::NOENT) => Ok(()),
        other => other.map_err(io::Error::from),
    }
}

/// The path of an open descriptor, for calls that take no descriptor; it stays valid if the file is renamed.
fn proc_path(file: &impl AsRawFd) -> PathBuf {
    format!("/proc/self/fd/{}", file.as_raw_fd()).into()
}

/// A directory that only the user of this process may enter. It is removed when this value is dropped.
struct PrivateFolder<'a> {
    parent: BorrowedFd<'a>,
    name: OsString,
    folder: OwnedFd,
    socket: &'a OsStr,
}

impl<'a> PrivateFolder<'a> {
    fn create(parent: BorrowedFd<'a>, socket: &'a OsStr) -> io::Result<Self> {
        let mut name = OsString::from(".");
        name.push(OsStr::from_bytes(&socket.as_bytes()[..socket.len().min(LONGEST_NAME)]));
        name.push(format!(".{}", std::process::id()));
        match mkdirat(parent, &name, Mode::RWXU) {
            // An earlier process with the same id has left the directory.
            Err(Errno::EXIST) => {}
            created => created?,
        }
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let folder = openat(parent, &name, flags, Mode::empty())?;
        let found = fstat(&folder)?;
        if found.st_uid != rustix::process::geteuid().as_raw() || found.st_mode & 0o077 != 0 {
            return Err(io::Error::other(format!(
                "the directory {} beside the socket belongs to another user or is open to other users: remove it",
                name.display()
            )));
        }
        let private = Self { parent, name, folder, socket };
        private.empty();
        Ok(private)
    }

    /// Removes a socket that was not moved to its name.
    fn empty(&self) {
        let _ = unlinkat(&self.folder, self.socket, AtFlags::empty());
    }
}

impl Drop for PrivateFolder<'_> {
    fn drop(&mut self) {
        self.empty();
        let _ = unlinkat(self.parent, &self.name, AtFlags::REMOVEDIR);
    }
}

/// The bytes that Linux allows for the path of a UNIX socket (unix(7)), without the final zero byte.
const LONGEST_PATH: usize = 107;

/// How many bytes of the socket's name the directory's name repeats; with the process id it stays below the limit of
/// names.
const LONGEST_NAME: usize = 200;

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
    use std::os::unix::net;

    use super::*;

    fn settings(path: &Path) -> SocketSettings<'_> {
        SocketSettings { path, mode: 0o640, group: None, shared: false }
    }

    fn names(dir: &Path) -> Vec<OsString> {
        fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name()).collect()
    }

    #[tokio::test]
    async fn a_socket_has_its_mode_and_nothing_is_left_beside_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("run/t.ctl");
        let listener = bind(settings(&path)).await.unwrap();
        let (client, accepted) = tokio::join!(UnixStream::connect(&path), listener.accept());
        client.unwrap();
        accepted.unwrap();
        let found = fs::symlink_metadata(&path).unwrap();
        assert_eq!((found.permissions().mode() & 0o777, found.nlink()), (0o640, 1));
        assert_eq!(names(path.parent().unwrap()), ["t.ctl"]);
        let error = bind(settings(&path)).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
        drop(listener);
        bind(settings(&path)).await.unwrap();
        assert_eq!(names(path.parent().unwrap()), ["t.ctl"]);
    }

    #[tokio::test]
    async fn other_files_and_targets_of_links_are_kept() {
        let dir = tempfile::tempdir().unwrap();
        let (path, other) = (dir.path().join("t.ctl"), dir.path().join("other"));
        fs::write(&path, "text").unwrap();
        assert_eq!(bind(settings(&path)).await.unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(fs::read_to_string(&path).unwrap(), "text");
        fs::remove_file(&path).unwrap();
        let stale = net::UnixListener::bind(&other).unwrap();
        drop(stale);
        symlink(&other, &path).unwrap();
        assert_eq!(bind(settings(&path)).await.unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        assert!(other.exists() && path.symlink_metadata().unwrap().is_symlink());
        fs::remove_file(&path).unwrap();
        // Another user's directory has the name of the temporary directory.
        let own = dir.path().join(format!(".t.ctl.{}", std::process::id()));
        symlink(dir.path(), &own).unwrap();
        bind(settings(&path)).await.unwrap_err();
        assert!(own.symlink_metadata().unwrap().is_symlink() && !path.exists());
        fs::remove_file(&own).unwrap();
        // A killed process has left the directory and the socket.
        fs::DirBuilder::new().create(&own).unwrap();
        fs::set_permissions(&own, fs::Permissions::from_mode(0o700)).unwrap();
        drop(net::UnixListener::bind(own.join("t.ctl")).unwrap());
        bind(settings(&path)).await.unwrap();
        assert!(!own.exists());
    }

    #[tokio::test]
    async fn a_path_that_is_too_long_for_clients_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("n".repeat(100));
        let error = bind(settings(&path)).await.unwrap_err().to_string();
        assert!(error.contains("107 bytes"), "{error}");
        let error =
            bind(SocketSettings { group: Some("no-such-group"), ..settings(&dir.path().join("t")) }).await.unwrap_err();
        assert!(error.to_string().contains("there is no group no-such-group"), "{error}");
        assert!(names(dir.path()).is_empty());
    }
}
