//! The few words of roff that the pages need.

/// Text that roff prints as it is: without escapes, with hyphens that can be copied, and in ASCII.
pub(crate) fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\\' => escaped.push_str("\\e"),
            '-' => escaped.push_str("\\-"),
            c if c.is_ascii() => escaped.push(c),
            c => escaped.push_str(&format!("\\[u{:04X}]", u32::from(c))),
        }
    }
    escaped
}

/// A line of text; roff would take a dot or a quote at its beginning for a request.
pub(crate) fn line(text: &str) -> String {
    if text.starts_with(['.', '\'']) { format!("\\&{text}\n") } else { format!("{text}\n") }
}

/// Bold text, escaped.
pub(crate) fn bold(text: &str) -> String {
    format!("\\fB{}\\fR", escaped(text))
}

/// A heading of the first level.
pub(crate) fn section(heading: &str) -> String {
    format!(".SH \"{}\"\n", escaped(heading).replace('"', "\\(dq"))
}

/// A heading of the second level.
pub(crate) fn subsection(heading: &str) -> String {
    format!(".SS \"{}\"\n", escaped(heading).replace('"', "\\(dq"))
}

/// A term, and its explanation below it: it fits any width, as the columns of a table would not.
pub(crate) fn term(term: &str, explanation: &str) -> String {
    format!(".TP\n{}{}", line(term), line(explanation))
}

/// Lines that are not filled, with a small indent: examples have up to 78 characters.
pub(crate) fn verbatim(text: &str) -> String {
    let lines: String = text.trim_end().lines().map(|text| line(&escaped(text))).collect();
    format!(".PP\n.in 2n\n.nf\n{lines}.fi\n.in\n")
}
