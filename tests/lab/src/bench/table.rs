//! The measurements as tables: as text, as Markdown, as JSON.

use std::fmt::{self, Write as _};
use std::io;

use serde_json::{Value, json};
use teeter_lab::Haproxy;

use super::measure::Row;
use super::ways::Way;

/// The requests a second that are needed to show a flip.
const ENOUGH: f64 = 20_000.0;

/// The machine of the measurement.
pub(crate) struct Machine {
    pub(crate) cores: usize,
    pub(crate) kernel: String,
    pub(crate) haproxy: String,
}

impl Machine {
    pub(crate) fn this() -> io::Result<Self> {
        let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease")?.trim().to_owned();
        let cores = std::thread::available_parallelism().map_or(0, usize::from);
        Ok(Self { cores, kernel, haproxy: Haproxy::version()? })
    }
}

impl fmt::Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { cores, kernel, haproxy } = self;
        write!(f, "{cores} cores, Linux {kernel}, HAProxy {haproxy} with two threads")
    }
}

/// One run of the comparison.
pub(crate) struct Table {
    pub(crate) machine: Machine,
    pub(crate) rows: Vec<Row>,
    /// Ways that could not be measured here, and why.
    pub(crate) left_out: Vec<(Way, String)>,
}

const COLUMNS: [&str; 15] = [
    "way",
    "clients",
    "flips",
    "req/s",
    "requests",
    "failed",
    "resent",
    "inversions",
    "flips with",
    "window ms p50",
    "p99",
    "max",
    "flip ms p50",
    "p99",
    "longest wait ms",
];

impl Table {
    /// The table as Markdown.
    pub(crate) fn to_markdown(&self) -> String {
        let mut text = format!("Taken with `make bench-flip` on {}.\n\n", self.machine);
        let _ = writeln!(text, "| {} |\n|---|{}", COLUMNS.join(" | "), "---:|".repeat(COLUMNS.len() - 1));
        for row in &self.rows {
            let _ = writeln!(text, "| {} |", cells(row).join(" | "));
        }
        text.push('\n');
        for line in self.ratios().into_iter().chain(self.remarks()) {
            let _ = writeln!(text, "- {line}");
        }
        for way in self.ways() {
            let _ = writeln!(text, "- **{}**: {}", way.title(), way.meaning());
        }
        text
    }

    /// The table as JSON.
    pub(crate) fn to_json(&self) -> Value {
        let Machine { cores, kernel, haproxy } = &self.machine;
        json!({
            "cores": cores,
            "kernel": kernel,
            "haproxy": haproxy,
            "haproxy_threads": 2,
            "each": "inversions, window in ms, flip in ms, longest wait for an answer in ms",
            "rows": self.rows.iter().map(Row::to_json).collect::<Vec<_>>(),
            "left_out": self.left_out.iter().map(|(way, why)| json!([way.title(), why])).collect::<Vec<_>>(),
        })
    }

    /// The ways that were measured, in order.
    pub(crate) fn ways(&self) -> Vec<Way> {
        let mut ways: Vec<Way> = Vec::new();
        for row in &self.rows {
            if !ways.contains(&row.way) {
                ways.push(row.way);
            }
        }
        ways
    }

    /// The inversions of each way, as multiples of those of `teeter flip` by servers.
    fn ratios(&self) -> Vec<String> {
        let mut lines = Vec::new();
        for ours in self.rows.iter().filter(|row| row.way == Way::TeeterServers) {
            let base = ours.inversions_per_flip();
            let others = self.rows.iter().filter(|row| row.connections == ours.connections && row.way != ours.way);
            let ratios: Vec<_> = others.map(|row| ratio(row.way.title(), row.inversions_per_flip(), base)).collect();
            let (title, clients) = (ours.way.title(), ours.connections);
            lines.push(format!("Inversions per flip, {clients} clients, relative to {title}: {}.", ratios.join(", ")));
        }
        lines
    }

    fn remarks(&self) -> Vec<String> {
        let slowest = self.rows.iter().map(|row| row.calm_rate).fold(f64::INFINITY, f64::min);
        let mut lines = Vec::new();
        if slowest.is_finite() {
            let verdict = if slowest < ENOUGH { "too few to trust the windows" } else { "enough to show a flip" };
            lines.push(format!("Between flips, never fewer than {slowest:.0} requests a second: {verdict}."));
        }
        for row in self.rows.iter().filter(|row| row.unclean() > 0) {
            let (title, unclean) = (row.way.title(), row.unclean());
            lines.push(format!("{title}: {unclean} flips began before the previous one had ended. Distrust the row."));
        }
        for (way, why) in &self.left_out {
            lines.push(format!("{} was left out: {why}.", way.title()));
        }
        lines
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}\n", self.machine)?;
        let mut lines = vec![COLUMNS.map(str::to_owned)];
        lines.extend(self.rows.iter().map(cells));
        let widths: [usize; COLUMNS.len()] = std::array::from_fn(|column| {
            lines.iter().filter_map(|line| line.get(column)).map(String::len).max().unwrap_or(0)
        });
        for line in &lines {
            for (number, (cell, width)) in line.iter().zip(widths).enumerate() {
                match number {
                    0 => write!(f, "{cell:width$}")?,
                    _ => write!(f, "  {cell:>width$}")?,
                }
            }
            writeln!(f)?;
        }
        writeln!(f)?;
        for line in self.ratios().into_iter().chain(self.remarks()) {
            writeln!(f, "{line}")?;
        }
        for row in self.rows.iter().filter(|row| row.failed > 0) {
            for complaint in row.complaints.iter().take(3) {
                writeln!(f, "{}, {} clients, failure: {complaint}", row.way.title(), row.connections)?;
            }
        }
        Ok(())
    }
}

fn cells(row: &Row) -> [String; COLUMNS.len()] {
    let (windows, times) = (row.windows(), row.times());
    let ms = |value: f64| if value == 0.0 { "0".to_owned() } else { format!("{value:.2}") };
    [
        row.way.title().to_owned(),
        row.connections.to_string(),
        row.flips.len().to_string(),
        format!("{:.0}", row.rate),
        row.requests.to_string(),
        row.failed.to_string(),
        row.resent.to_string(),
        row.inversions().to_string(),
        row.mixed().to_string(),
        ms(windows.percentile(0.5)),
        ms(windows.percentile(0.99)),
        ms(windows.percentile(1.0)),
        format!("{:.1}", times.percentile(0.5)),
        format!("{:.1}", times.percentile(0.99)),
        format!("{:.0}", row.waits().percentile(1.0)),
    ]
}

/// `name 12`: a multiple of ours; if ours is 0, the value itself.
fn ratio(name: &str, theirs: f64, ours: f64) -> String {
    if ours > 0.0 {
        let times = theirs / ours;
        let digits = usize::from(times < 10.0) * 2;
        return format!("{name} {times:.digits$}");
    }
    if theirs > 0.0 { format!("{name} {theirs:.1} to none") } else { format!("{name} none to none") }
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::measure::Flip;
    use super::*;

    /// A row of flips with these inversions; the windows are as many hundredths of a ms.
    pub(crate) fn row(way: Way, connections: usize, inversions: &[usize]) -> Row {
        let flip = |&inversions: &usize| Flip {
            inversions,
            window: inversions as f64 / 100.0,
            took: 4.0,
            longest: 9.0,
            unclean: false,
        };
        Row {
            way,
            connections,
            flips: inversions.iter().map(flip).collect(),
            requests: 1000,
            failed: 0,
            resent: 0,
            calm_rate: 50_000.0,
            rate: 40_000.0,
            complaints: Vec::new(),
        }
    }

    pub(crate) fn table(rows: Vec<Row>) -> Table {
        let machine = Machine { cores: 2, kernel: "6.1".to_owned(), haproxy: "2.6.12".to_owned() };
        Table { machine, rows, left_out: Vec::new() }
    }

    #[test]
    fn flips_are_summed_up() {
        let row = row(Way::Socat, 32, &[0, 300, 0, 100]);
        assert_eq!((row.inversions(), row.mixed(), row.unclean()), (400, 2, 0));
        assert_eq!([0.5, 0.99, 1.0].map(|share| row.windows().percentile(share)), [0.0, 3.0, 3.0]);
        assert_eq!(cells(&row).map(|cell| cell.len()).iter().filter(|length| **length == 0).count(), 0);
    }

    #[test]
    fn zero_is_shown_as_zero_and_columns_are_aligned() {
        let text = table(vec![row(Way::Reload, 32, &[5]), row(Way::TeeterRoute, 400, &[0, 0])]).to_string();
        let lines: Vec<_> = text.lines().skip(2).take(3).collect();
        assert!(lines.iter().all(|line| line.len() == lines[0].len()), "{text}");
        assert!(lines[2].contains(" 0  "), "{text}");
    }

    #[test]
    fn ratios_compare_rows_with_the_same_number_of_clients() {
        let rows = vec![
            row(Way::Socat, 32, &[300, 100]),
            row(Way::TeeterServers, 32, &[2]),
            row(Way::Socat, 400, &[7]),
            row(Way::TeeterServers, 400, &[0]),
        ];
        let ratios = table(rows).ratios().join("\n");
        assert!(ratios.contains("32 clients, relative to teeter servers: socat per server 100."), "{ratios}");
        assert!(ratios.contains("400 clients, relative to teeter servers: socat per server 7.0 to none."), "{ratios}");
    }

    #[test]
    fn the_markdown_has_a_cell_for_each_column() {
        let text = table(vec![row(Way::Reload, 32, &[5])]).to_markdown();
        let table: Vec<_> = text.lines().filter(|line| line.starts_with('|')).collect();
        assert_eq!(table.len(), 3);
        assert!(table.iter().all(|line| line.matches('|').count() == COLUMNS.len() + 1), "{text}");
    }

    #[test]
    fn a_slow_load_is_reported() {
        let slow = Row { calm_rate: 900.0, ..row(Way::Socat, 32, &[1]) };
        assert!(table(vec![slow]).to_string().contains("too few"));
    }
}
