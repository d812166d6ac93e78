//! The ends of the fields of a row: found eight bytes at a time, or by the grammar where the row has quotes.

use super::{Separator, whole_field};

/// Where a row ends, without its newline, and how many fields it has.
pub(super) struct RowEnd {
    pub(super) end: usize,
    pub(super) fields: usize,
}

/// Finds the ends of the fields of the row that `bytes` begins with. `None` where a quote may hide a separator.
///
/// Most fields are empty or short, so a search for each separator would be slow. All bytes of a word are compared at
/// once, and room for eight ends is written without counting the separators: the next word overwrites the surplus.
pub(super) fn scan(bytes: &[u8], separator: Separator, ends: &mut [usize]) -> Option<RowEnd> {
    let quote = if separator == Separator::Comma { b'"' } else { b'\n' };
    let (mut at, mut fields) = (0, 0);
    loop {
        let word = word(bytes, at);
        let mut separators = marks(word, separator.byte());
        let stops = marks(word, b'\n') | marks(word, quote);
        if stops != 0 {
            let end = at + first_mark(stops);
            if end < bytes.len() && bytes[end] != b'\n' {
                return None;
            }
            // Only the separators before the end of the row count.
            separators &= (stops & stops.wrapping_neg()) - 1;
            fields = write(ends, fields, at, separators);
            ends[fields] = end;
            return Some(RowEnd { end, fields: fields + 1 });
        }
        fields = write(ends, fields, at, separators);
        at += WORD;
    }
}

/// Finds the ends by the grammar, field by field, with quotes.
pub(super) fn scan_by_grammar(bytes: &[u8], separator: Separator, ends: &mut [usize]) -> RowEnd {
    let (mut rest, mut fields) = (bytes, 0);
    // Fields beyond the room in the table are skipped. A row ends at the first newline outside quotes.
    while !rest.is_empty() && rest[0] != b'\n' {
        let Ok((after, field)) = whole_field(separator, rest) else { break };
        let end = bytes.len() - rest.len() + field.len();
        if fields + 1 < ends.len() {
            ends[fields] = end;
            fields += 1;
        }
        rest = after;
    }
    RowEnd { end: bytes.len() - rest.len(), fields }
}

/// The word of eight bytes at an index. Bytes beyond the end count as newlines.
fn word(bytes: &[u8], at: usize) -> u64 {
    if let Some(Ok(word)) = bytes.get(at..at + WORD).map(TryInto::try_into) {
        return u64::from_le_bytes(word);
    }
    let mut word = [b'\n'; WORD];
    let left = bytes.get(at..).unwrap_or_default();
    word[..left.len()].copy_from_slice(left);
    u64::from_le_bytes(word)
}

/// Sets the highest bit of each byte of a word that is `byte`, and no other bit.
fn marks(word: u64, byte: u8) -> u64 {
    let zero_where_equal = word ^ (EACH * u64::from(byte));
    !(((zero_where_equal & !HIGHEST) + !HIGHEST) | zero_where_equal | !HIGHEST)
}

/// The byte of a word that has the first mark.
fn first_mark(marks: u64) -> usize {
    (marks.trailing_zeros() / u8::BITS) as usize
}

/// Writes the indices of the marks after the first `fields` ends, and returns the new number of ends.
fn write(ends: &mut [usize], fields: usize, at: usize, mut marks: u64) -> usize {
    // Every mark is the highest bit of its byte: the multiplication adds them up in the highest byte.
    let count = ((marks >> (u8::BITS - 1)).wrapping_mul(EACH) >> (u64::BITS - u8::BITS)) as usize;
    let (first, second) = ends[fields..fields + WORD].split_at_mut(WORD / 2);
    for end in first {
        *end = at + first_mark(marks);
        marks &= marks.wrapping_sub(1);
    }
    if count > WORD / 2 {
        for end in second {
            *end = at + first_mark(marks);
            marks &= marks.wrapping_sub(1);
        }
    }
    // A row may have more fields than the header has names.
    (fields + count).min(ends.len() - SPARE)
}

/// The number of bytes that are compared at once.
const WORD: usize = size_of::<u64>();
/// Room after the last end that is kept, for a word of separators and the end of the row.
pub(super) const SPARE: usize = WORD + 1;
/// The value one in each byte of a word.
const EACH: u64 = u64::from_le_bytes([1; WORD]);
/// The highest bit of each byte of a word.
const HIGHEST: u64 = u64::from_le_bytes([0x80; WORD]);

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn the_scan_and_the_grammar_find_the_same_ends(
            row in proptest::collection::vec(prop_oneof![Just(b','), Just(b' '), Just(b'\n'), Just(b'"'), any::<u8>()], 1..80),
            columns in 1usize..60,
        ) {
            for separator in [Separator::Comma, Separator::Blank] {
                let (mut fast, mut slow) = (vec![0; columns + SPARE], vec![0; columns + SPARE]);
                let expected = scan_by_grammar(&row, separator, &mut slow);
                if let Some(found) = scan(&row, separator, &mut fast) {
                    prop_assert_eq!(found.end, expected.end);
                    // The grammar sees no field after a separator that ends the row; such a field is empty.
                    let compared = found.fields.min(expected.fields).min(columns);
                    prop_assert_eq!(&fast[..compared], &slow[..compared]);
                    prop_assert!(found.fields.min(columns) <= expected.fields + 1);
                }
            }
        }
    }
}
