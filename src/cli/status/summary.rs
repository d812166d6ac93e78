//! The summary of a status: how many servers are in which state.

use std::fmt;

use super::rows::Row;
use crate::cli::args::ServerState;

/// Numbers of servers, each counted once with the lines that track it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Summary {
    pub(super) up: usize,
    pub(super) down: usize,
    pub(super) held: usize,
    pub(super) out: usize,
    pub(super) unknown: usize,
    /// Requests in flight on all of them.
    pub(super) in_flight: u64,
}

impl Summary {
    /// Counts these rows.
    pub(super) fn of<'a>(rows: impl IntoIterator<Item = &'a Row<'a>>) -> Self {
        let mut summary = Self::default();
        for row in rows {
            let count = match row.state {
                ServerState::Up => &mut summary.up,
                ServerState::Down => &mut summary.down,
                ServerState::Held => &mut summary.held,
                ServerState::Out => &mut summary.out,
                ServerState::Unknown => &mut summary.unknown,
            };
            *count += 1;
            summary.in_flight += row.in_flight();
        }
        summary
    }

    /// The number of servers.
    pub(super) fn servers(&self) -> usize {
        self.up + self.down + self.held + self.out + self.unknown
    }
}

/// `386 up, 10 down, 4 held`: always the same words in the same order. A state without servers is left out, except
/// `up`.
impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} up", self.up)?;
        let others = [(self.down, "down"), (self.held, "held"), (self.out, "out"), (self.unknown, "unknown")];
        others.into_iter().filter(|(count, _)| *count > 0).try_for_each(|(count, word)| write!(f, ", {count} {word}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_summary_has_the_same_words_in_the_same_order() {
        assert_eq!(Summary::default().to_string(), "0 up");
        let all = Summary { up: 386, down: 10, held: 4, out: 1, unknown: 2, in_flight: 7 };
        assert_eq!((all.to_string().as_str(), all.servers()), ("386 up, 10 down, 4 held, 1 out, 2 unknown", 403));
    }
}
