//! The names of the files beside a map file while it is replaced, and the meaning of each.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};

/// A file beside a map file with a name that teeter gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Beside {
    /// The process that created it.
    pub(super) pid: u32,
    /// `Some` if it may replace the map file: the contents of both.
    pub(super) swap: Option<Swap>,
}

/// An exchange of a file and the map file: the marks of the map file's content before it and after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Swap {
    pub(super) before: u64,
    pub(super) after: u64,
}

/// The name of the new file while it is written. No two replacements use the same.
pub(super) fn staged(map: &OsStr, pid: u32, number: u64) -> OsString {
    named(map, &format!("{pid}-{number}"))
}

/// The name of the new file from the moment at which it may replace the map file.
pub(super) fn ready(map: &OsStr, pid: u32, number: u64, swap: Swap) -> OsString {
    named(map, &format!("{pid}-{number}-{:016x}-{:016x}", swap.before, swap.after))
}

/// The name of a file that a check creates. No file is ever renamed from or to it.
pub(super) fn tried(map: &OsStr, pid: u32, number: u64) -> OsString {
    named(map, &format!("check-{pid}-{number}"))
}

/// The name of a file that another program wrote and that could not be put back: it is not hidden, and teeter never
/// removes it. Different contents have different names.
pub(super) fn kept(map: &OsStr, mark: u64) -> OsString {
    let mut name = map.to_owned();
    name.push(format!("{KEPT}{mark:016x}"));
    name
}

/// Reads the name of a file beside a map. `None`: teeter does not give such a name, and did not up to version 0.1.
pub(super) fn read(map: &OsStr, found: &OsStr) -> Option<Beside> {
    let start = named(map, "").into_vec();
    let rest = std::str::from_utf8(found.as_bytes().strip_prefix(&*start)?).ok()?;
    let parts: Vec<&str> = rest.split('-').collect();
    let hex = |word: &str| (word.len() == 16).then(|| u64::from_str_radix(word, 16).ok()).flatten();
    let (pid, number, swap) = match parts[..] {
        [pid] => (pid, "0", None),
        ["check", pid, number] | [pid, number] => (pid, number, None),
        [pid, number, before, after] => (pid, number, Some(Swap { before: hex(before)?, after: hex(after)? })),
        _ => return None,
    };
    number.parse::<u64>().ok()?;
    Some(Beside { pid: pid.parse().ok()?, swap })
}

/// Whether a file beside a map has the name of a kept file.
pub(super) fn is_kept(map: &OsStr, found: &OsStr) -> bool {
    let mark = found.as_bytes().strip_prefix(map.as_bytes()).and_then(|rest| rest.strip_prefix(KEPT.as_bytes()));
    mark.is_some_and(|mark| mark.len() == 16 && mark.iter().all(u8::is_ascii_hexdigit))
}

/// A checksum of a content (FNV-1a), to recognise a content that teeter has read or written.
pub(super) fn mark(content: &[u8]) -> u64 {
    content.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

fn named(map: &OsStr, end: &str) -> OsString {
    let mut name = OsString::from(".");
    name.push(map);
    name.push(".teeter-");
    name.push(end);
    name
}

const KEPT: &str = ".teeter-kept-";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_contains_the_process_and_the_marks_of_both_contents() {
        let map = OsStr::new("live.map");
        let swap = Swap { before: mark(b"a"), after: mark(b"b") };
        for (name, swap) in [
            (staged(map, 12, 3), None),
            (tried(map, 12, 3), None),
            (OsString::from(".live.map.teeter-12"), None),
            (ready(map, 12, 3, swap), Some(swap)),
        ] {
            assert_eq!(read(map, &name), Some(Beside { pid: 12, swap }), "{name:?}");
        }
        assert_ne!(swap.before, swap.after);
        for other in [
            "live.map",
            ".live.map",
            ".live.map.teeter-",
            ".live.map.teeter-x",
            ".live.map.teeter-1-2-3",
            ".other.map.teeter-1",
        ] {
            assert_eq!(read(map, OsStr::new(other)), None, "{other}");
        }
        assert_eq!((read(map, &kept(map, 1)), is_kept(map, &kept(map, 1))), (None, true));
        assert!(!is_kept(map, &staged(map, 12, 3)) && !is_kept(map, OsStr::new("live.map.teeter-kept-1")));
    }
}
