//! A map file in its directory, and the calls that read and replace it.
//!
//! The directory is opened once, and every name is looked up in it, even if another directory has its path meanwhile.

use std::ffi::{OsStr, OsString};
use std::fs::{File, Metadata};
use std::io::{self, Read as _};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{MetadataExt as _, fchown};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::{AtFlags, FlockOperation, Mode, OFlags, RenameFlags};
use rustix::io::Errno;

/// Identifies a state of a file: inode, size and time of change (seconds, nanoseconds).
pub(crate) type Stamp = (u64, u64, i64, i64);

/// A map file in its directory.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) dir: OwnedFd,
    pub(super) name: OsString,
    path: PathBuf,
    /// Whether the file system can exchange two files, as far as known.
    pub(super) exchanges: bool,
}

/// The whole content of a file, and the metadata with which it was read.
#[derive(Debug)]
pub(super) struct Whole {
    pub(super) content: Vec<u8>,
    pub(super) metadata: Metadata,
}

/// While it is held, no other teeterd replaces a file in the directory.
#[derive(Debug)]
pub(super) struct Lock(OwnedFd);

impl Place {
    pub(super) fn of(path: &Path) -> io::Result<Self> {
        let name = path.file_name().ok_or_else(|| io::Error::other("it has no name"))?.to_owned();
        let dir = path.parent().unwrap_or(Path::new("/"));
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        Ok(Self { dir: rustix::fs::open(dir, flags, Mode::empty())?, name, path: path.to_owned(), exchanges: true })
    }

    /// Opens the map file for reading. Refuses a symbolic link: teeter would have to write to another directory.
    pub(super) fn open(&self) -> io::Result<(File, Metadata)> {
        self.open_beside(&self.name)?.ok_or_else(|| {
            io::Error::other("it is a symbolic link or no file: name the file itself in haproxy.cfg and here")
        })
    }

    /// Opens a file of the directory for reading. `None`: it is a symbolic link, or not a regular file.
    pub(super) fn open_beside(&self, name: &OsStr) -> io::Result<Option<(File, Metadata)>> {
        // Non-blocking: to open a pipe would wait for its writer.
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = match rustix::fs::openat(&self.dir, name, flags, Mode::empty()) {
            Err(Errno::LOOP) => return Ok(None),
            other => File::from(other?),
        };
        let metadata = file.metadata()?;
        if metadata.len() > LARGEST {
            return Err(io::Error::other("it is larger than 64 MiB"));
        }
        Ok(metadata.is_file().then_some((file, metadata)))
    }

    /// Reads the whole map file. `None`: it changed while it was read.
    pub(super) fn whole(&self) -> io::Result<Option<Whole>> {
        let (file, metadata) = self.open()?;
        whole(file, metadata)
    }

    /// Reads a whole file of the directory. `None`: it changed while it was read, or is not a regular file.
    pub(super) fn whole_beside(&self, name: &OsStr) -> io::Result<Option<Whole>> {
        self.open_beside(name)?.map_or(Ok(None), |(file, metadata)| whole(file, metadata))
    }

    /// Creates a file with the mode and owner of another one. Fails if a file has this name.
    pub(super) fn create(&self, name: &OsStr, like: &Metadata) -> io::Result<File> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = File::from(rustix::fs::openat(&self.dir, name, flags, Mode::RUSR | Mode::WUSR)?);
        let given = give(&file, like);
        if given.is_err() {
            // The error before this one says more.
            let _ = self.remove(name);
        }
        given.map(|()| file)
    }

    /// Creates a file without a name, with the mode and owner of another one. `None`: the file system has no such
    /// files.
    pub(super) fn create_unnamed(&self, like: &Metadata) -> io::Result<Option<File>> {
        let flags = OFlags::WRONLY | OFlags::TMPFILE | OFlags::CLOEXEC;
        let file = match rustix::fs::openat(&self.dir, ".", flags, Mode::RUSR | Mode::WUSR) {
            Err(Errno::OPNOTSUPP | Errno::ISDIR | Errno::INVAL | Errno::NOENT) => return Ok(None),
            other => File::from(other?),
        };
        give(&file, like).map(|()| Some(file))
    }

    /// Removes a file of the directory; a missing file is not an error.
    pub(super) fn remove(&self, name: &OsStr) -> io::Result<()> {
        match rustix::fs::unlinkat(&self.dir, name, AtFlags::empty()) {
            Err(Errno::NOENT) => Ok(()),
            other => Ok(other?),
        }
    }

    pub(super) fn rename(&self, from: &OsStr, to: &OsStr) -> io::Result<()> {
        Ok(rustix::fs::renameat(&self.dir, from, &self.dir, to)?)
    }

    /// Exchanges a file and the map file in one operation, so that the replaced file can be read. `false`: the file
    /// system cannot do that, and nothing has changed.
    pub(super) fn exchange(&self, with: &OsStr) -> io::Result<bool> {
        if !self.exchanges {
            return Ok(false);
        }
        match rustix::fs::renameat_with(&self.dir, with, &self.dir, &self.name, RenameFlags::EXCHANGE) {
            Ok(()) => Ok(true),
            Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Writes the names in the directory to the disk.
    pub(super) fn flush(&self) -> io::Result<()> {
        Ok(rustix::fs::fsync(&self.dir)?)
    }

    /// Locks the directory against other teeterds. `None`: the file system has no such locks, or another process has
    /// held the lock for a second. A replacement does not rely on the lock: every user with read access can take it.
    pub(super) fn lock(&self) -> io::Result<Option<Lock>> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let lock = Lock(rustix::fs::openat(&self.dir, ".", flags, Mode::empty())?);
        for _ in 0..LOCK_TRIES {
            match rustix::fs::flock(&lock.0, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => return Ok(Some(lock)),
                Err(Errno::WOULDBLOCK | Errno::INTR) => std::thread::sleep(LOCK_AGAIN),
                Err(_) => return Ok(None),
            }
        }
        Ok(None)
    }

    /// The path of a file of the directory, for people.
    pub(super) fn shown(&self, name: &OsStr) -> String {
        self.path.with_file_name(name).display().to_string()
    }
}

impl Whole {
    /// Whether another file has the same content, owner and mode.
    pub(super) fn is(&self, other: &Self) -> bool {
        let owner_and_mode = |file: &Metadata| (file.uid(), file.gid(), file.mode());
        self.content == other.content && owner_and_mode(&self.metadata) == owner_and_mode(&other.metadata)
    }
}

pub(super) fn stamp(file: &Metadata) -> Stamp {
    (file.ino(), file.len(), file.mtime(), file.mtime_nsec())
}

fn whole(file: File, before: Metadata) -> io::Result<Option<Whole>> {
    let mut content = Vec::with_capacity(usize::try_from(before.len()).unwrap_or_default());
    // Reads no more than the largest size, even if the file grows meanwhile.
    (&file).take(LARGEST + 1).read_to_end(&mut content)?;
    let metadata = file.metadata()?;
    let same = stamp(&metadata) == stamp(&before) && content.len() as u64 == before.len();
    Ok(same.then_some(Whole { content, metadata }))
}

/// Gives a new file the mode and owner of another one.
fn give(file: &File, like: &Metadata) -> io::Result<()> {
    let own = file.metadata()?;
    if (own.uid(), own.gid()) != (like.uid(), like.gid()) {
        fchown(file, Some(like.uid()), Some(like.gid())).map_err(|error| {
            let (owner, user) = (like.uid(), own.uid());
            io::Error::other(format!(
                "it belongs to user {owner}, and user {user}, who runs teeterd, cannot create a file of that owner \
                 ({error}): `chown {user}` the file"
            ))
        })?;
    }
    file.set_permissions(like.permissions())
}

/// The largest map file, in bytes. A map of routes is much smaller.
const LARGEST: u64 = 64 << 20;

/// The pause between two tries to take the lock; a replacement takes milliseconds.
const LOCK_AGAIN: Duration = Duration::from_millis(20);
const LOCK_TRIES: u32 = 50;
