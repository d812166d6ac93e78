//! Words of programs that nobody has looked at, on their way to a terminal or a log. What may not get there is what
//! [`controls_terminal`](crate::haproxy::controls_terminal).

use crate::haproxy::controls_terminal;

/// One line of plain text: without escape sequences, nothing that steers a terminal or turns the reading direction,
/// tabs as blanks, and what is not UTF-8 as `U+FFFD`.
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

/// A text of teeter's own with words of others in it, as one line: what separates lines and columns becomes a blank, and
/// what else steers a question mark.
pub fn one_line(text: &str) -> String {
    let plain = |c: char| match c {
        '\n' | '\r' | '\t' => ' ',
        c if controls_terminal(c) => '?',
        c => c,
    };
    text.chars().map(plain).collect()
}

/// The same as the lines that it has.
pub fn lines(text: &str) -> String {
    text.chars().map(|c| if controls_terminal(c) && c != '\n' { '?' } else { c }).collect()
}

/// The distance between two tab stops.
const TAB: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_steers_is_left() {
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
    fn a_text_of_lines_keeps_them_and_one_line_is_one() {
        let text = "a\n\tb\u{61c}c\u{2028}d\u{9b}";
        assert_eq!(lines(text), "a\n?b?c?d?");
        assert_eq!(one_line(text), "a  b?c?d?");
    }
}
