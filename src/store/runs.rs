//! Reading the runs of one farm, the latest first.

use rusqlite::{Connection, params};

use super::{RunQuery, SqliteStore, StoreError};
use crate::plan::Run;

impl SqliteStore {
    /// The runs that match a query, the latest first.
    pub(super) fn runs_of(&self, connection: &Connection, query: &RunQuery) -> Result<Vec<Run>, StoreError> {
        let failed = |source| self.error(source);
        let mut statement = connection.prepare(OF_FARM).map_err(failed)?;
        let mut rows = statement.query(params![query.farm.as_str()]).map_err(failed)?;
        let mut runs: Vec<Run> = Vec::new();
        // SQLite reads a row only when it is asked for, so earlier runs are not read.
        while runs.len() < query.limit
            && let Some(row) = rows.next().map_err(failed)?
        {
            let (key, json): (String, String) = row.get(0).and_then(|key| Ok((key, row.get(1)?))).map_err(failed)?;
            let run: Run = self.read("run", &json)?;
            self.check_key("run", key, &run.id)?;
            if query.since.is_some_and(|since| run.started < since) {
                break;
            }
            runs.push(run);
        }
        Ok(runs)
    }
}

/// The query for the runs of a farm, by their index.
const OF_FARM: &str =
    "SELECT CAST(id AS TEXT), json FROM runs WHERE json_extract(json, '$.plan.farm') = ?1 ORDER BY id DESC";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_of_a_farm_are_found_without_a_look_at_those_of_others() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("t.db");
        drop(SqliteStore::open(&path).unwrap());
        let connection = Connection::open(path).unwrap();
        let plan = format!("EXPLAIN QUERY PLAN {OF_FARM}");
        let plan: String = connection.query_row(&plan, ["web"], |row| row.get(3)).unwrap();
        assert_eq!(plan, "SEARCH runs USING INDEX runs_of_farm (<expr>=?)");
    }
}
