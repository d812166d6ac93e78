//! Removes the files that killed processes have left beside a map file.

use std::ffi::{OsStr, OsString};
use std::fs::Metadata;
use std::io;
use std::os::unix::ffi::OsStringExt as _;
use std::os::unix::fs::MetadataExt as _;

use rustix::fs::Dir;

use super::attempt::{keep, words_on_kept};
use super::names::{self, Beside, Swap};
use super::place::Place;

/// Removes the files of ended processes beside a map file. A file that another program wrote, and that the killed
/// process had not put back yet, is put back. Returns notes for the operator.
pub(super) fn sweep(place: &Place, lives: impl Fn(u32) -> bool) -> io::Result<Vec<String>> {
    let mut found = Vec::new();
    for entry in Dir::read_from(&place.dir)? {
        let name = OsString::from_vec(entry?.file_name().to_bytes().to_vec());
        if let Some(beside) = names::read(&place.name, &name).filter(|beside| !lives(beside.pid)) {
            found.push((name, beside));
        }
    }
    let mut notes = Vec::new();
    for (name, beside) in found {
        // Another process may remove the file meanwhile; a file that cannot be read stays.
        match take_away(place, &name, beside) {
            Ok(note) => notes.extend(note),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => {
                tracing::warn!("cannot remove {}, which a killed teeterd has left: {error}", place.shown(&name));
            }
        }
    }
    Ok(notes)
}

/// The notes about kept files that are still there.
pub(super) fn kept(place: &Place) -> io::Result<Vec<String>> {
    let mut words = Vec::new();
    for entry in Dir::read_from(&place.dir)? {
        let name = OsString::from_vec(entry?.file_name().to_bytes().to_vec());
        if names::is_kept(&place.name, &name) {
            words.push(words_on_kept(place, &name));
        }
    }
    Ok(words)
}

fn take_away(place: &Place, name: &OsStr, beside: Beside) -> io::Result<Option<String>> {
    let Some((_, file)) = place.open_beside(name)? else { return Ok(None) };
    let (_, map) = place.open()?;
    if !is_teeters(&file, &map) {
        return Ok(None);
    }
    if let Some(swap) = beside.swap {
        return settle(place, name, swap);
    }
    place.remove(name)?;
    Ok(None)
}

/// Whether teeter may have created a file: it belongs to the user of teeterd or to the owner of the map.
fn is_teeters(file: &Metadata, map: &Metadata) -> bool {
    let own = rustix::process::geteuid().as_raw();
    file.is_file() && file.nlink() == 1 && (file.uid() == own || file.uid() == map.uid())
}

fn settle(place: &Place, name: &OsStr, swap: Swap) -> io::Result<Option<String>> {
    let Some(left) = place.whole_beside(name)? else { return Ok(None) };
    let is_known = |content: &[u8]| [swap.before, swap.after].contains(&names::mark(content));
    if !is_known(&left.content) {
        let now = place.whole()?;
        let back = now.is_some_and(|now| names::mark(&now.content) == swap.after) && place.exchange(name)?;
        let replaced = place.whole_beside(name)?;
        if !back || replaced.is_none_or(|replaced| names::mark(&replaced.content) != swap.after) {
            return keep(place, name);
        }
        place.flush()?;
    }
    place.remove(name)?;
    Ok(None)
}
