//! A map file in its directory, and the calls that read and replace it.
//!
//! The directory is opened once, and every name is looked up in it: what stands at the path of the directory meanwhile
//! does not matter.

use std::ffi::{OsStr, OsString};
use std::fs::{File, Metadata};
use std::io::{self, Read as _};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{MetadataExt as _, fchown};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::{AtFlags, FlockOperation, Mode, OFlags, RenameFlags};
use rustix::io::Errno;

/// Tells whether a file is the one that was looked at: inode, size, time of change.
pub(crate) type Stamp = (u64, u64, i64, i64);

/// A map file in its directory.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) dir: OwnedFd,
    pub(super) name: OsString,
    path: PathBuf,
    /// Whether the file system exchanges files, as far as is known.
    pub(super) exchanges: bool,
}

/// All that a file has, and what it was while that was read.
#[derive(Debug)]
pub(super) struct Whole {
    pub(super) content: Vec<u8>,
    pub(super) of: Metadata,
}

/// As long as it lives no other teeterd replaces a file in the directory.
#[derive(Debug)]
pub(super) struct Lock(OwnedFd);

impl Place {
    pub(super) fn of(path: &Path) -> io::Result<Self> {
        let name = path.file_name().ok_or_else(|| io::Error::other("it has no name"))?.to_owned();
        let dir = path.parent().unwrap_or(Path::new("/"));
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        Ok(Self { dir: rustix::fs::open(dir, flags, Mode::empty())?, name, path: path.to_owned(), exchanges: true })
    }

    /// Opens the map file to be read. A map is a file of its own: behind a symbolic link the directory that teeter
    /// writes to would be another one.
    pub(super) fn open(&self) -> io::Result<(File, Metadata)> {
        let itself = self.open_beside(&self.name)?;
        itself.ok_or_else(|| {
            io::Error::other("it is a symbolic link or no file: name the file itself in haproxy.cfg and here")
        })
    }

    /// Opens a file of the directory. `None`: what stands there is a symbolic link, or no file.
    pub(super) fn open_beside(&self, name: &OsStr) -> io::Result<Option<(File, Metadata)>> {
        // Non-blocking: a pipe would otherwise be waited for.
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = match rustix::fs::openat(&self.dir, name, flags, Mode::empty()) {
            Err(Errno::LOOP) => return Ok(None),
            other => File::from(other?),
        };
        let of = file.metadata()?;
        if of.len() > LARGEST {
            return Err(io::Error::other("it is larger than 64 MiB"));
        }
        Ok(of.is_file().then_some((file, of)))
    }

    /// Reads all of the map file. `None`: it changed while it was read.
    pub(super) fn whole(&self) -> io::Result<Option<Whole>> {
        let (file, of) = self.open()?;
        whole(file, of)
    }

    /// The same with a file beside it. `None` also where it is no file.
    pub(super) fn whole_beside(&self, name: &OsStr) -> io::Result<Option<Whole>> {
        self.open_beside(name)?.map_or(Ok(None), |(file, of)| whole(file, of))
    }

    /// Creates a file with the mode and owner of another. There must be none of this name.
    pub(super) fn create(&self, name: &OsStr, of: &Metadata) -> io::Result<File> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = File::from(rustix::fs::openat(&self.dir, name, flags, Mode::RUSR | Mode::WUSR)?);
        let given = give(&file, of);
        if given.is_err() {
            // The error says more than one about a file that is not there.
            self.remove(name).unwrap_or_default();
        }
        given.map(|()| file)
    }

    /// Creates a file without a name, with the mode and owner of another. `None`: the file system has no such files.
    pub(super) fn create_unnamed(&self, of: &Metadata) -> io::Result<Option<File>> {
        let flags = OFlags::WRONLY | OFlags::TMPFILE | OFlags::CLOEXEC;
        let file = match rustix::fs::openat(&self.dir, ".", flags, Mode::RUSR | Mode::WUSR) {
            Err(Errno::OPNOTSUPP | Errno::ISDIR | Errno::INVAL | Errno::NOENT) => return Ok(None),
            other => File::from(other?),
        };
        give(&file, of).map(|()| Some(file))
    }

    /// Removes a file of the directory; one that is not there is no error.
    pub(super) fn remove(&self, name: &OsStr) -> io::Result<()> {
        match rustix::fs::unlinkat(&self.dir, name, AtFlags::empty()) {
            Err(Errno::NOENT) => Ok(()),
            other => Ok(other?),
        }
    }

    pub(super) fn rename(&self, from: &OsStr, to: &OsStr) -> io::Result<()> {
        Ok(rustix::fs::renameat(&self.dir, from, &self.dir, to)?)
    }

    /// Puts a file in the place of the map file, and the map file in its place, at once: what was replaced can be looked
    /// at. `false`: the file system cannot do that, and nothing has changed.
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

    /// Has the names in the directory on the disk.
    pub(super) fn flush(&self) -> io::Result<()> {
        Ok(rustix::fs::fsync(&self.dir)?)
    }

    /// Keeps other teeterds out. `None`: there are no such locks here, or another process has kept it for a second; a
    /// replacement does not rely on it, since every user who may read a directory may lock it.
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
    /// Whether another has the same content, and is kept in the same way.
    pub(super) fn is(&self, other: &Self) -> bool {
        let kept = |of: &Metadata| (of.uid(), of.gid(), of.mode());
        self.content == other.content && kept(&self.of) == kept(&other.of)
    }
}

pub(super) fn stamp(of: &Metadata) -> Stamp {
    (of.ino(), of.len(), of.mtime(), of.mtime_nsec())
}

fn whole(file: File, of: Metadata) -> io::Result<Option<Whole>> {
    let mut content = Vec::with_capacity(usize::try_from(of.len()).unwrap_or_default());
    // One that grows without end is read no further than it may be large.
    (&file).take(LARGEST + 1).read_to_end(&mut content)?;
    let now = file.metadata()?;
    let same = stamp(&now) == stamp(&of) && content.len() as u64 == of.len();
    Ok(same.then_some(Whole { content, of: now }))
}

/// Gives a new file the mode and owner of another.
fn give(file: &File, of: &Metadata) -> io::Result<()> {
    let own = file.metadata()?;
    if (own.uid(), own.gid()) != (of.uid(), of.gid()) {
        fchown(file, Some(of.uid()), Some(of.gid())).map_err(|error| {
            let (theirs, ours) = (of.uid(), own.uid());
            io::Error::other(format!(
                "it belongs to user {theirs}, which user {ours} cannot keep so ({error}): chown it"
            ))
        })?;
    }
    file.set_permissions(of.permissions())
}

/// No map of routes is as large as that; a file that is was not meant.
const LARGEST: u64 = 64 << 20;

/// A replacement takes milliseconds.
const LOCK_AGAIN: Duration = Duration::from_millis(20);
const LOCK_TRIES: u32 = 50;
