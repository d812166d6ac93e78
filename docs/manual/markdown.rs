//! A page of the documentation as roff. Tables become lists of terms, which fit any width.

use pulldown_cmark::{Event, HeadingLevel, Options, Parser, Tag, TagEnd};

use crate::roff::{bold, escaped, line, section, subsection, term, verbatim};

/// What is being read.
#[derive(Default)]
struct Page {
    roff: String,
    /// The text of the current paragraph, cell or item, with the fonts of roff.
    text: String,
    /// The text of the current heading or block of code, as it is.
    plain: String,
    in_code: bool,
    header: Vec<String>,
    cells: Vec<String>,
    items: usize,
}

/// The page without its title.
pub(crate) fn roff(markdown: &str) -> String {
    let mut page = Page::default();
    for event in Parser::new_ext(markdown, Options::ENABLE_TABLES) {
        page.take(event);
    }
    page.roff
}

impl Page {
    fn take(&mut self, event: Event<'_>) {
        match event {
            Event::Start(Tag::CodeBlock(_)) => {
                self.in_code = true;
                self.plain.clear();
            }
            Event::Start(Tag::Heading { .. }) => self.plain.clear(),
            Event::Start(Tag::Strong) => self.text.push_str("\\fB"),
            Event::Start(Tag::Emphasis) => self.text.push_str("\\fI"),
            Event::End(TagEnd::Strong | TagEnd::Emphasis) => self.text.push_str("\\fR"),
            Event::Start(Tag::Item) => {
                self.paragraph();
                self.items += 1;
            }
            Event::Text(text) => {
                self.plain.push_str(&text);
                self.text.push_str(&escaped(&text));
            }
            Event::Code(text) => {
                self.plain.push_str(&text);
                self.text.push_str(&bold(&text));
            }
            Event::SoftBreak | Event::HardBreak => self.text.push(' '),
            Event::End(TagEnd::Heading(level)) => self.heading(level),
            Event::End(TagEnd::Paragraph) => self.paragraph(),
            Event::End(TagEnd::Item) => {
                self.paragraph();
                self.items -= 1;
            }
            Event::End(TagEnd::CodeBlock) => {
                self.in_code = false;
                self.text.clear();
                self.roff.push_str(&verbatim(&self.plain));
            }
            Event::End(TagEnd::TableCell) => self.cells.push(std::mem::take(&mut self.text)),
            Event::End(TagEnd::TableHead) => self.header = std::mem::take(&mut self.cells),
            Event::End(TagEnd::TableRow) => self.row(),
            _ => {}
        }
    }

    fn heading(&mut self, level: HeadingLevel) {
        self.text.clear();
        match level {
            // The title of the page has a section of its own.
            HeadingLevel::H1 => self.roff.push_str(&section("DESCRIPTION")),
            HeadingLevel::H2 => self.roff.push_str(&section(&self.plain)),
            _ => self.roff.push_str(&subsection(&self.plain)),
        }
    }

    fn paragraph(&mut self) {
        let text = std::mem::take(&mut self.text);
        if text.trim().is_empty() {
            return;
        }
        self.roff.push_str(if self.items > 0 { ".IP \\(bu 2\n" } else { ".PP\n" });
        self.roff.push_str(&line(text.trim()));
    }

    /// The first cell is a term; the others explain it, each but the last after the word of its column.
    fn row(&mut self) {
        let cells = std::mem::take(&mut self.cells);
        let Some((first, others)) = cells.split_first() else { return };
        let explained =
            others.iter().zip(self.header.iter().skip(1)).enumerate().filter(|(_, (cell, _))| !cell.is_empty());
        let last = others.len().saturating_sub(1);
        let explained: Vec<String> = explained
            .map(|(at, (cell, word))| if at == last { cell.clone() } else { format!("{word}: {cell}") })
            .collect();
        self.roff.push_str(&term(first, &explained.join("\n.br\n")));
    }
}
