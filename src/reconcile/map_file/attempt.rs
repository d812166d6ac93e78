//! One replacement of a map file, as steps between which anything may happen.
//!
//! The new file is written beside the old one under a name of its own, and the two are exchanged. What was exchanged is
//! then compared with what was read: where another program has written in between, the two are exchanged back, and all
//! of it begins anew with what that program wrote. So no edit is lost, whenever it is made and wherever this stops.

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
    /// What is to be told.
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

/// What one step has come to.
#[derive(Debug)]
pub(super) enum Progress {
    /// The file was read, and differs from what is wanted.
    Differs,
    More,
    /// The file is as it is wanted.
    Done(Done),
}

/// A file that is as it is wanted.
#[derive(Debug)]
pub(super) struct Done {
    pub(super) stamp: Stamp,
    pub(super) content: Vec<u8>,
    pub(super) written: bool,
}

/// Why a file is not as it is wanted.
#[derive(Debug)]
pub(crate) enum Failed {
    /// It cannot be read or written.
    Cannot(io::Error),
    /// It will be, and what that waits for.
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

    /// What was read last.
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
                // Nothing is ever written back that was not read whole.
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
                // A program that had it open may have gone on to write into it.
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

    /// Gives up after an error. What another program wrote stays where it is.
    pub(super) fn give_up(&mut self) {
        if matches!(self.next, Step::Create | Step::Fill | Step::Compare | Step::Swap) {
            // The error that led here says more than one about a file that is not there.
            self.remove().unwrap_or_default();
        }
    }

    fn done(&mut self, is: Whole) -> Progress {
        Progress::Done(Done { stamp: stamp(&is.of), content: is.content, written: self.written })
    }

    fn create(&mut self) -> Result<Step, Failed> {
        let Some(base) = &self.base else { return Ok(Step::Read) };
        let name = names::staged(&self.place.name, self.pid, NUMBER.fetch_add(1, Ordering::Relaxed));
        match self.place.create(&name, &base.of) {
            // A process of another container may have the same number.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(Step::Read),
            file => {
                self.file = Some(file?);
                self.beside = Some(name);
                Ok(Step::Fill)
            }
        }
    }

    /// What another program wrote since it was read is not replaced.
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
            // Another program has taken one of the two away: the next look says which.
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(self.remove().map(|()| Step::Read)?),
            Err(error) => Err(error.into()),
        }
    }

    /// Whether what was replaced is what was read; also where it was not kept.
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

    /// What another program wrote, and what has been written anew before it could be put back, is not thrown away.
    fn keep(&mut self) -> io::Result<()> {
        let Some(beside) = self.beside.take() else { return Ok(()) };
        self.notes.extend(keep(self.place, &beside)?);
        Ok(())
    }
}

/// Gives a file that another program wrote a name that teeter does not touch. What is to be told.
pub(super) fn keep(place: &Place, beside: &OsStr) -> io::Result<Option<String>> {
    let Some(found) = place.whole_beside(beside)? else { return Ok(None) };
    let kept = names::kept(&place.name, names::mark(&found.content));
    place.rename(beside, &kept)?;
    Ok(Some(words_on_kept(place, &kept)))
}

/// What is told of a file that was kept.
pub(super) fn words_on_kept(place: &Place, kept: &OsStr) -> String {
    format!(
        "other programs wrote it more than once while teeter replaced it: what one of them wrote is in {}; add to the map \
         file what it lacks, and remove that file",
        place.shown(kept)
    )
}

/// Another program that writes as often as this is not waited for any longer.
const READS: u32 = 8;

/// Makes the names of one process differ.
pub(super) static NUMBER: AtomicU64 = AtomicU64::new(1);
