//! What a kill has left beside a map file.

use std::ffi::{OsStr, OsString};
use std::fs::Metadata;
use std::io;
use std::os::unix::ffi::OsStringExt as _;
use std::os::unix::fs::MetadataExt as _;

use rustix::fs::Dir;

use super::attempt::{keep, words_on_kept};
use super::names::{self, Beside, Swap};
use super::place::Place;

/// Removes what processes that do not live any more have left beside a map file. What another program wrote, and what
/// stands there because the kill came before it was put back, is put back. Gives what is to be told.
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
        // Others may take it away meanwhile, and what cannot be looked at is left alone.
        match take_away(place, &name, beside) {
            Ok(note) => notes.extend(note),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => tracing::warn!("{} was left there by a kill, and stays: {error}", place.shown(&name)),
        }
    }
    Ok(notes)
}

/// What is told of the files that were kept and are still there.
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
    let Some((_, of)) = place.open_beside(name)? else { return Ok(None) };
    let (_, map) = place.open()?;
    if !is_teeters(&of, &map) {
        return Ok(None);
    }
    if let Some(swap) = beside.swap {
        return settle(place, name, swap);
    }
    place.remove(name)?;
    Ok(None)
}

/// Only what teeter could have made: its own, or given to the owner of the map.
fn is_teeters(of: &Metadata, map: &Metadata) -> bool {
    let ours = rustix::process::geteuid().as_raw();
    of.is_file() && of.nlink() == 1 && (of.uid() == ours || of.uid() == map.uid())
}

fn settle(place: &Place, name: &OsStr, swap: Swap) -> io::Result<Option<String>> {
    let Some(left) = place.whole_beside(name)? else { return Ok(None) };
    let ours = |content: &[u8]| [swap.before, swap.after].contains(&names::mark(content));
    if !ours(&left.content) {
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
