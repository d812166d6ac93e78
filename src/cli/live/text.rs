//! Text within a number of columns, and the signs that the terminal can show.

use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

/// The signs of the picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::cli) struct Marks {
    pub(in crate::cli) done: &'static str,
    pub(in crate::cli) now: &'static str,
    pub(in crate::cli) failed: &'static str,
    pub(in crate::cli) skipped: &'static str,
    pub(in crate::cli) to_do: &'static str,
    pub(in crate::cli) cut: &'static str,
    /// The levels of a trend, the lowest first.
    pub(super) levels: &'static [char],
}

impl Marks {
    const UNICODE: Self = Self {
        done: "✓",
        now: "▸",
        failed: "✗",
        skipped: "–",
        to_do: "·",
        cut: "…",
        levels: &['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'],
    };

    const ASCII: Self = Self {
        done: "+",
        now: ">",
        failed: "!",
        skipped: "-",
        to_do: " ",
        cut: "~",
        levels: &['_', '.', '-', '=', '#'],
    };

    /// The signs for a locale, as `LC_ALL`, `LC_CTYPE` or `LANG` name it: the first of them that is set counts.
    pub(in crate::cli) fn for_locale(variable: impl Fn(&str) -> Option<String>) -> Self {
        let set = |name: &&str| variable(name).filter(|value| !value.is_empty());
        let locale = ["LC_ALL", "LC_CTYPE", "LANG"].iter().find_map(set).unwrap_or_default().to_ascii_lowercase();
        if locale.contains("utf-8") || locale.contains("utf8") { Self::UNICODE } else { Self::ASCII }
    }
}

/// The text, cut at its end to at most `columns` columns of a terminal.
pub(in crate::cli) fn fit(text: &str, columns: usize, marks: Marks) -> String {
    if text.width() <= columns {
        return text.to_owned();
    }
    let room = columns.saturating_sub(marks.cut.width());
    let mut used = 0;
    let fitting = text.chars().take_while(|c| {
        used += c.width().unwrap_or(0);
        used <= room
    });
    let fitting: String = fitting.collect();
    if columns == 0 { String::new() } else { fitting.trim_end().to_owned() + marks.cut }
}

/// The text broken at blanks into at most `most` lines of at most `columns` columns; the last line is cut. Lines after the
/// first are indented.
pub(super) fn wrapped(text: &str, columns: usize, most: usize, marks: Marks) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    let mut line = String::new();
    for word in text.split(' ') {
        let is_last_line = lines.len() + 1 >= most;
        if !line.is_empty() && !is_last_line && line.width() + 1 + word.width() > columns {
            lines.push(std::mem::take(&mut line));
            line.push_str("  ");
            line.push_str(word);
        } else {
            line.push_str(if line.is_empty() { "" } else { " " });
            line.push_str(word);
        }
    }
    lines.push(line);
    lines.iter().map(|line| fit(line, columns, marks)).collect()
}

/// A noun after a number.
pub(super) fn plural(number: usize, noun: &str) -> String {
    if number == 1 { noun.to_owned() } else { format!("{noun}s") }
}

/// The text with blanks up to `columns` columns.
pub(in crate::cli) fn pad(text: &str, columns: usize) -> String {
    format!("{text}{}", " ".repeat(columns.saturating_sub(text.width())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_cut_by_columns_and_not_by_characters() {
        for (text, columns, fits) in [
            ("drain a", 7, "drain a"),
            ("drain a", 6, "drain…"),
            ("部署中", 5, "部署…"),
            ("部署中", 6, "部署中"),
            ("ab", 0, ""),
        ] {
            assert_eq!(fit(text, columns, Marks::UNICODE), fits, "{text} {columns}");
        }
        assert_eq!(pad("部", 4), "部  ");
    }

    #[test]
    fn long_text_is_broken_at_blanks_and_cut_at_the_last_line() {
        let wrapped = |columns, most| wrapped("next: do this now", columns, most, Marks::UNICODE);
        assert_eq!(wrapped(20, 3), ["next: do this now"]);
        assert_eq!(wrapped(10, 3), ["next: do", "  this now"]);
        assert_eq!(wrapped(8, 2), ["next: do", "  this…"]);
        assert_eq!(wrapped(3, 2), ["ne…", "…"]);
    }

    #[test]
    fn a_terminal_without_utf_8_gets_ascii() {
        let locale = |set: &'static [(&'static str, &'static str)]| {
            Marks::for_locale(move |name| {
                set.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
            })
        };
        assert_eq!(locale(&[("LANG", "de_DE.UTF-8")]), Marks::UNICODE);
        assert_eq!(locale(&[("LANG", "de_DE.UTF-8"), ("LC_ALL", "C")]), Marks::ASCII);
        assert_eq!(locale(&[("LC_ALL", ""), ("LC_CTYPE", "C.utf8")]), Marks::UNICODE);
        assert_eq!(locale(&[]), Marks::ASCII);
    }
}
