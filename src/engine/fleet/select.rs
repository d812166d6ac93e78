//! The server lines that selectors name.

use std::collections::BTreeSet;

use crate::engine::error::{EngineError, Message};
use crate::engine::fleet::Fleet;
use crate::engine::fleet::reports::Reports;
use crate::farm::{Entry, Lines, Selector};

impl Fleet {
    /// Finds every line that the selectors name.
    pub(crate) fn resolve(&self, selectors: &[Selector], reports: &Reports) -> Result<BTreeSet<Entry>, EngineError> {
        if selectors.is_empty() {
            return Err(EngineError::Usage(Message::new("no server is named")));
        }
        let (seen, farms) = (reports.seen(), self.farms());
        let lines = Lines::new(&farms, &seen);
        let mut entries = BTreeSet::new();
        for selector in selectors {
            entries.extend(find_lines(selector, &lines, reports)?);
        }
        Ok(entries)
    }
}

/// The lines that one of several selectors names.
pub(crate) fn find_lines(
    selector: &Selector,
    lines: &Lines<'_>,
    reports: &Reports,
) -> Result<BTreeSet<Entry>, EngineError> {
    selector.find(lines).map_err(|error| match reports.silent() {
        // An instance that does not answer may have the server.
        Some(silence) if !matches!(error, crate::farm::SelectError::Malformed { .. }) => {
            EngineError::Unreachable(format!("{error}; {silence}"))
        }
        _ => error.into(),
    })
}
