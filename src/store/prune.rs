//! Deletes old and surplus records from the store, in small steps, so that changes can be committed between them.

use std::collections::BTreeSet;

use jiff::Timestamp;
use rusqlite::{Connection, Transaction, params, params_from_iter};

use super::thin::thin;
use crate::farm::{Hold, RunId};
use crate::plan::Run;

/// The limits of the records that the store keeps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Keep {
    /// Runs that ended before this time are deleted, with their events.
    pub runs: Timestamp,
    /// Events before this time are deleted.
    pub events: Timestamp,
    /// Hook output before this time is deleted.
    pub hook_output: Timestamp,
    /// Of drains and watches that ended before this time, fewer points are kept.
    pub points: Timestamp,
    /// The greatest size of all records, in bytes. Above this size the oldest records are deleted, hook output first.
    pub size: u64,
}

/// The records that were deleted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pruned {
    /// The deleted runs.
    pub runs: BTreeSet<RunId>,
    /// The number of deleted events, without hook output.
    pub events: u64,
    /// The number of deleted events of hook output.
    pub hook_output: u64,
    /// The number of deleted records of drains by hand; the drains of a run are deleted with the run.
    pub drains: u64,
    /// The number of drains and watches of which fewer points are kept now.
    pub thinned: u64,
}

impl Pruned {
    /// Whether no record was deleted.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Adds the records of another step.
    pub fn extend(&mut self, more: Self) {
        self.runs.extend(more.runs);
        self.events += more.events;
        self.hook_output += more.hook_output;
        self.drains += more.drains;
        self.thinned += more.thinned;
    }
}

/// Deletes at most `limit` events, and the runs that have no event left.
pub(super) fn prune(transaction: &Transaction<'_>, keep: &Keep, limit: usize) -> rusqlite::Result<Pruned> {
    let kept = kept(transaction)?;
    let mut found = Deletable { limit, ..Deletable::default() };
    let before = |at: Timestamp| at.strftime("%Y-%m-%dT%H:%M:%S").to_string();
    found.add_output(transaction, &before(keep.hook_output), &kept)?;
    found.add_events(transaction, &before(keep.events), &kept)?;
    found.add_runs(transaction, keep.runs, &kept)?;
    if found.is_empty() && size(transaction)? > keep.size {
        found.add_output(transaction, AFTER_ALL, &kept)?;
        if found.is_empty() {
            found.add_runs(transaction, Timestamp::MAX, &kept)?;
        }
        if found.is_empty() {
            found.add_events(transaction, AFTER_ALL, &kept)?;
        }
    }
    // The drains of runs are deleted with their runs; these are drains by hand.
    let old = "SELECT id FROM drains WHERE run IS NULL AND ended < ?1 ORDER BY ended LIMIT ?2";
    let old = format!("DELETE FROM drains WHERE id IN ({old})");
    let drains = transaction.execute(&old, params![before(keep.events), limit])?;
    let pruned = found.delete(transaction)?;
    let thinned = thin(transaction, &before(keep.points), limit)?;
    Ok(Pruned { drains: drains as u64, thinned, ..pruned })
}

/// The records to delete.
#[derive(Default)]
struct Deletable {
    /// The greatest number of events.
    limit: usize,
    events: BTreeSet<u64>,
    runs: BTreeSet<RunId>,
}

impl Deletable {
    fn is_empty(&self) -> bool {
        self.events.is_empty() && self.runs.is_empty()
    }

    fn add_output(&mut self, connection: &Connection, before: &str, kept: &str) -> rusqlite::Result<()> {
        let condition =
            format!("kind = 'hook.output' AND at < ?1 AND (run IS NULL OR run NOT IN ({kept})) ORDER BY at");
        self.add(connection, &condition, before).map(drop)
    }

    fn add_events(&mut self, connection: &Connection, before: &str, kept: &str) -> rusqlite::Result<()> {
        let condition = format!("at < ?1 AND (run IS NULL OR run NOT IN ({kept})) ORDER BY at");
        self.add(connection, &condition, before).map(drop)
    }

    /// Adds old runs whose events can all be deleted in this step or are deleted already.
    fn add_runs(&mut self, connection: &Connection, before: Timestamp, kept: &str) -> rusqlite::Result<()> {
        let oldest = format!("SELECT json FROM runs WHERE NOT active AND id NOT IN ({kept}) ORDER BY id LIMIT {RUNS}");
        let mut statement = connection.prepare(&oldest)?;
        let oldest = statement.query_map([], |row| row.get::<_, String>(0))?.collect::<rusqlite::Result<Vec<_>>>()?;
        // A run that cannot be read is kept, and a verification of the store reports it.
        let oldest = oldest.iter().filter_map(|json| serde_json::from_str::<Run>(json).ok());
        for run in oldest.filter(|run| run.finished.unwrap_or(run.started) < before) {
            if self.events.len() >= self.limit {
                break;
            }
            if self.add(connection, "run = ?1 ORDER BY id", &run.id.to_string())? {
                self.runs.insert(run.id);
            }
            // For the size, one run is deleted at a time.
            if before == Timestamp::MAX {
                break;
            }
        }
        Ok(())
    }

    /// Adds matching events up to the limit of a step. Returns whether all matching events fit.
    fn add(&mut self, connection: &Connection, condition: &str, value: &str) -> rusqlite::Result<bool> {
        let room = self.limit.saturating_sub(self.events.len());
        let mut statement =
            connection.prepare(&format!("SELECT id FROM events WHERE {condition} LIMIT {}", room + 1))?;
        let ids = statement.query_map([value], |row| row.get(0))?.collect::<rusqlite::Result<Vec<u64>>>()?;
        let all_fit = ids.len() <= room;
        self.events.extend(ids.into_iter().take(room));
        Ok(all_fit)
    }

    fn delete(self, transaction: &Transaction<'_>) -> rusqlite::Result<Pruned> {
        let mut permit = transaction.prepare("INSERT INTO prunable VALUES (?1)")?;
        for id in &self.events {
            permit.execute([id])?;
        }
        let output = "SELECT count(*) FROM events WHERE kind = 'hook.output' AND id IN (SELECT id FROM prunable)";
        let hook_output: u64 = transaction.query_row(output, [], |row| row.get(0))?;
        let deleted = transaction.execute("DELETE FROM events WHERE id IN (SELECT id FROM prunable)", [])?;
        transaction.execute("DELETE FROM prunable", [])?;
        let places = vec!["?"; self.runs.len()].join(", ");
        let ids = params_from_iter(self.runs.iter().map(|id| id.0));
        transaction.execute(&format!("DELETE FROM runs WHERE id IN ({places})"), ids.clone())?;
        transaction.execute(&format!("DELETE FROM drains WHERE run IN ({places})"), ids.clone())?;
        transaction.execute(&format!("DELETE FROM watches WHERE run IN ({places})"), ids)?;
        Ok(Pruned {
            runs: self.runs,
            events: (deleted as u64).saturating_sub(hook_output),
            hook_output,
            ..Pruned::default()
        })
    }
}

/// The runs that are kept with all their events, whatever their age: active runs, and runs whose holds exist.
fn kept(connection: &Connection) -> rusqlite::Result<String> {
    let mut active = connection.prepare("SELECT id FROM runs WHERE active")?;
    let mut kept: BTreeSet<u64> = active.query_map([], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?;
    let mut holds = connection.prepare("SELECT json FROM holds")?;
    let holds = holds.query_map([], |row| row.get::<_, String>(0))?.collect::<rusqlite::Result<Vec<_>>>()?;
    let holds = holds.iter().filter_map(|json| serde_json::from_str::<Hold>(json).ok());
    kept.extend(holds.filter_map(|hold| hold.owner.run()).map(|id| id.0));
    Ok(kept.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "))
}

/// The size of all records, in bytes. The file may be larger, because it keeps the space of deleted records.
fn size(connection: &Connection) -> rusqlite::Result<u64> {
    let number = |name| connection.query_row(&format!("PRAGMA {name}"), [], |row| row.get::<_, u64>(0));
    Ok((number("page_count")?.saturating_sub(number("freelist_count")?)).saturating_mul(number("page_size")?))
}

/// How many runs one step examines.
const RUNS: usize = 16;

/// A text that sorts after the time of every event.
const AFTER_ALL: &str = "9";

#[cfg(test)]
mod tests {
    use super::super::{EventQuery, SqliteStore, Store};
    use super::*;
    use crate::state::NewEvent;

    fn event(at: &str, kind: &'static str, text: &str) -> NewEvent {
        let at = at.parse().unwrap();
        NewEvent { at, kind, text: text.to_owned(), run: None, hold: None, caller: None, changed: Vec::new() }
    }

    fn keep(events: &str, hook_output: &str) -> Keep {
        let (events, hook_output) = (events.parse().unwrap(), hook_output.parse().unwrap());
        Keep { runs: Timestamp::MIN, events, hook_output, points: Timestamp::MIN, size: u64::MAX }
    }

    fn texts(store: &SqliteStore) -> Vec<String> {
        let events = store.events(EventQuery { limit: 10_000, ..EventQuery::default() }).unwrap();
        events.into_iter().map(|event| event.text).collect()
    }

    #[test]
    fn old_records_are_deleted_in_steps_and_the_first_step_records_an_event() {
        let store = SqliteStore::in_memory().unwrap();
        let (old, new) = ("2024-05-01T10:00:00.5Z", "2026-05-01T10:00:00Z");
        let mut all: Vec<_> = (0..5).map(|_| event(old, "x", "old")).collect();
        all.extend((0..2).map(|_| event(old, "hook.output", "old output")));
        all.extend((0..3).map(|_| event("2026-03-01T10:00:00Z", "hook.output", "output")));
        all.extend([event(new, "hook.output", "new output"), event(new, "x", "new")]);
        store.record(&all).unwrap();
        let keep = keep("2025-01-01T00:00:00Z", "2026-04-01T00:00:00Z");
        let begun = event(new, "store.pruning", "begun");
        let (mut deleted, mut steps) = (Pruned::default(), 0);
        loop {
            let step = store.prune(&keep, 4, Some(&begun).filter(|_| steps == 0)).unwrap();
            if step.is_empty() {
                break;
            }
            assert!(step.events + step.hook_output <= 4, "{step:?}");
            deleted.extend(step);
            steps += 1;
        }
        assert_eq!((deleted.events, deleted.hook_output, steps), (5, 5, 3));
        assert_eq!(texts(&store), ["new output", "new", "begun"]);
        // A step that deletes nothing records nothing, and no other statement can delete events.
        assert!(store.prune(&keep, 4, Some(&begun)).unwrap().is_empty());
        assert_eq!(texts(&store).len(), 3);
        assert_eq!(store.verify().unwrap().problems, Vec::<String>::new());
    }

    #[test]
    fn surplus_records_are_deleted_oldest_first_and_output_before_others() {
        let store = SqliteStore::in_memory().unwrap();
        let long = "y".repeat(1000);
        let nth = |n: usize| match n / 200 {
            0 => event(&format!("2026-05-{:02}T10:00:00Z", n % 10 + 1), "x", &long),
            _ => event(&format!("2026-05-{:02}T10:00:00Z", n / 20 + 1), "hook.output", &long),
        };
        store.record(&(0..400).map(nth).collect::<Vec<_>>()).unwrap();
        let keep = Keep { size: 450 << 10, ..keep("2020-01-01T00:00:00Z", "2020-01-01T00:00:00Z") };
        let mut deleted = Pruned::default();
        while let Some(step) = Some(store.prune(&keep, 10, None).unwrap()).filter(|step| !step.is_empty()) {
            deleted.extend(step);
        }
        assert!(deleted.events == 0 && (20..200).contains(&deleted.hook_output), "{deleted:?}");
        let left = store.events(EventQuery { limit: 1000, ..EventQuery::default() }).unwrap();
        let output = left.iter().filter(|event| event.kind == "hook.output").map(|event| event.at).min();
        let others = left.iter().map(|event| event.at).min();
        assert!(output > others, "{output:?} {others:?}");
        // With a size of zero all records are deleted, and then nothing is left to do.
        let keep = Keep { size: 0, ..keep };
        while !store.prune(&keep, 100, None).unwrap().is_empty() {}
        assert_eq!(texts(&store).len(), 0);
    }
}
