//! The lines of a map file: entries of teeter, entries of other programs, and entries that are gone.

use std::collections::{BTreeMap, BTreeSet};

use crate::farm::WantedMap;

/// The content of a file with the wanted entries in it. HAProxy uses the first of two entries with the same key.
pub(super) fn rewritten(before: &[u8], wanted: &WantedMap) -> Vec<u8> {
    let mut entries: BTreeMap<&[u8], Option<&str>> =
        wanted.entries().map(|(key, value)| (key.as_str().as_bytes(), value.map(|value| value.as_str()))).collect();
    let mut done = Vec::new();
    let mut after = Vec::with_capacity(before.len() + 64);
    for line in before.split_inclusive(|byte| *byte == b'\n') {
        let words = line.trim_ascii();
        let key = key_of(words);
        if done.contains(&key) {
            continue;
        }
        match entries.remove_entry(key) {
            None => after.extend_from_slice(line),
            Some((key, value)) => {
                done.push(key);
                let Some(value) = value else { continue };
                if words[key.len()..].trim_ascii() == value.as_bytes() {
                    after.extend_from_slice(line);
                } else {
                    after.extend_from_slice(&[key, b" ", value.as_bytes(), b"\n"].concat());
                }
            }
        }
    }
    for (key, value) in entries.into_iter().filter_map(|(key, value)| Some((key, value?))) {
        if after.last().is_some_and(|byte| *byte != b'\n') {
            after.push(b'\n');
        }
        after.extend_from_slice(&[key, b" ", value.as_bytes(), b"\n"].concat());
    }
    after
}

/// The keys of all entries.
pub(super) fn keys(content: &[u8]) -> BTreeSet<&[u8]> {
    let lines = content.split(|byte| *byte == b'\n').map(|line| key_of(line.trim_ascii()));
    lines.filter(|key| !key.is_empty() && !key.starts_with(b"#")).collect()
}

/// The keys that are no longer in a file, without those that teeter adds or removes.
pub(super) fn lost<'a>(before: &'a [u8], now: &[u8], wanted: &WantedMap) -> BTreeSet<&'a [u8]> {
    let (mut lost, now) = (keys(before), keys(now));
    lost.retain(|key| !now.contains(key));
    for (key, _) in wanted.entries() {
        lost.remove(key.as_str().as_bytes());
    }
    lost
}

/// A few of these keys, for people. Other programs wrote them, so control characters are escaped.
pub(super) fn shown<'a>(keys: impl ExactSizeIterator<Item = &'a [u8]>) -> String {
    let more = keys.len().saturating_sub(SHOWN);
    let word = |key: &[u8]| {
        let word = String::from_utf8_lossy(&key[..key.len().min(LONGEST)]).escape_debug().to_string();
        if key.len() > LONGEST { format!("{word}…") } else { word }
    };
    let words = keys.take(SHOWN).map(word).collect::<Vec<_>>().join(", ");
    if more > 0 { format!("{words} and {more} more") } else { words }
}

/// The first word of a line without blanks around it.
fn key_of(line: &[u8]) -> &[u8] {
    let end = line.iter().position(u8::is_ascii_whitespace).unwrap_or(line.len());
    &line[..end]
}

/// The most keys that are named.
const SHOWN: usize = 5;

/// The most bytes of a key that are shown.
const LONGEST: usize = 64;

#[cfg(test)]
mod tests {
    use super::super::tests::wanted;
    use super::*;

    #[test]
    fn other_lines_of_the_file_stay() {
        let before = b"# the live side\n\nshop shop_all\n  web\tweb_all\nweb twice\nlast x";
        let after = rewritten(before, &wanted("web_b", Some("web_b")));
        let expected = "# the live side\n\nshop shop_all\nweb web_b\nlast x\nweb@b web_b\n";
        assert_eq!(String::from_utf8(after.clone()).unwrap(), expected);
        let back = rewritten(&after, &wanted("web_b", None));
        assert_eq!(String::from_utf8(back).unwrap(), "# the live side\n\nshop shop_all\nweb web_b\nlast x\n");
    }

    #[test]
    fn keys_that_another_program_removed_are_told_apart_from_teeters_own() {
        let before = b"# head\nweb web_all\nweb@b web_b\nshop shop_all\n  pay\tx\n\n";
        let gone = |now: &[u8]| {
            let lost = lost(before, now, &wanted("web_a", None));
            shown(lost.into_iter().collect::<Vec<_>>().into_iter())
        };
        assert_eq!(gone(b""), "pay, shop");
        assert_eq!(gone(b"shop other\n# pay x\n"), "pay");
        assert_eq!(gone(b"pay x\nshop shop_all"), "");
    }

    #[test]
    fn only_a_few_keys_are_named_and_control_characters_are_escaped() {
        let long = [b'k'; 90];
        let keys: Vec<&[u8]> = vec![b"a\x1b[2J", b"\xff", &long, b"d", b"e", b"f", b"g"];
        let words = shown(keys.into_iter());
        assert!(words.starts_with("a\\u{1b}[2J, ") && words.ends_with("…, d, e and 2 more"), "{words}");
    }
}
