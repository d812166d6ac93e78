//! The grammar of HAProxy's tables: a header that begins with `#` and names the columns, then a row a line.
//!
//! Columns are found by name, never by position: versions and build options insert some in the middle. Fields are
//! slices of the reply; nothing is copied.

use nom::branch::alt;
use nom::bytes::complete::{is_not, tag, take_till, take_while};
use nom::combinator::{opt, recognize};
use nom::multi::{fold_many0, many0_count};
use nom::sequence::{delimited, preceded, terminated};
use nom::{IResult, Parser};

/// How fields are separated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Separator {
    /// `show stat`: commas; a field may be quoted, a quote inside doubled.
    Comma,
    /// `show servers state`, `show servers conn`: single blanks.
    Blank,
}

/// A table whose header has been read.
#[derive(Debug)]
pub(super) struct Table<'a> {
    separator: Separator,
    columns: Vec<&'a [u8]>,
    rest: &'a [u8],
}

/// The place of a column, if this table has it.
pub(super) type Column = Option<usize>;

impl<'a> Table<'a> {
    /// Reads the header. `None` where the reply does not begin with one.
    pub(super) fn new(separator: Separator, reply: &'a [u8]) -> Option<Self> {
        let (rest, header) = header(reply).ok()?;
        let (_, columns) = collect(separator, header, Vec::new()).ok()?;
        Some(Self { separator, columns, rest })
    }

    /// Finds a column by its name.
    pub(super) fn column(&self, name: &str) -> Column {
        self.columns.iter().position(|column| *column == name.as_bytes())
    }

    /// Reads the next row into `row`, whose allocation is used again. `None` at the end of the table.
    pub(super) fn next(&mut self, row: &mut Row<'a>) -> Option<()> {
        row.fields.clear();
        let (rest, line) = filled_line(self.rest).ok()?;
        let (_, fields) = collect(self.separator, line, std::mem::take(&mut row.fields)).ok()?;
        (self.rest, row.fields) = (rest, fields);
        Some(())
    }
}

/// The fields of one row.
#[derive(Debug, Default)]
pub(super) struct Row<'a> {
    fields: Vec<&'a [u8]>,
}

impl<'a> Row<'a> {
    /// The text of a column; empty where the version lacks it or the field is not UTF-8.
    pub(super) fn text(&self, column: Column) -> &'a str {
        let field = column.and_then(|at| self.fields.get(at)).copied().unwrap_or_default();
        std::str::from_utf8(field).unwrap_or_default()
    }

    /// The number in a column, if there is one.
    pub(super) fn number<N: std::str::FromStr>(&self, column: Column) -> Option<N> {
        self.text(column).parse().ok()
    }
}

/// An optional version line (`1` before `show servers state`), then `# ` and the names.
fn header(reply: &[u8]) -> IResult<&[u8], &[u8]> {
    preceded((opt(terminated(digits, tag("\n"))), tag("# ")), line).parse(reply)
}

fn digits(bytes: &[u8]) -> IResult<&[u8], &[u8]> {
    nom::bytes::complete::take_while1(|byte: u8| byte.is_ascii_digit()).parse(bytes)
}

fn line(bytes: &[u8]) -> IResult<&[u8], &[u8]> {
    terminated(take_till(|byte| byte == b'\n'), opt(tag("\n"))).parse(bytes)
}

fn filled_line(bytes: &[u8]) -> IResult<&[u8], &[u8]> {
    terminated(is_not("\n"), opt(tag("\n"))).parse(bytes)
}

fn collect<'a>(separator: Separator, line: &'a [u8], into: Vec<&'a [u8]>) -> IResult<&'a [u8], Vec<&'a [u8]>> {
    // `fold_many0` wants a closure that makes the start value; it is asked once.
    let mut into = Some(into);
    fold_many0(
        |bytes| field(separator, bytes),
        move || into.take().unwrap_or_default(),
        |mut fields: Vec<&'a [u8]>, field| {
            fields.push(field);
            fields
        },
    )
    .parse(line)
}

fn field(separator: Separator, bytes: &[u8]) -> IResult<&[u8], &[u8]> {
    if bytes.is_empty() {
        return Err(nom::Err::Error(nom::error::Error::new(bytes, nom::error::ErrorKind::Eof)));
    }
    match separator {
        Separator::Comma => terminated(alt((quoted, take_till(|byte| byte == b','))), opt(tag(","))).parse(bytes),
        Separator::Blank => terminated(take_till(|byte| byte == b' '), opt(tag(" "))).parse(bytes),
    }
}

/// The inside of a quoted field, a doubled quote left as it is: no field that teeter decides by can contain one.
fn quoted(bytes: &[u8]) -> IResult<&[u8], &[u8]> {
    let inside = recognize(many0_count(alt((tag("\"\""), is_not("\"")))));
    terminated(delimited(tag("\""), inside, tag("\"")), take_while(|byte| byte != b',')).parse(bytes)
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
    fn a_version_line_may_come_first() {
        let mut table = Table::new(Separator::Blank, b"1\n# be_name srv_name\napp web01\n").unwrap();
        let mut row = Row::default();
        table.next(&mut row).unwrap();
        assert_eq!(row.text(table.column("srv_name")), "web01");
    }

    #[test]
    fn what_is_no_table_is_none() {
        for reply in [b"".as_slice(), b"No such proxy.\n", b"HTTP/1.0 400 Bad request\n"] {
            assert!(Table::new(Separator::Comma, reply).is_none());
        }
    }
}
