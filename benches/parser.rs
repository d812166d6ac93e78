//! How fast teeter and other parsers read a table of HAProxy's: `cargo bench --bench parser`.
//!
//! The dump has ten thousand rows like a recorded row of HAProxy, with the counters of busy servers. Every parser finds
//! the column `scur` by its name and adds it up. `split` only looks at each byte and cuts at the two delimiters, as the
//! simplest loop without columns and quotes would. The last lines are ratios of the medians of this run.

use std::hint::black_box;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use criterion::{Criterion, Throughput};
use serde::Deserialize;
use teeter::haproxy::commands::ShowStat;
use teeter::haproxy::{Command, Row, Separator, Table};

const ROWS: usize = 10_000;

/// HAProxy's JSON has some forty bytes for each of the table's: fewer rows of it are enough.
const JSON_ROWS: usize = 500;

fn main() {
    let recorded = recorded("show-stat");
    let dump = dump(&recorded);
    let json = json(&recorded_json());
    let expected = by_table(&dump);
    assert_eq!(by_csv(&dump), expected);
    assert_eq!(by_show_stat(&dump), expected);
    assert!(by_json(&json) > 0 && by_split(&dump) > expected.0);

    let output = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("parser-bench");
    let mut criterion = Criterion::default()
        .output_directory(&output)
        .sample_size(50)
        .warm_up_time(Duration::from_secs(1))
        .measurement_time(Duration::from_secs(4));
    let mut group = criterion.benchmark_group("show_stat");
    group.throughput(Throughput::Bytes(dump.len() as u64));
    group.bench_function("split", |run| run.iter(|| by_split(black_box(&dump))));
    group.bench_function("table", |run| run.iter(|| by_table(black_box(&dump))));
    group.bench_function("csv", |run| run.iter(|| by_csv(black_box(&dump))));
    group.bench_function("rows", |run| run.iter(|| by_show_stat(black_box(&dump))));
    group.throughput(Throughput::Bytes(json.len() as u64));
    group.bench_function("json", |run| run.iter(|| by_json(black_box(&json))));
    group.finish();
    report(&output, dump.len()).expect("the report is printed");
}

/// Plain scalar splitting: the fields that have a value, counted.
fn by_split(dump: &[u8]) -> usize {
    let (mut start, mut filled) = (0, 0);
    for (at, byte) in dump.iter().enumerate() {
        if *byte == b',' || *byte == b'\n' {
            filled += usize::from(at > start);
            start = at + 1;
        }
    }
    filled
}

/// With teeter's table: the number of rows, and the sum of `scur`.
fn by_table(dump: &[u8]) -> (usize, u64) {
    let mut table = Table::new(Separator::Comma, dump).expect("it has a header");
    let scur = table.column("scur");
    let (mut row, mut rows, mut sum) = (Row::default(), 0, 0);
    while table.next(&mut row).is_some() {
        rows += 1;
        sum += row.number(scur).unwrap_or(0);
    }
    (rows, sum)
}

/// With the `csv` crate and one reused record.
fn by_csv(dump: &[u8]) -> (usize, u64) {
    let mut reader = csv::ReaderBuilder::new().flexible(true).from_reader(&dump[2..]);
    let scur = reader.byte_headers().expect("it has a header").iter().position(|name| name == b"scur");
    let (mut record, mut rows, mut sum) = (csv::ByteRecord::new(), 0, 0);
    while reader.read_byte_record(&mut record).expect("it is a table") {
        rows += 1;
        let field = scur.and_then(|at| record.get(at)).and_then(|field| std::str::from_utf8(field).ok());
        sum += field.and_then(|field| field.parse().ok()).unwrap_or(0);
    }
    (rows, sum)
}

/// With teeter's typed rows, which have all columns that teeter uses.
fn by_show_stat(dump: &[u8]) -> (usize, u64) {
    let rows = ShowStat::default().parse(dump).expect("it is a table");
    (rows.len(), rows.iter().map(|row| row.scur).sum())
}

/// With `serde_json`, which skips all other fields: the sum of `scur`.
fn by_json(json: &[u8]) -> u64 {
    let rows: Vec<Vec<JsonField<'_>>> = serde_json::from_slice(json).expect("it is JSON");
    let wanted = rows.iter().flatten().filter(|field| field.field.name == "scur");
    wanted.filter_map(|field| field.value.value.as_u64()).sum()
}

#[derive(Deserialize)]
struct JsonField<'a> {
    #[serde(borrow)]
    field: JsonName<'a>,
    value: JsonValue,
}

#[derive(Deserialize)]
struct JsonName<'a> {
    name: &'a str,
}

#[derive(Deserialize)]
struct JsonValue {
    value: serde_json::Value,
}

/// A recorded table, from its header to its last row.
fn recorded(name: &str) -> String {
    let text = transcript(name);
    let start = text.find("# pxname").expect("it has a header");
    text[start..].split("\n\n").next().unwrap_or_default().to_owned()
}

fn recorded_json() -> String {
    let text = transcript("show-stat-json");
    let (start, end) = (text.find("[[").expect("it begins"), text.rfind("]]").expect("it ends"));
    text[start..end + 2].to_owned()
}

fn transcript(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/transcripts/3.2").join(name).with_extension("txt");
    std::fs::read_to_string(path).expect("it was recorded")
}

/// The header, and many copies of the row of a busy server.
fn dump(recorded: &str) -> Vec<u8> {
    let mut lines = recorded.lines();
    let (header, row) = (lines.next().unwrap_or_default(), lines.next().unwrap_or_default());
    let names: Vec<&str> = header[2..].split(',').collect();
    let fields: Vec<&str> = row.split(',').collect();
    let mut dump = format!("{header}\n");
    for number in 0..ROWS {
        let fields = names.iter().zip(&fields).map(|(name, field)| match *name {
            "svname" => format!("web{number:05}"),
            "scur" | "smax" => (number % 90).to_string(),
            "stot" | "lbtot" | "hrsp_2xx" | "req_tot" | "reuse" => (1_000_000 + number * 7_919).to_string(),
            "bin" | "bout" => (40_000_000_000 + number * 1_000_003).to_string(),
            "lastchg" | "lastsess" | "ctime" | "rtime" | "ttime" => (number % 5_000).to_string(),
            _ => (*field).to_owned(),
        });
        dump.push_str(&fields.collect::<Vec<_>>().join(","));
        dump.push('\n');
    }
    dump.push('\n');
    dump.into_bytes()
}

/// Many copies of the recorded rows.
fn json(recorded: &str) -> Vec<u8> {
    let rows = &recorded[1..recorded.len() - 1];
    format!("[{}]", vec![rows; JSON_ROWS / 3].join(",")).into_bytes()
}

fn report(output: &Path, bytes: usize) -> io::Result<()> {
    let seconds = |name: &str| {
        let path = output.join("show_stat").join(name).join("new/estimates.json");
        let estimates: serde_json::Value = serde_json::from_slice(&std::fs::read(path).ok()?).ok()?;
        Some(estimates["median"]["point_estimate"].as_f64()? / 1e9)
    };
    let [Some(split), Some(table), Some(csv), Some(rows), Some(json)] =
        ["split", "table", "csv", "rows", "json"].map(seconds)
    else {
        // The command line selected only some of the benchmarks.
        return Ok(());
    };
    let mut out = io::stdout().lock();
    let speed = |seconds: f64| bytes as f64 / seconds / 1e6;
    writeln!(out, "{ROWS} rows, {:.2} MB; medians", bytes as f64 / 1e6)?;
    writeln!(out, "plain split   {:>8.0} MB/s", speed(split))?;
    writeln!(out, "table         {:>8.0} MB/s   {:.2} of the plain split", speed(table), split / table)?;
    writeln!(out, "csv           {:>8.0} MB/s   the table is {:.2} times as fast", speed(csv), csv / table)?;
    writeln!(out, "typed rows    {:>8.0} MB/s   {:.2} times csv", speed(rows), csv / rows)?;
    let json_rows = (JSON_ROWS / 3 * 3) as f64 / json;
    let table_rows = ROWS as f64 / table;
    writeln!(
        out,
        "serde_json    {:>8.0} rows/ms; the table reads {:.0}, {:.0} times as many",
        json_rows / 1e3,
        table_rows / 1e3,
        table_rows / json_rows
    )
}
