//! Words of programs that nobody has looked at, on their way to a terminal or a log.

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
            c if steers(c) => line.push('?'),
            c => line.push(c),
        }
        column += if c == '\t' { blanks } else { 1 };
    }
    line
}

/// Whether it does something else than to be seen.
pub fn steers(c: char) -> bool {
    let turns = matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    c.is_control() || turns || matches!(c, '\u{2028}' | '\u{2029}')
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
}
