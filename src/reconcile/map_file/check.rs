//! Tries whether teeter could replace a map file, without touching it or the files of a writer beside it.

use std::io::{self, Write as _};
use std::path::Path;
use std::sync::atomic::Ordering;

use super::attempt::NUMBER;
use super::names;
use super::place::Place;

/// Tries to create a file of the same size, owner and mode beside it: a file without a name, if the file system has
/// those.
pub(super) fn check(path: &Path) -> io::Result<()> {
    let place = Place::of(path)?;
    let (_, metadata) = place.open()?;
    if let Some(file) = place.create_unnamed(&metadata)? {
        return fill(file, metadata.len());
    }
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let name = names::tried(&place.name, std::process::id(), number);
    let filled = place.create(&name, &metadata).and_then(|file| fill(file, metadata.len()));
    place.remove(&name)?;
    filled
}

/// Writes to the file: only a write shows that the disk is full.
fn fill(mut file: std::fs::File, size: u64) -> io::Result<()> {
    let size = usize::try_from(size).unwrap_or(MOST).clamp(1, MOST);
    file.write_all(&vec![b'\n'; size])
}

/// The most bytes that a check writes.
const MOST: usize = 1 << 20;
