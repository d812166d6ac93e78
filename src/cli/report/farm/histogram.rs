//! The distribution of the lengths of drains: how many took how long.

use crate::cli::report::axis::{Percent, Tick, short};
use crate::cli::report::words::{counted, length};

/// Columns of equal width, for lengths between round times.
#[derive(Debug)]
pub(super) struct Histogram {
    pub(super) title: String,
    pub(super) columns: Vec<Column>,
    /// The times between the columns.
    pub(super) ticks: Vec<Tick>,
}

#[derive(Debug)]
pub(super) struct Column {
    pub(super) from: Percent,
    pub(super) width: Percent,
    /// The middle of the column.
    pub(super) middle: Percent,
    /// The upper edge, and the height, in the units of the template.
    pub(super) y: usize,
    pub(super) height: usize,
    /// How many lengths are in it; `None` if none is.
    pub(super) number: Option<usize>,
    pub(super) title: String,
}

impl Histogram {
    /// The distribution of sorted lengths in milliseconds; `None` if there are none.
    pub(super) fn new(sorted: &[u64]) -> Option<Self> {
        let (first, last) = (*sorted.first()?, *sorted.last()?);
        // The lower edges, from the one below the shortest length up to the one below the longest.
        let below = |value: u64| EDGES.iter().rposition(|edge| *edge <= value).unwrap_or_default();
        let edges = &EDGES[below(first)..=below(last)];
        let upper = |index: usize| EDGES.get(below(first) + index + 1).copied();
        let inside = |index: usize| {
            let (from, to) = (edges[index], upper(index).unwrap_or(u64::MAX));
            sorted.iter().filter(|value| (from..to).contains(*value)).count()
        };
        let numbers: Vec<usize> = (0..edges.len()).map(inside).collect();
        let most = numbers.iter().copied().max().unwrap_or_default().max(1);
        let count = i64::try_from(edges.len()).unwrap_or(1);
        // Halves of columns, so that the middle of a column is a place as well.
        let place = |halves: i64| Percent::of(halves, count * 2);
        let column = |(index, number): (i64, &usize)| {
            let height = number * HEIGHT / most;
            let at = usize::try_from(index).unwrap_or_default();
            Column {
                from: place(index * 2),
                width: place(2),
                middle: place(index * 2 + 1),
                y: TOP + HEIGHT - height,
                height,
                number: Some(*number).filter(|number| *number > 0),
                title: format!(
                    "{} took {}",
                    counted(u64::try_from(*number).unwrap_or(u64::MAX), "drain"),
                    between(edges[at], upper(at))
                ),
            }
        };
        let ends = edges.iter().copied().map(Some).chain([upper(edges.len() - 1)]).enumerate();
        let tick = |(index, edge): (usize, Option<u64>)| {
            let at = place(i64::try_from(index).unwrap_or_default() * 2);
            let anchor = match index {
                0 => "start",
                last if last == edges.len() => "end",
                _ => "middle",
            };
            // Many columns have no room for all times on a narrow screen.
            let label =
                i64::try_from(edge.filter(|_| edges.len() <= 8 || index % 2 == 0)?).map(short).unwrap_or_default();
            Some(Tick { at, label, anchor })
        };
        Some(Self {
            title: format!(
                "The lengths of {}, from {} to {}",
                counted(u64::try_from(sorted.len()).unwrap_or(u64::MAX), "drain"),
                length(first),
                length(last)
            ),
            columns: (0..count).zip(&numbers).map(column).collect(),
            ticks: ends.filter_map(tick).collect(),
        })
    }
}

fn between(from: u64, to: Option<u64>) -> String {
    let text = |millis: u64| i64::try_from(millis).map(short).unwrap_or_default();
    match to {
        Some(to) if from == 0 => format!("less than {}", text(to)),
        Some(to) => format!("{} to {}", text(from), text(to)),
        None => format!("{} or longer", text(from)),
    }
}

/// The lower edges of the columns, in milliseconds.
const EDGES: [u64; 12] = [0, 100, 500, 1000, 2000, 5000, 10_000, 30_000, 60_000, 300_000, 900_000, 3_600_000];

/// The room above the columns for their numbers, and the height of the highest, in CSS pixels; as in the template.
const TOP: usize = 18;
const HEIGHT: usize = 90;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_span_the_lengths_and_have_their_numbers() {
        let drawn = Histogram::new(&[120, 700, 700, 800, 4000]).unwrap();
        let numbers: Vec<_> = drawn.columns.iter().map(|column| (column.number, column.height)).collect();
        assert_eq!(numbers, [(Some(1), 30), (Some(3), 90), (None, 0), (Some(1), 30)]);
        let ticks: Vec<_> = drawn.ticks.iter().map(|tick| tick.label.as_str()).collect();
        assert_eq!(ticks, ["100ms", "500ms", "1s", "2s", "5s"]);
        assert_eq!(drawn.columns[1].title, "3 drains took 500ms to 1s");
        assert_eq!(drawn.columns[1].middle.to_string(), "37.500%");
    }

    #[test]
    fn the_shortest_and_the_longest_lengths_have_columns() {
        let drawn = Histogram::new(&[0, 90_000_000]).unwrap();
        assert_eq!(drawn.columns.len(), EDGES.len());
        assert_eq!(drawn.columns[0].title, "1 drain took less than 100ms");
        assert_eq!(drawn.columns[EDGES.len() - 1].title, "1 drain took 1h or longer");
        assert_eq!(drawn.ticks.len(), EDGES.len() / 2);
        assert!(Histogram::new(&[]).is_none());
    }
}
