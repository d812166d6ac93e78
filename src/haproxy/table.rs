//! The grammar of HAProxy's tables: a header that begins with `#` and names the columns, then one row a line.
//!
//! Columns are found by name, never by position: versions and build options insert some in the middle. Fields are
//! slices of the reply; nothing is copied. A row is scanned once, eight bytes at a time, for the ends of its fields. A
//! field is parsed only when a caller reads it, because teeter needs few of the columns.

mod ends;

use nom::branch::alt;
use nom::bytes::complete::{is_not, tag, take_till, take_while, take_while1};
use nom::combinator::{opt, recognize};
use nom::multi::many0_count;
use nom::sequence::{delimited, preceded, terminated};
use nom::{IResult, Parser};

use self::ends::{SPARE, scan, scan_by_grammar};
use super::terminal::controls_terminal;

/// How fields are separated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Separator {
    /// `show stat`: commas. A field may be quoted, with each quote inside doubled (management guide, section 9.1).
    Comma,
    /// `show servers state`, `show servers conn`: single blanks.
    Blank,
}

impl Separator {
    fn byte(self) -> u8 {
        match self {
            Self::Comma => b',',
            Self::Blank => b' ',
        }
    }
}

/// A table whose header has been read.
#[derive(Debug)]
pub struct Table<'a> {
    separator: Separator,
    columns: Vec<&'a [u8]>,
    rest: &'a [u8],
}

/// The index of a column; `None` when this table does not have it.
pub type Column = Option<usize>;

impl<'a> Table<'a> {
    /// Reads the header. `None` where the reply does not begin with one.
    pub fn new(separator: Separator, reply: &'a [u8]) -> Option<Self> {
        let (rest, header) = header(reply).ok()?;
        let columns = header.split(|byte| *byte == separator.byte()).collect();
        Some(Self { separator, columns, rest })
    }

    /// Finds a column by its name.
    pub fn column(&self, name: &str) -> Column {
        self.columns.iter().position(|column| *column == name.as_bytes())
    }

    /// Reads the next row into `row`, whose memory is used again. `None` at the end of the table.
    pub fn next(&mut self, row: &mut Row<'a>) -> Option<()> {
        if self.rest.first().is_none_or(|first| *first == b'\n') {
            return None;
        }
        row.ends.resize(self.columns.len() + SPARE, 0);
        let found = scan(self.rest, self.separator, &mut row.ends);
        let found = found.unwrap_or_else(|| scan_by_grammar(self.rest, self.separator, &mut row.ends));
        // Fields beyond the header have no name, so no caller can read them.
        row.fields = found.fields.min(self.columns.len());
        row.line = &self.rest[..found.end];
        self.rest = self.rest.get(found.end + 1..).unwrap_or_default();
        Some(())
    }
}

/// The fields of one row.
#[derive(Debug, Default)]
pub struct Row<'a> {
    line: &'a [u8],
    /// Where each field ends; only the first `fields` ends are valid.
    ends: Vec<usize>,
    fields: usize,
}

impl<'a> Row<'a> {
    /// The bytes of a column, without quotes; empty where the table or the row lacks the column.
    pub fn bytes(&self, column: Column) -> &'a [u8] {
        let Some(at) = column.filter(|at| *at < self.fields) else { return &[] };
        let start = if at == 0 { 0 } else { self.ends[at - 1] + 1 };
        let field = &self.line[start..self.ends[at]];
        // An opening quote without a closing one is a plain character.
        if field.first() == Some(&b'"') { quoted(field).map_or(field, |(_, inside)| inside) } else { field }
    }

    /// The text of a column; empty where the version lacks the column or the field is not UTF-8.
    pub fn text(&self, column: Column) -> &'a str {
        std::str::from_utf8(self.bytes(column)).unwrap_or_default()
    }

    /// The text of a column for people, on one line: control characters become blanks, and other bytes than UTF-8 are
    /// replaced.
    pub fn one_line(&self, column: Column) -> String {
        let text = String::from_utf8_lossy(self.bytes(column)).replace("\"\"", "\"");
        let plain = text.chars().map(|c| if controls_terminal(c) { ' ' } else { c }).collect::<String>();
        plain.split_whitespace().collect::<Vec<_>>().join(" ")
    }

    /// The number in a column; `None` where the field is missing or not a number of this type.
    pub fn number<N: std::str::FromStr>(&self, column: Column) -> Option<N> {
        self.text(column).parse().ok()
    }
}

/// An optional version line (`1` before `show servers state`), then `# ` and the names.
fn header(reply: &[u8]) -> IResult<&[u8], &[u8]> {
    preceded((opt(terminated(digits, tag("\n"))), tag("# ")), line).parse(reply)
}

fn digits(bytes: &[u8]) -> IResult<&[u8], &[u8]> {
    take_while1(|byte: u8| byte.is_ascii_digit()).parse(bytes)
}

fn line(bytes: &[u8]) -> IResult<&[u8], &[u8]> {
    terminated(take_till(|byte| byte == b'\n'), opt(tag("\n"))).parse(bytes)
}

/// A field with its quotes, and the separator after it.
fn whole_field(separator: Separator, bytes: &[u8]) -> IResult<&[u8], &[u8]> {
    match separator {
        Separator::Comma => {
            terminated(alt((recognize(quoted), take_till(|byte| matches!(byte, b',' | b'\n')))), opt(tag(",")))
                .parse(bytes)
        }
        Separator::Blank => terminated(take_till(|byte| matches!(byte, b' ' | b'\n')), opt(tag(" "))).parse(bytes),
    }
}

/// The inside of a quoted field, which may have several lines. Doubled quotes stay: no field that teeter's decisions
/// need can contain one.
fn quoted(bytes: &[u8]) -> IResult<&[u8], &[u8]> {
    let inside = recognize(many0_count(alt((tag("\"\""), is_not("\"")))));
    terminated(delimited(tag("\""), inside, tag("\"")), take_while(|byte| !matches!(byte, b',' | b'\n'))).parse(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_found_by_name() {
        let mut table = Table::new(Separator::Comma, b"# a,b,c\n1,,\"x, y\"\"z\"\n4,5\n\n").unwrap();
        let (a, c, d) = (table.column("a"), table.column("c"), table.column("d"));
        let mut row = Row::default();
        table.next(&mut row).unwrap();
        assert_eq!((row.text(a), row.text(c), row.text(d)), ("1", "x, y\"\"z", ""));
        table.next(&mut row).unwrap();
        assert_eq!((row.number::<u8>(a), row.number::<u8>(c)), (Some(4), None));
        assert!(table.next(&mut row).is_none());
    }

    #[test]
    fn a_quoted_field_may_have_lines() {
        let reply = b"# a,b,c\n1,\"x\n> \n\n2,\"\"y\xe9\x1b[m, # a,b,c\n\",3\n4,\"\",6\n7,8,9\n";
        let mut table = Table::new(Separator::Comma, reply).unwrap();
        let (a, b, c) = (table.column("a"), table.column("b"), table.column("c"));
        let mut row = Row::default();
        table.next(&mut row).unwrap();
        assert_eq!((row.text(a), row.text(c)), ("1", "3"));
        assert_eq!(row.one_line(b), "x > 2,\"y\u{fffd} [m, # a,b,c");
        for expected in [["4", "", "6"], ["7", "8", "9"]] {
            table.next(&mut row).unwrap();
            assert_eq!([a, b, c].map(|column| row.text(column)), expected);
        }
        assert!(table.next(&mut row).is_none());
    }

    #[test]
    fn a_version_line_may_come_first() {
        let mut table = Table::new(Separator::Blank, b"1\n# be_name srv_name\napp web01\n").unwrap();
        let mut row = Row::default();
        table.next(&mut row).unwrap();
        assert_eq!(row.text(table.column("srv_name")), "web01");
    }

    #[test]
    fn a_reply_that_is_not_a_table_is_none() {
        for reply in [b"".as_slice(), b"No such proxy.\n", b"HTTP/1.0 400 Bad request\n"] {
            assert!(Table::new(Separator::Comma, reply).is_none());
        }
    }

    #[test]
    fn a_row_may_have_more_fields_than_the_header_has_names_and_fewer() {
        let wide = "9,".repeat(100);
        let reply = format!("# a,b,c\n{wide}\n7\n\"\",\"{wide}\",8\n1,2,3");
        let mut table = Table::new(Separator::Comma, reply.as_bytes()).unwrap();
        let (a, b, c) = (table.column("a"), table.column("b"), table.column("c"));
        let mut row = Row::default();
        let mut next = || table.next(&mut row).map(|()| [a, b, c].map(|column| row.text(column).to_owned()));
        assert_eq!(next().unwrap(), ["9", "9", "9"]);
        assert_eq!(next().unwrap(), ["7", "", ""]);
        assert_eq!(next().unwrap(), ["", wide.as_str(), "8"]);
        assert_eq!(next().unwrap(), ["1", "2", "3"]);
        assert_eq!(next(), None);
    }
}
