//! The files of maps: a reload reads them, so teeter keeps them in agreement with the maps in HAProxy.
//!
//! teeter changes its own entries only: comments, blank lines and entries of other programs stay as they are. A file is
//! replaced whole or not at all, keeps its owner and mode, and is on the disk before HAProxy gets the change.
//!
//! `keeper` has one writer for each file, `attempt` the steps of a replacement, `sweep` the removal of files that
//! killed writers left. `check` tries whether a file could be written, apart from any writer.

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

    /// Checks whether teeter can write these files, without changing them. Returns the problems, each with a remedy.
    pub(crate) async fn check(&self, maps: impl IntoIterator<Item = &MapName>) -> Vec<String> {
        let maps: Vec<MapName> = maps.into_iter().cloned().collect();
        let names = maps.iter().map(MapName::as_str).collect::<Vec<_>>().join(", ");
        let checked = self.platform.on_disk(move || maps.iter().filter_map(|map| check_one(map).err()).collect());
        match tokio::time::timeout(DISK_TAKES, checked).await {
            Ok(Ok(problems)) => problems,
            _ => vec![format!(
                "the disk did not answer within {DISK_TAKES:?}, so teeter could not write the map file {names}"
            )],
        }
    }

    /// The problems with the contents of these files, for people.
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
            // The task goes on without its handle.
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
        "cannot write the map file {path}: {error}. Let teeterd write to it and its directory (ReadWritePaths= in its \
         unit), or set write_map = false under flip: then a reload switches the traffic back until teeter has changed \
         HAProxy again"
    )
}

/// A check flushes nothing; a disk that takes longer does not answer.
const DISK_TAKES: Duration = Duration::from_secs(5);
