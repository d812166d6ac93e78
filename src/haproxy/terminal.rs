//! Characters from outside that must not reach a terminal or a log.

/// Whether a character acts on a terminal instead of being shown: a control character (C0, DEL, C1), one of Unicode's
/// twelve that change the reading direction (`Bidi_Control`), or one of the two that end a line or a paragraph.
pub fn controls_terminal(c: char) -> bool {
    let changes_direction = matches!(
        c,
        '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
    );
    c.is_control() || changes_direction || matches!(c, '\u{2028}' | '\u{2029}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exactly_the_controlling_characters_are_found() {
        let changes_direction = (0x202a..0x202f).chain(0x2066..0x206a);
        let all = (0..0x20).chain(0x7f..0xa0).chain([0x61c, 0x200e, 0x200f, 0x2028, 0x2029]).chain(changes_direction);
        let found = ('\0'..=char::MAX).filter(|c| controls_terminal(*c)).map(u32::from);
        assert_eq!(found.collect::<Vec<_>>(), all.collect::<Vec<u32>>());
    }
}
