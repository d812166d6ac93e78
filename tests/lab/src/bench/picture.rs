//! The comparison as a picture: for each way a bar for each number of clients, on logarithmic scales.
//!
//! The colours are readable on white and on black, because the picture does not know its background.

use std::fmt::Write as _;

use super::measure::Row;
use super::table::Table;
use super::ways::Way;

/// Widths, from left to right: the names, then each of two charts, with a gap before it.
const NAMES: f64 = 180.0;
const CHART: f64 = 300.0;
const GAP: f64 = 56.0;
const EDGE: f64 = 12.0;
/// The space for a number behind the longest bar.
const MARGIN: f64 = 84.0;

/// Heights, from above: the heads, the bars, the space between ways, the scale.
const HEAD: f64 = 88.0;
const BAR: f64 = 13.0;
const BETWEEN: f64 = 14.0;
const FOOT: f64 = 46.0;

/// One chart.
struct Chart {
    title: &'static str,
    value: fn(&Row) -> f64,
    written: fn(f64) -> String,
    /// A remark behind the number, so that a short bar does not hide a cost.
    remark: fn(&Row) -> String,
    /// The power of ten at the left edge.
    lowest: i32,
}

const CHARTS: [Chart; 2] = [
    Chart {
        title: "requests to the old half after the new, per 100 flips",
        value: |row| row.inversions_per_flip() * 100.0,
        written: |value| if value < 10.0 && value > 0.0 { format!("{value:.1}") } else { thousands(value) },
        remark: |row| match row.resent {
            0 => String::new(),
            resent => format!(", {} cut off", thousands(resent as f64 * 100.0 / row.flips.len().max(1) as f64)),
        },
        lowest: -1,
    },
    Chart {
        title: "window with both halves, p99, in ms",
        value: |row| row.windows().percentile(0.99),
        written: |value| if value >= 100.0 || value == 0.0 { thousands(value) } else { format!("{value:.2}") },
        remark: |_| String::new(),
        lowest: -2,
    },
];

/// The table as an SVG document.
pub(crate) fn draw(table: &Table) -> String {
    let ways = table.ways();
    let mut clients: Vec<usize> = table.rows.iter().map(|row| row.connections).collect();
    clients.sort_unstable();
    clients.dedup();
    let group = BAR * clients.len() as f64 + BETWEEN;
    let (width, height) = (NAMES + 2.0 * (CHART + MARGIN) + GAP, HEAD + group * ways.len() as f64 + FOOT);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" \
         height=\"{height}\" role=\"img\" aria-label=\"Ways of flipping compared\">\n{STYLE}"
    );
    text(&mut svg, EDGE, 26.0, "title", "From one half of a farm to the other, under load");
    legend(&mut svg, &clients);
    for (number, way) in ways.iter().enumerate() {
        let middle = HEAD + group * number as f64 + (group - BETWEEN) / 2.0;
        let class = if way.is_teeter() { "name own" } else { "name" };
        text(&mut svg, NAMES - 10.0, middle + 4.0, class, way.title());
    }
    for (number, chart) in CHARTS.iter().enumerate() {
        let left = NAMES + number as f64 * (CHART + MARGIN + GAP);
        chart.draw(&mut svg, left, table, &ways, &clients);
    }
    text(&mut svg, EDGE, height - 10.0, "note", &format!("{}; scales are powers of ten", table.machine));
    svg.push_str("</svg>\n");
    svg
}

impl Chart {
    fn draw(&self, svg: &mut String, left: f64, table: &Table, ways: &[Way], clients: &[usize]) {
        let most = table.rows.iter().map(self.value).fold(0.0, f64::max);
        let highest = (most.max(f64::MIN_POSITIVE).log10().ceil() as i32).max(self.lowest + 1);
        let at = |value: f64| position(value, self.lowest, highest) * CHART;
        let group = BAR * clients.len() as f64 + BETWEEN;
        let bottom = HEAD + group * ways.len() as f64 - BETWEEN / 2.0;
        text(svg, left, HEAD - 16.0, "head", self.title);
        for power in self.lowest..=highest {
            let (x, label) = (left + at(10_f64.powi(power)), power_of_ten(power));
            let _ = writeln!(svg, "<line class=\"grid\" x1=\"{x:.1}\" x2=\"{x:.1}\" y1=\"{HEAD}\" y2=\"{bottom}\"/>");
            text(svg, x, bottom + 16.0, "tick", &label);
        }
        for row in &table.rows {
            let Some(way) = ways.iter().position(|way| *way == row.way) else { continue };
            let Some(bar) = clients.iter().position(|clients| *clients == row.connections) else { continue };
            let value = (self.value)(row);
            let (length, y) = (at(value), HEAD + group * way as f64 + BAR * bar as f64);
            let class = if row.way.is_teeter() { "own" } else { "peer" };
            let _ = writeln!(
                svg,
                "<rect class=\"{class} s{}\" x=\"{left}\" y=\"{y}\" width=\"{:.1}\" height=\"{}\" rx=\"2\"/>",
                bar % 2,
                // A value of 0 has a thin bar, to show that it was measured.
                length.max(1.5),
                BAR - 2.0
            );
            text(
                svg,
                left + length.max(1.5) + 5.0,
                y + BAR - 3.5,
                "value",
                &((self.written)(value) + &(self.remark)(row)),
            );
        }
    }
}

/// The legend: the colour of each number of clients.
fn legend(svg: &mut String, clients: &[usize]) {
    let mut x = EDGE;
    for (number, clients) in clients.iter().enumerate() {
        for (offset, class) in [(0.0, "peer"), (13.0, "own")] {
            let shade = number % 2;
            let x = x + offset;
            let _ = writeln!(
                svg,
                "<rect class=\"{class} s{shade}\" x=\"{x}\" y=\"38\" width=\"11\" height=\"11\" rx=\"2\"/>"
            );
        }
        text(svg, x + 30.0, 47.5, "value", &format!("{clients} clients"));
        x += 120.0;
    }
}

/// The position of a value between two powers of ten, from 0 to 1; smaller values are at 0.
fn position(value: f64, lowest: i32, highest: i32) -> f64 {
    if value <= 0.0 {
        return 0.0;
    }
    ((value.log10() - f64::from(lowest)) / f64::from(highest - lowest)).clamp(0.0, 1.0)
}

fn power_of_ten(power: i32) -> String {
    match power {
        ..0 => format!("{:.*}", power.unsigned_abs() as usize, 10_f64.powi(power)),
        0..4 => format!("{:.0}", 10_f64.powi(power)),
        4..6 => format!("{:.0}k", 10_f64.powi(power - 3)),
        _ => format!("{:.0}M", 10_f64.powi(power - 6)),
    }
}

/// `1,234,567`
fn thousands(value: f64) -> String {
    let digits = format!("{value:.0}");
    let mut written = String::new();
    for (number, digit) in digits.chars().enumerate() {
        if number > 0 && (digits.len() - number).is_multiple_of(3) {
            written.push(',');
        }
        written.push(digit);
    }
    written
}

/// Writes a text. No text of this picture has a character that XML must escape.
fn text(svg: &mut String, x: f64, y: f64, class: &str, text: &str) {
    let _ = writeln!(svg, "<text class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\">{text}</text>");
}

/// The first colours are medium, for programs without media queries.
const STYLE: &str = "<style>
text { font: 12px system-ui, sans-serif; fill: #768390; }
.title { font-size: 15px; font-weight: 600; }
.head { font-weight: 600; }
.name { text-anchor: end; font-size: 13px; }
.name.own { font-weight: 700; }
.tick { text-anchor: middle; font-size: 11px; }
.value { font-size: 11px; }
.note { font-size: 11px; }
.grid { stroke: #768390; stroke-opacity: 0.28; }
.peer { fill: #8b949e; }
.own { fill: #1f9d8a; }
.s1 { fill-opacity: 0.6; }
@media (prefers-color-scheme: light) { text { fill: #3d444d; } }
@media (prefers-color-scheme: dark) { text { fill: #c9d1d9; } }
</style>
";

#[cfg(test)]
mod tests {
    use super::super::table::tests::{row, table};
    use super::*;

    #[test]
    fn values_are_placed_on_a_logarithmic_scale() {
        assert_eq!([0.01, 1.0, 100.0].map(|value| position(value, -2, 2)), [0.0, 0.5, 1.0]);
        assert_eq!([0.0, 0.0001, 1e9].map(|value| position(value, -2, 2)), [0.0, 0.0, 1.0]);
        assert_eq!([-2, 0, 3, 4, 6].map(power_of_ten), ["0.01", "1", "1000", "10k", "1M"]);
        assert_eq!([0.0, 999.0, 1234567.0].map(thousands), ["0", "999", "1,234,567"]);
    }

    #[test]
    fn every_way_is_named_and_zero_is_shown() {
        let rows = vec![row(Way::Socat, 32, &[300]), row(Way::Socat, 400, &[9000]), row(Way::TeeterRoute, 32, &[0])];
        let svg = draw(&table(rows));
        for needed in ["socat per server", "teeter route", ">0</text>", ">30,000</text>", "400 clients"] {
            assert!(svg.contains(needed), "{needed} in {svg}");
        }
        assert_eq!(svg.matches("<text").count(), svg.matches("</text>").count());
        let cut = Row { resent: 3, ..row(Way::Reload, 32, &[0, 0]) };
        assert!(draw(&table(vec![cut])).contains(">0, 150 cut off</text>"));
        assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
    }

    #[test]
    fn an_empty_table_makes_a_valid_picture() {
        assert!(draw(&table(Vec::new())).ends_with("</svg>\n"));
    }
}
