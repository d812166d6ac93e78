//! Whether a map file could be kept in step, tried without touching it or what a writer has beside it.

use std::io::{self, Write as _};
use std::path::Path;
use std::sync::atomic::Ordering;

use super::attempt::NUMBER;
use super::names;
use super::place::Place;

/// Tries to make a file of the same size, owner and mode beside it: one without a name, where the file system has such.
pub(super) fn check(path: &Path) -> io::Result<()> {
    let place = Place::of(path)?;
    let (_, of) = place.open()?;
    if let Some(file) = place.create_unnamed(&of)? {
        return fill(file, of.len());
    }
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let name = names::tried(&place.name, std::process::id(), number);
    let filled = place.create(&name, &of).and_then(|file| fill(file, of.len()));
    place.remove(&name)?;
    filled
}

/// A full disk is only noticed when something is written.
fn fill(mut file: std::fs::File, size: u64) -> io::Result<()> {
    let size = usize::try_from(size).unwrap_or(MOST).clamp(1, MOST);
    file.write_all(&vec![b'\n'; size])
}

/// Nothing larger is written for a check.
const MOST: usize = 1 << 20;
