//! The control socket in the file system: made safely, with the mode and group of the configuration.

use std::io;
use std::os::unix::fs::{FileTypeExt, PermissionsExt, chown};
use std::os::unix::net::UnixStream;
use std::path::Path;

use tokio::net::UnixListener;

/// Makes a listener. A socket that nobody answers any more is replaced; anything else at the path is left alone.
///
/// # Errors
/// Something else is at the path, somebody answers there, the group is not known, or the system refuses.
pub fn bind(path: &Path, mode: u32, group: Option<&str>) -> io::Result<UnixListener> {
    let gid = group.map(|name| {
        uzers::get_group_by_name(name)
            .map(|group| group.gid())
            .ok_or_else(|| io::Error::other(format!("there is no group {name}")))
    });
    let gid = gid.transpose()?;
    match std::fs::symlink_metadata(path) {
        Ok(found) if !found.file_type().is_socket() => {
            return Err(io::Error::new(io::ErrorKind::AlreadyExists, "something that is not a socket is there"));
        }
        Ok(_) if UnixStream::connect(path).is_ok() => {
            return Err(io::Error::new(io::ErrorKind::AddrInUse, "another teeterd answers there"));
        }
        Ok(_) => std::fs::remove_file(path)?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            if let Some(folder) = path.parent() {
                std::fs::create_dir_all(folder)?;
            }
        }
        Err(error) => return Err(error),
    }
    // Between binding and here the socket has the mode of the process's umask, and nobody accepts yet: who gets in
    // too early is accepted with its credentials like anybody.
    let listener = UnixListener::bind(path)?;
    if gid.is_some() {
        chown(path, None, gid)?;
    }
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode))?;
    Ok(listener)
}
