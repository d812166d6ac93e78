//! Makes untrusted text safe for a terminal or a log. Characters that control a terminal
//! ([`controls_terminal`](crate::haproxy::controls_terminal)) are removed or replaced.

use crate::haproxy::controls_terminal;

/// One line of plain text: without escape sequences, terminal controls and changes of the reading direction, with
/// blanks for tabs and `U+FFFD` for bytes that are not UTF-8.
pub fn harmless(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let mut line = String::with_capacity(text.len());
    let mut column = 0;
    for c in anstream::adapter::strip_str(&text).to_string().chars() {
        let blanks = TAB - column % TAB;
        match c {
            '\t' => line.extend(std::iter::repeat_n(' ', blanks)),
            c if controls_terminal(c) => line.push('?'),
            c => line.push(c),
        }
        column += if c == '\t' { blanks } else { 1 };
    }
    line
}

/// A text of teeter that quotes untrusted text, as one line: line breaks and tabs become blanks, and other control
/// characters become question marks.
pub fn one_line(text: &str) -> String {
    let plain = |c: char| match c {
        '\n' | '\r' | '\t' => ' ',
        c if controls_terminal(c) => '?',
        c => c,
    };
    text.chars().map(plain).collect()
}

/// Replaces control characters in a text of several lines; line breaks stay.
pub fn lines(text: &str) -> String {
    text.chars().map(|c| if controls_terminal(c) && c != '\n' { '?' } else { c }).collect()
}

/// The distance between two tab stops.
const TAB: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_are_removed() {
        for (bytes, text) in [
            (&b"plain"[..], "plain"),
            (b"\x1b[31mred\x1b[0m", "red"),
            (b"\x1b]0;title\x07after", "after"),
            (b"a\tb", "a       b"),
            (b"\xff\xfe", "\u{fffd}\u{fffd}"),
            ("f\u{fc}r \u{202e}txt".as_bytes(), "f\u{fc}r ?txt"),
        ] {
            assert_eq!(harmless(bytes), text);
        }
        let all: Vec<u8> = (0..=255).collect();
        assert!(!harmless(&all).chars().any(char::is_control));
    }

    #[test]
    fn lines_keeps_line_breaks_and_one_line_does_not() {
        let text = "a\n\tb\u{61c}c\u{2028}d\u{9b}";
        assert_eq!(lines(text), "a\n?b?c?d?");
        assert_eq!(one_line(text), "a  b?c?d?");
    }
}
