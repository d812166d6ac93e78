//! The summary of a status: how many servers are in which state.

use std::fmt;

use super::rows::Row;
use crate::cli::args::ServerState;

/// Numbers of servers, each counted once with the lines that track it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(in crate::cli) struct Summary {
    pub(in crate::cli) up: usize,
    pub(in crate::cli) down: usize,
    pub(in crate::cli) held: usize,
    pub(in crate::cli) out: usize,
    pub(in crate::cli) unknown: usize,
    /// Requests in flight on all of them.
    pub(in crate::cli) in_flight: u64,
}

impl Summary {
    /// Counts these rows.
    pub(super) fn of<'a>(rows: impl IntoIterator<Item = &'a Row<'a>>) -> Self {
        let mut summary = Self::default();
        for row in rows {
            summary.add(row.state, row.in_flight());
        }
        summary
    }

    /// Counts a server in this state, with so many requests in flight.
    pub(in crate::cli) fn add(&mut self, state: ServerState, in_flight: u64) {
        let count = match state {
            ServerState::Up => &mut self.up,
            ServerState::Down => &mut self.down,
            ServerState::Held => &mut self.held,
            ServerState::Out => &mut self.out,
            ServerState::Unknown => &mut self.unknown,
        };
        *count += 1;
        self.in_flight += in_flight;
    }

    /// The number of servers.
    pub(in crate::cli) fn servers(&self) -> usize {
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
