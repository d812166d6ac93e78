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
use super::platform::Platform;
use crate::farm::{Farm, file_of};
use crate::haproxy::MapName;

/// Whether these files could be kept in step; changes nothing in them. Gives why not, and what to do.
pub(super) async fn check_all(maps: impl IntoIterator<Item = &MapName>, platform: &Platform) -> Vec<String> {
    let maps: Vec<MapName> = maps.into_iter().cloned().collect();
    let names = maps.iter().map(MapName::as_str).collect::<Vec<_>>().join(", ");
    let checked = platform.on_disk(move || maps.iter().filter_map(|map| check_one(map).err()).collect());
    match tokio::time::timeout(DISK_TAKES, checked).await {
        Ok(Ok(problems)) => problems,
        _ => vec![format!(
            "the disk did not answer within {DISK_TAKES:?}, so the map file {names} could not be kept in step"
        )],
    }
}

/// What is wrong with what these files have.
pub(super) async fn troubles(maps: impl IntoIterator<Item = &MapName>, platform: &Platform) -> Vec<String> {
    let files: Vec<PathBuf> = maps.into_iter().filter_map(file_of).map(PathBuf::from).collect();
    let (keeper, now) = (platform.maps.clone(), platform.clock.mark());
    // One that cannot be read is told by the check.
    let found = move || files.iter().flat_map(|file| keeper.troubles(file, now).unwrap_or_default()).collect();
    tokio::time::timeout(DISK_TAKES, platform.on_disk(found)).await.map(Result::unwrap_or_default).unwrap_or_default()
}

/// Removes what kills have left beside the map files of farms, as the disk takes it.
pub(super) fn sweep<'a>(farms: impl IntoIterator<Item = &'a Farm>, platform: &Platform) {
    let written = farms.into_iter().map(|farm| &farm.settings.flip).filter(|flip| flip.write_map);
    let maps = written.flat_map(|flip| &flip.route).filter_map(|route| file_of(&route.map));
    let files: std::collections::BTreeSet<PathBuf> = maps.map(PathBuf::from).collect();
    if !files.is_empty() {
        let keeper = platform.maps.clone();
        drop(platform.on_disk(move || keeper.sweep(files)));
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
