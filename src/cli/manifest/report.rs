//! The result of each deploy of a manifest: a table, or one JSON document.

use jiff::SignedDuration;
use serde::Serialize;

use crate::api::{Exit, RunView};
use crate::cli::error::CliError;
use crate::cli::{clock, print, tables};

/// All deploys of a manifest, in their order.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    pub(super) environment: String,
    pub(super) deploys: Vec<Entry>,
}

/// One deploy of a manifest.
#[derive(Debug, Serialize)]
pub(super) struct Entry {
    pub(super) build: String,
    pub(super) farm: String,
    /// The state of its run, or `planned`, `refused`, `lost`, `interrupted`, `not begun`.
    pub(super) result: String,
    /// The exit code of the deploy; none if it was not started.
    pub(super) exit: Option<u8>,
    /// Why it failed.
    pub(super) why: Option<String>,
    pub(super) run: Option<RunView>,
    #[serde(skip)]
    pub(super) took: Option<SignedDuration>,
}

impl Entry {
    /// Records the result.
    pub(super) fn went(&mut self, result: &str, exit: Exit, why: Option<String>, run: Option<RunView>) {
        let took = |run: &RunView| run.finished.unwrap_or_else(clock::now).duration_since(run.started);
        self.took = run.as_ref().filter(|run| run.id != 0).map(took);
        (self.result, self.exit, self.why, self.run) = (result.to_owned(), Some(exit as u8), why, run);
    }
}

impl Report {
    /// Prints the report.
    ///
    /// # Errors
    /// See [`print::out`].
    pub(super) fn print(&self, json: bool) -> Result<(), CliError> {
        if json { print::json(self) } else { print::out(&self.table()) }
    }

    fn table(&self) -> String {
        let rows = self.deploys.iter().map(|entry| {
            let run = entry.run.as_ref().filter(|run| run.id != 0);
            [
                entry.build.clone(),
                entry.farm.clone(),
                run.map_or_else(|| "-".to_owned(), |run| run.id.to_string()),
                entry.result.clone(),
                entry.took.map_or_else(|| "-".to_owned(), clock::length),
            ]
        });
        tables::columns(["BUILD", "FARM", "RUN", "RESULT", "TIME"], rows, &[2])
    }
}
