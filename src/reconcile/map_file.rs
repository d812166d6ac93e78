//! The files behind maps: a reload reads them again, so they are kept in step with what HAProxy is told.
//!
//! Only teeter's own entries are touched: comments, blank lines and entries of others stay as they are. A file
//! is replaced whole or not at all, keeps its owner and mode, and is on the disk before HAProxy is told anything.
//!
//! `keeper` has one writer for each file, `attempt` the steps of a replacement, `sweep` what kills leave behind, and
//! `check` tries whether a file could be written, with nothing that a writer has.

mod attempt;
mod check;
mod entries;
mod keeper;
mod names;
mod place;
#[cfg(test)]
mod properties;
mod sweep;
#[cfg(test)]
mod tests;

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

pub(super) use self::attempt::Failed;
pub(super) use self::keeper::{Agreed, MapKeeper, Wish};
pub(super) use self::place::Stamp;
use crate::farm::{Farm, file_of};
use crate::haproxy::MapName;
use crate::platform::Platform;

/// The files of maps on this machine, each with one writer. Clones share the writers.
#[derive(Debug, Clone, Default)]
pub struct MapWriters {
    pub(super) keeper: MapKeeper,
    pub(super) platform: Platform,
}

impl MapWriters {
    /// Without open files; directories are read when a map is written.
    pub fn new(platform: Platform) -> Self {
        Self { keeper: MapKeeper::default(), platform }
    }

    /// Checks whether these files can be kept in step, without changing them. Returns the problems, each with a remedy.
    pub(crate) async fn check(&self, maps: impl IntoIterator<Item = &MapName>) -> Vec<String> {
        let maps: Vec<MapName> = maps.into_iter().cloned().collect();
        let names = maps.iter().map(MapName::as_str).collect::<Vec<_>>().join(", ");
        let checked = self.platform.on_disk(move || maps.iter().filter_map(|map| check_one(map).err()).collect());
        match tokio::time::timeout(DISK_TAKES, checked).await {
            Ok(Ok(problems)) => problems,
            _ => vec![format!(
                "the disk did not answer within {DISK_TAKES:?}, so the map file {names} could not be kept in step"
            )],
        }
    }

    /// What is wrong with the content of these files.
    pub(crate) async fn troubles(&self, maps: impl IntoIterator<Item = &MapName>) -> Vec<String> {
        let files: Vec<PathBuf> = maps.into_iter().filter_map(file_of).map(PathBuf::from).collect();
        let (keeper, now) = (self.keeper.clone(), self.platform.clock.mark());
        // `check` reports files that cannot be read.
        let found = move || files.iter().flat_map(|file| keeper.troubles(file, now).unwrap_or_default()).collect();
        let found = self.platform.on_disk(found);
        tokio::time::timeout(DISK_TAKES, found).await.map(Result::unwrap_or_default).unwrap_or_default()
    }

    /// Removes the temporary files that killed writers have left beside the map files of farms. Does not wait for the
    /// disk.
    pub(crate) fn sweep<'a>(&self, farms: impl IntoIterator<Item = &'a Farm>) {
        let written = farms.into_iter().map(|farm| &farm.settings.flip).filter(|flip| flip.write_map);
        let maps = written.flat_map(|flip| &flip.route).filter_map(|route| file_of(&route.map));
        let files: std::collections::BTreeSet<PathBuf> = maps.map(PathBuf::from).collect();
        if !files.is_empty() {
            let keeper = self.keeper.clone();
            drop(self.platform.on_disk(move || keeper.sweep(files)));
        }
    }
}

fn check_one(map: &MapName) -> Result<(), String> {
    let Some(path) = file_of(map).map(Path::new) else { return Ok(()) };
    check::check(path).map_err(|error| cannot(&path.display().to_string(), &error))
}

pub(super) fn cannot(path: &str, error: &io::Error) -> String {
    format!(
        "cannot keep the map file {path} in step: {error}. Let teeterd write to it and its directory (ReadWritePaths= in \
         its unit), or say write_map = false under flip: then a reload turns the traffic back until teeter has told \
         HAProxy again"
    )
}

/// Nothing is flushed in a check; a disk that takes this long for it is not there.
const DISK_TAKES: Duration = Duration::from_secs(5);
