//! One replacement of a map file, as steps between which other programs may act.
//!
//! The new file is written beside the old one under a name of its own, and the two are exchanged. Then the replaced
//! file is compared with the content that was read. If another program has written in between, the two are exchanged
//! back, and the replacement begins again with the new content. So no edit is lost, even if teeterd is killed between
//! two steps.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Write as _};
use std::sync::atomic::{AtomicU64, Ordering};

use super::entries::rewritten;
use super::names::{self, Swap};
use super::place::{Place, Stamp, Whole, stamp};
use crate::farm::WantedMap;

/// A replacement that is under way.
#[derive(Debug)]
pub(super) struct Attempt<'a> {
    place: &'a Place,
    wanted: &'a WantedMap,
    pid: u32,
    next: Step,
    reads: u32,
    base: Option<Whole>,
    after: Vec<u8>,
    beside: Option<OsString>,
    file: Option<File>,
    written: bool,
    /// Notes for the operator.
    pub(super) notes: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Read,
    Create,
    Fill,
    Compare,
    Swap,
    LookAtReplaced,
    Flush,
    LookBeforeUndo,
    Undo,
    ReadBack,
}

/// The result of one step.
#[derive(Debug)]
pub(super) enum Progress {
    /// The file was read, and lacks wanted entries.
    Differs,
    /// There are more steps.
    More,
    /// The file has the wanted entries.
    Done(Done),
}

/// A file that has the wanted entries.
#[derive(Debug)]
pub(super) struct Done {
    pub(super) stamp: Stamp,
    pub(super) content: Vec<u8>,
    pub(super) written: bool,
}

/// Why a file does not have the wanted entries.
#[derive(Debug)]
pub(crate) enum Failed {
    /// It cannot be read or written.
    Cannot(io::Error),
    /// It gets them later; the text names the reason.
    NotYet(String),
}

impl From<io::Error> for Failed {
    fn from(error: io::Error) -> Self {
        Self::Cannot(error)
    }
}

impl<'a> Attempt<'a> {
    /// `pid` goes into the names of files.
    pub(super) fn new(place: &'a Place, wanted: &'a WantedMap, pid: u32) -> Self {
        Self {
            place,
            wanted,
            pid,
            next: Step::Read,
            reads: 0,
            base: None,
            after: Vec::new(),
            beside: None,
            file: None,
            written: false,
            notes: Vec::new(),
        }
    }

    /// The content that was read last.
    pub(super) fn base(&self) -> Option<&Whole> {
        self.base.as_ref()
    }

    /// Takes the next step.
    pub(super) fn step(&mut self) -> Result<Progress, Failed> {
        self.next = match self.next {
            Step::Read => {
                self.reads += 1;
                if self.reads > READS {
                    return Err(Failed::NotYet("another program keeps writing it".to_owned()));
                }
                // teeter never writes back a content that it did not read completely.
                let Some(base) = self.place.whole()? else { return Ok(Progress::More) };
                self.after = rewritten(&base.content, self.wanted);
                if self.after == base.content {
                    return Ok(self.done(base));
                }
                self.base = Some(base);
                self.next = Step::Create;
                return Ok(Progress::Differs);
            }
            Step::Create => self.create()?,
            Step::Fill => {
                if let Some(mut file) = self.file.take() {
                    file.write_all(&self.after)?;
                    file.sync_all()?;
                }
                Step::Compare
            }
            Step::Compare => self.compare()?,
            Step::Swap => self.swap()?,
            Step::LookAtReplaced if self.replaced_is_base()? => Step::Flush,
            Step::LookAtReplaced => Step::LookBeforeUndo,
            Step::Flush => {
                self.place.flush()?;
                // A program that had the old file open may have written into it meanwhile.
                if self.replaced_is_base()? { self.remove().map(|()| Step::ReadBack)? } else { Step::LookBeforeUndo }
            }
            Step::LookBeforeUndo => match self.place.whole()? {
                Some(now) if now.content == self.after => Step::Undo,
                _ => self.keep().map(|()| Step::Read)?,
            },
            Step::Undo => {
                let undone = self.beside.as_ref().map(|beside| self.place.exchange(beside)).transpose()?;
                if undone == Some(true) && self.has_beside(&self.after)? {
                    self.remove()?;
                } else {
                    self.keep()?;
                }
                Step::Read
            }
            Step::ReadBack => match self.place.whole()? {
                Some(now) if now.content == self.after => {
                    self.written = true;
                    return Ok(self.done(now));
                }
                _ => Step::Read,
            },
        };
        Ok(Progress::More)
    }

    /// Gives up after an error. A file that another program wrote stays where it is.
    pub(super) fn give_up(&mut self) {
        if matches!(self.next, Step::Create | Step::Fill | Step::Compare | Step::Swap) {
            // The error before this one says more.
            let _ = self.remove();
        }
    }

    fn done(&mut self, file: Whole) -> Progress {
        Progress::Done(Done { stamp: stamp(&file.metadata), content: file.content, written: self.written })
    }

    fn create(&mut self) -> Result<Step, Failed> {
        let Some(base) = &self.base else { return Ok(Step::Read) };
        let name = names::staged(&self.place.name, self.pid, NUMBER.fetch_add(1, Ordering::Relaxed));
        match self.place.create(&name, &base.metadata) {
            // A process in another container may have the same process id.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(Step::Read),
            file => {
                self.file = Some(file?);
                self.beside = Some(name);
                Ok(Step::Fill)
            }
        }
    }

    /// Goes on only if no other program has changed the file since it was read.
    fn compare(&mut self) -> Result<Step, Failed> {
        let (Some(base), Some(beside)) = (&self.base, &self.beside) else { return Ok(Step::Read) };
        if !self.place.whole()?.is_some_and(|now| now.is(base)) {
            return Ok(self.remove().map(|()| Step::Read)?);
        }
        let swap = Swap { before: names::mark(&base.content), after: names::mark(&self.after) };
        let ready = names::ready(&self.place.name, self.pid, NUMBER.fetch_add(1, Ordering::Relaxed), swap);
        self.place.rename(beside, &ready)?;
        self.beside = Some(ready);
        Ok(Step::Swap)
    }

    fn swap(&mut self) -> Result<Step, Failed> {
        let Some(beside) = self.beside.clone() else { return Ok(Step::Read) };
        match self.place.exchange(&beside) {
            Ok(true) => Ok(Step::LookAtReplaced),
            Ok(false) => {
                self.place.rename(&beside, &self.place.name)?;
                self.beside = None;
                Ok(Step::Flush)
            }
            // Another program has removed one of the two files: the next step finds out which.
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(self.remove().map(|()| Step::Read)?),
            Err(error) => Err(error.into()),
        }
    }

    /// Whether the replaced file has the content that was read; true if there is no replaced file.
    fn replaced_is_base(&self) -> io::Result<bool> {
        self.base.as_ref().map_or(Ok(true), |base| self.has_beside(&base.content))
    }

    fn has_beside(&self, content: &[u8]) -> io::Result<bool> {
        let Some(beside) = &self.beside else { return Ok(true) };
        Ok(self.place.whole_beside(beside)?.is_some_and(|beside| beside.content == content))
    }

    fn remove(&mut self) -> io::Result<()> {
        self.file = None;
        self.beside.take().map_or(Ok(()), |beside| self.place.remove(&beside))
    }

    /// Keeps a file that another program wrote, and that cannot be put back because the map file was written again.
    fn keep(&mut self) -> io::Result<()> {
        let Some(beside) = self.beside.take() else { return Ok(()) };
        self.notes.extend(keep(self.place, &beside)?);
        Ok(())
    }
}

/// Renames a file that another program wrote to a name that teeter does not touch. Returns a note for the operator.
pub(super) fn keep(place: &Place, beside: &OsStr) -> io::Result<Option<String>> {
    let Some(found) = place.whole_beside(beside)? else { return Ok(None) };
    let kept = names::kept(&place.name, names::mark(&found.content));
    place.rename(beside, &kept)?;
    Ok(Some(words_on_kept(place, &kept)))
}

/// The note about a file that was kept.
pub(super) fn words_on_kept(place: &Place, kept: &OsStr) -> String {
    format!(
        "other programs wrote it more than once while teeter replaced it: one of their versions is in {}; add the \
         entries that the map file lacks, and remove that file",
        place.shown(kept)
    )
}

/// The most reads in one replacement, if another program keeps writing.
const READS: u32 = 8;

/// Makes the names of files in one process different.
pub(super) static NUMBER: AtomicU64 = AtomicU64::new(1);
