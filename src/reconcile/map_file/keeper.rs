//! The one writer of every map file: every change, for any HAProxy, is made here.

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

/// Every map file that this teeterd has written or is about to. Clones are the same.
#[derive(Debug, Clone, Default)]
pub(crate) struct MapKeeper(Arc<Mutex<BTreeMap<PathBuf, Arc<Mutex<Known>>>>>);

/// What is known of one file. While it is locked nothing else in this process writes the file.
#[derive(Debug, Default)]
struct Known {
    /// What kills have left beside it has been removed.
    swept: bool,
    /// The newest revision of the store that it was written for.
    revision: u64,
    /// What it had when teeter last looked.
    content: Option<Vec<u8>>,
    /// A content that lacks entries, and since when it has been seen so.
    doubtful: Option<(Stamp, Instant)>,
    /// Entries that another program took away, and when that was noticed.
    lost: BTreeMap<Vec<u8>, Instant>,
    /// What is to be told once the file agrees.
    notes: Vec<String>,
}

/// What a file is to agree with, and what is known of it already.
#[derive(Debug, Clone)]
pub(crate) struct Wish {
    pub(crate) wanted: WantedMap,
    /// The store's revision that it was worked out from.
    pub(crate) revision: u64,
    /// What the file is known by since it agreed with this.
    pub(crate) known: Option<Stamp>,
    /// Whether the file has been looked after without a break since it was last read.
    pub(crate) watched: bool,
    pub(crate) now: Instant,
}

/// A file that agrees.
#[derive(Debug)]
pub(crate) struct Agreed {
    /// What it is known by from now on.
    pub(crate) stamp: Stamp,
    /// Whether it had to be written.
    pub(crate) written: bool,
    /// What is to be told.
    pub(crate) notes: Vec<String>,
}

impl MapKeeper {
    /// Makes a file agree.
    pub(crate) fn agree(&self, path: &Path, wish: &Wish) -> Result<Agreed, Failed> {
        let known = self.known(path);
        let mut known = lock(&known);
        if wish.revision < known.revision {
            return Err(Failed::NotYet("something newer is to be written".to_owned()));
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
        // What could not be cleared away now is looked at with the next attempt.
        known.swept &= !matches!(ended, Err(Failed::Cannot(_)));
        let done = ended?;
        Ok(Agreed { stamp: done.stamp, written: done.written, notes: std::mem::take(&mut known.notes) })
    }

    /// Removes what kills have left beside these files.
    pub(crate) fn sweep(&self, paths: impl IntoIterator<Item = PathBuf>) {
        for path in paths {
            let known = self.known(&path);
            let mut known = lock(&known);
            let swept = Place::of(&path).and_then(|place| match place.lock()? {
                Some(_lock) if !known.swept => sweep(&place, lives),
                _ => Ok(Vec::new()),
            });
            // What keeps it from being looked at is told when it is to be written.
            known.swept |= swept.is_ok();
            swept.unwrap_or_default().iter().for_each(|note| tracing::warn!("map file {}: {note}", path.display()));
        }
    }

    /// What is wrong with what a file has, for the doctor.
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
    /// Takes every step of an attempt.
    fn write(&mut self, attempt: &mut Attempt<'_>, wish: &Wish) -> Result<Done, Failed> {
        let done = loop {
            match attempt.step()? {
                Progress::More => {}
                Progress::Differs => {
                    let Some(base) = attempt.base() else { continue };
                    self.judge(&base.content, stamp(&base.of), wish)?;
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

    /// Looks for entries that another program took away. Where some are gone, that program may be half way: the file is
    /// read again a moment later, and only what is still the same then is taken for what was meant.
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
        // The next round of this attempt has it as known.
        self.content = Some(content.to_vec());
        self.notes.push(format!("{what}{}{names}; {RELOAD}", if names.is_empty() { "" } else { ": " }));
        Ok(())
    }
}

/// Whether a process may still be at work on what it has left. This one is not: it holds the lock of the file.
fn lives(pid: u32) -> bool {
    let other = pid != std::process::id();
    let found = i32::try_from(pid).ok().and_then(rustix::process::Pid::from_raw);
    other && found.is_some_and(|pid| !matches!(rustix::process::test_kill_process(pid), Err(rustix::io::Errno::SRCH)))
}

const BEING_WRITTEN: &str = "entries are missing in it, and another program may be writing it";

const RELOAD: &str = "HAProxy's next reload would go by that; put back what was not meant";

/// A program that empties a file to write it anew takes no longer than this.
const SETTLES: Duration = Duration::from_millis(250);

/// More than these are not kept for later.
const NOTES: usize = 16;

/// So long the doctor tells of entries that are gone.
const TOLD: Duration = Duration::from_secs(24 * 3600);
