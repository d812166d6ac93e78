//! The place of a mistake in the file: line and column, from 1.

use toml::de::{DeTable, DeValue};

/// The place of a byte. Columns count characters, as in editors.
pub(super) fn of_byte(text: &str, byte: usize) -> (usize, usize) {
    let before = text.get(..byte).unwrap_or(text);
    let line_starts = before.rfind('\n').map_or(0, |end| end + 1);
    (before.matches('\n').count() + 1, before[line_starts..].chars().count() + 1)
}

/// The place of a key, given from the top of the file. If the file does not have the key, the place of the nearest
/// table around it.
pub(super) fn of_key(text: &str, key: &[String]) -> (usize, usize) {
    of_byte(text, DeTable::parse(text).ok().and_then(|table| in_table(table.get_ref(), key)).unwrap_or(0))
}

fn in_table(table: &DeTable<'_>, key: &[String]) -> Option<usize> {
    let (first, rest) = key.split_first()?;
    let (name, value) = table.iter().find(|(name, _)| name.get_ref() == first)?;
    in_value(value.get_ref(), rest).or(Some(name.span().start))
}

fn in_value(value: &DeValue<'_>, key: &[String]) -> Option<usize> {
    match value {
        DeValue::Table(table) => in_table(table, key),
        DeValue::Array(items) => {
            let (index, rest) = key.split_first()?;
            let item = items.get(index.parse::<usize>().ok()?)?;
            in_value(item.get_ref(), rest).or(Some(item.span().start))
        }
        _ => None,
    }
}
