//! Colours of lines on a terminal. A line is made harmless first, and painted then.

use std::io;
use std::sync::OnceLock;

use anstream::{AutoStream, ColorChoice};
use anstyle::{AnsiColor, Style};

use super::args::ColorWhen;

/// What a line is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ink {
    /// Nothing special.
    Plain,
    /// A heading.
    Heading,
    /// Something does not work.
    Bad,
    /// Something is as a user or a run wants it, but not as usual.
    Held,
    /// Something is not known.
    Faint,
}

static PAINTS: OnceLock<bool> = OnceLock::new();

/// Chooses for the whole process: colours always, never, or if standard output is a terminal and neither NO_COLOR nor
/// a dumb terminal is against it.
pub(super) fn choose(when: ColorWhen) {
    let paints = match when {
        ColorWhen::Always => true,
        ColorWhen::Never => false,
        ColorWhen::Auto => AutoStream::choice(&io::stdout()) != ColorChoice::Never,
    };
    // The first choice stays.
    let _ = PAINTS.set(paints);
}

/// Whether the output has colours.
pub(super) fn paints() -> bool {
    PAINTS.get() == Some(&true)
}

/// A harmless line in the colour of its ink; unchanged if the output has no colours.
pub(super) fn paint(ink: Ink, line: &str) -> String {
    let style = match ink {
        Ink::Plain => Style::new(),
        Ink::Heading => Style::new().bold(),
        Ink::Bad => AnsiColor::Red.on_default(),
        Ink::Held => AnsiColor::Yellow.on_default(),
        Ink::Faint => Style::new().dimmed(),
    };
    if paints() && !line.is_empty() { format!("{style}{line}{style:#}") } else { line.to_owned() }
}
