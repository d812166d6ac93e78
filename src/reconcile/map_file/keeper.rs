//! The one writer of each map file: it makes the changes of all HAProxy instances.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::time::Instant;

use super::attempt::{Attempt, Done, Failed, Progress};
use super::entries::{keys, lost, shown};
use super::place::{Place, Stamp, stamp};
use super::sweep::{kept, sweep};
use crate::farm::WantedMap;
use crate::platform::lock;

/// Every map file that this teeterd writes. Clones share them.
#[derive(Debug, Clone, Default)]
pub(crate) struct MapKeeper(Arc<Mutex<BTreeMap<PathBuf, Arc<Mutex<Known>>>>>);

/// The known state of one file. While it is locked, no other task of this process writes the file.
#[derive(Debug, Default)]
struct Known {
    /// Whether files that killed processes left beside it have been removed.
    swept: bool,
    /// The latest revision of the store for which it was written.
    revision: u64,
    /// Its content when teeter last read it.
    content: Option<Vec<u8>>,
    /// The stamp of a content that lacks entries, and when it was first read.
    doubtful: Option<(Stamp, Instant)>,
    /// Entries that another program removed, and when teeter noticed it.
    lost: BTreeMap<Vec<u8>, Instant>,
    /// Notes for the operator, which are returned with the next success.
    notes: Vec<String>,
}

/// The wanted entries of a file, and its known state.
#[derive(Debug, Clone)]
pub(crate) struct Wish {
    pub(crate) wanted: WantedMap,
    /// The store's revision from which the entries were worked out.
    pub(crate) revision: u64,
    /// The stamp of the file when it last had these entries.
    pub(crate) known: Option<Stamp>,
    /// Whether teeter has kept the file up to date without a break since it last read it.
    pub(crate) watched: bool,
    pub(crate) now: Instant,
}

/// A file that has the wanted entries.
#[derive(Debug)]
pub(crate) struct Agreed {
    /// The stamp of the file.
    pub(crate) stamp: Stamp,
    /// Whether teeter wrote it.
    pub(crate) written: bool,
    /// Notes for the operator.
    pub(crate) notes: Vec<String>,
}

impl MapKeeper {
    /// Replaces a file unless it has the wanted entries.
    pub(crate) fn agree(&self, path: &Path, wish: &Wish) -> Result<Agreed, Failed> {
        let known = self.known(path);
        let mut known = lock(&known);
        if wish.revision < known.revision {
            return Err(Failed::NotYet("a later change is being written".to_owned()));
        }
        known.revision = wish.revision;
        let place = Place::of(path)?;
        let now = stamp(&place.open()?.1);
        if known.swept && wish.known == Some(now) {
            return Ok(Agreed { stamp: now, written: false, notes: Vec::new() });
        }
        let lock = place.lock()?;
        if !known.swept && lock.is_some() {
            known.notes.append(&mut sweep(&place, lives)?);
        }
        known.swept = true;
        let mut attempt = Attempt::new(&place, &wish.wanted, std::process::id());
        let ended = known.write(&mut attempt, wish);
        known.notes.append(&mut attempt.notes);
        if ended.is_err() {
            attempt.give_up();
            known.notes.truncate(NOTES);
        }
        // A file that could not be removed now is removed with the next replacement.
        known.swept &= !matches!(ended, Err(Failed::Cannot(_)));
        let done = ended?;
        Ok(Agreed { stamp: done.stamp, written: done.written, notes: std::mem::take(&mut known.notes) })
    }

    /// Removes the files that killed processes left beside these files.
    pub(crate) fn sweep(&self, paths: impl IntoIterator<Item = PathBuf>) {
        for path in paths {
            let known = self.known(&path);
            let mut known = lock(&known);
            let swept = Place::of(&path).and_then(|place| match place.lock()? {
                Some(_lock) if !known.swept => sweep(&place, lives),
                _ => Ok(Vec::new()),
            });
            known.swept |= swept.is_ok();
            // An error is reported when the file is written.
            for note in swept.unwrap_or_default() {
                tracing::warn!("map file {}: {note}", path.display());
            }
        }
    }

    /// The problems with the content of a file, for the doctor.
    pub(crate) fn troubles(&self, path: &Path, now: Instant) -> io::Result<Vec<String>> {
        let place = Place::of(path)?;
        let mut troubles = kept(&place)?;
        if let Some(whole) = place.whole()? {
            troubles.extend(self.lacks(path, &whole.content, now));
        }
        Ok(troubles.into_iter().map(|words| format!("the map file {}: {words}", path.display())).collect())
    }

    fn lacks(&self, path: &Path, content: &[u8], now: Instant) -> Option<String> {
        let has = keys(content);
        if has.is_empty() {
            return Some(format!("it has no entries; {RELOAD}"));
        }
        let known = self.known(path);
        let mut known = lock(&known);
        known.lost.retain(|key, at| !has.contains(&**key) && now.duration_since(*at) < TOLD);
        let lacks = known.lost.keys().map(|key| &**key);
        (!known.lost.is_empty()).then(|| format!("another program has taken away {}; {RELOAD}", shown(lacks)))
    }

    fn known(&self, path: &Path) -> Arc<Mutex<Known>> {
        let mut all = lock(&self.0);
        Arc::clone(all.entry(path.to_owned()).or_default())
    }
}

impl Known {
    /// Takes all steps of a replacement.
    fn write(&mut self, attempt: &mut Attempt<'_>, wish: &Wish) -> Result<Done, Failed> {
        let done = loop {
            match attempt.step()? {
                Progress::More => {}
                Progress::Differs => {
                    let Some(base) = attempt.base() else { continue };
                    self.judge(&base.content, stamp(&base.metadata), wish)?;
                }
                Progress::Done(done) => break done,
            }
        };
        if !done.written {
            self.judge(&done.content, done.stamp, wish)?;
        }
        let has = keys(&done.content);
        self.lost.retain(|key, _| !has.contains(&**key));
        self.doubtful = None;
        self.content = Some(done.content.clone());
        Ok(done)
    }

    /// Looks for entries that another program removed. If there are some, that program may still be writing: teeter
    /// reads the file again a moment later, and goes on when it has not changed since.
    fn judge(&mut self, content: &[u8], stamp: Stamp, wish: &Wish) -> Result<(), Failed> {
        let before = self.content.as_deref();
        if before == Some(content) {
            return Ok(());
        }
        let gone: BTreeSet<Vec<u8>> = match before.filter(|_| wish.watched) {
            Some(before) => lost(before, content, &wish.wanted).into_iter().map(<[u8]>::to_vec).collect(),
            None => BTreeSet::new(),
        };
        let empty = keys(content).is_empty();
        if gone.is_empty() && !empty {
            return Ok(());
        }
        match self.doubtful {
            Some((seen, since)) if seen == stamp && wish.now.duration_since(since) >= SETTLES => {}
            Some((seen, _)) if seen == stamp => return Err(Failed::NotYet(BEING_WRITTEN.to_owned())),
            _ => {
                self.doubtful = Some((stamp, wish.now));
                return Err(Failed::NotYet(BEING_WRITTEN.to_owned()));
            }
        }
        let what = if empty { "another program has emptied it" } else { "another program has taken away" };
        let names = shown(gone.iter().map(|key| &**key));
        self.lost.extend(gone.into_iter().map(|key| (key, wish.now)));
        // The next step of this replacement must not report the same entries again.
        self.content = Some(content.to_vec());
        self.notes.push(format!("{what}{}{names}; {RELOAD}", if names.is_empty() { "" } else { ": " }));
        Ok(())
    }
}

/// Whether a process may still be working on its file. This process is not: it holds the lock of the directory.
fn lives(pid: u32) -> bool {
    let other = pid != std::process::id();
    let found = i32::try_from(pid).ok().and_then(rustix::process::Pid::from_raw);
    other && found.is_some_and(|pid| !matches!(rustix::process::test_kill_process(pid), Err(rustix::io::Errno::SRCH)))
}

const BEING_WRITTEN: &str = "entries are missing in it, and another program may be writing it";

const RELOAD: &str = "HAProxy's next reload would use the file as it is; put back entries that are missing by mistake";

/// The longest time that a program takes to write a file that it has emptied.
const SETTLES: Duration = Duration::from_millis(250);

/// The most notes that are kept for later.
const NOTES: usize = 16;

/// How long the doctor reports entries that are gone.
const TOLD: Duration = Duration::from_secs(24 * 3600);
