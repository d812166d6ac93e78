//! Every text on its way into a page: characters of HTML are escaped, and characters that control a terminal or change
//! the direction of reading are replaced. `askama.toml` applies this to all of a page's templates.

use std::fmt::{self, Write};

use askama::filters::{Escaper, Html};

use crate::control::harmless::one_line;

/// Makes a text harmless in a page.
#[derive(Debug, Clone, Copy)]
pub(super) struct Harmless;

impl Escaper for Harmless {
    fn write_escaped_str<W: Write>(&self, to: W, text: &str) -> fmt::Result {
        Html.write_escaped_str(to, &one_line(text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markup_controls_and_changes_of_direction_are_harmless() {
        let mut text = String::new();
        Harmless.write_escaped_str(&mut text, "<b>\"a\" & 'b'\u{202e}txt\u{1b}[31m\0\n\u{2066}é").unwrap();
        assert_eq!(text, "&#60;b&#62;&#34;a&#34; &#38; &#39;b&#39;?txt?[31m? ?é");
    }
}
