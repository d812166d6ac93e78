//! Verifies every record of a store, and the references between records. Records are read one at a time, because a
//! store may be larger than memory.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use rusqlite::Connection;
use serde::de::DeserializeOwned;

use super::schema::counter;
use super::verify::Verified;
use crate::farm::{Baseline, Entry, Hold, HoldId, Owner, Route, RunId};
use crate::plan::Run;
use crate::state::{Caller, DrainRecord, WatchRecord};

/// Reads every record. Only holds and active runs are kept in memory.
pub(super) fn records(connection: &Connection) -> rusqlite::Result<Verified> {
    let mut problems = Problems::default();
    let mut holds = BTreeMap::<HoldId, Hold>::new();
    let query = "SELECT CAST(id AS TEXT), json FROM holds";
    let hold_count = each_record::<Hold>(connection, "hold", query, &mut problems, |problems, key, hold| {
        problems.expect(key == hold.id.to_string(), || format!("the record of hold {key} has number {}", hold.id));
        holds.insert(hold.id, hold);
    })?;
    let mut baselines = BTreeSet::new();
    let query = "SELECT entry, json FROM baselines";
    let baseline_count = each_record::<Baseline>(connection, "baseline", query, &mut problems, |problems, key, _| {
        let entry = Entry::try_from(key.clone());
        match entry {
            Ok(entry) => {
                baselines.insert(entry);
            }
            Err(error) => problems.add(format!("baseline {key}: {error}")),
        }
    })?;
    let query = "SELECT farm, json FROM routes";
    let routes = each_record::<Route>(connection, "route", query, &mut problems, |problems, key, route| {
        problems.expect(key == route.farm.as_str(), || {
            format!("the record of farm {key}'s route names farm {}", route.farm)
        });
    })?;
    let active = "SELECT CAST(id AS TEXT) FROM runs WHERE active";
    let mut statement = connection.prepare(active)?;
    let listed: BTreeSet<String> = statement.query_map([], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?;
    let (mut active, mut last) = (BTreeMap::<RunId, Run>::new(), None);
    // The holds of each run whose record has not been read yet.
    let mut unowned: BTreeMap<RunId, Vec<HoldId>> = BTreeMap::new();
    for hold in holds.values() {
        if let Owner::Run(run) = hold.owner {
            unowned.entry(run).or_default().push(hold.id);
        }
    }
    let query = "SELECT CAST(id AS TEXT), json FROM runs ORDER BY id";
    let runs = each_record::<Run>(connection, "run", query, &mut problems, |problems, key, run| {
        problems.expect(key == run.id.to_string(), || format!("the record of run {key} has number {}", run.id));
        let (listed, is_active) = (listed.contains(&run.id.to_string()), run.is_active());
        let differs = || format!("run {} is listed as active: {listed}; active by its record: {is_active}", run.id);
        problems.expect(listed == is_active, differs);
        let steps = run.plan.steps.len();
        problems.expect(run.cursor <= steps, || format!("run {} is at step {} of {steps}", run.id, run.cursor));
        unowned.remove(&run.id);
        last = last.max(Some(run.id.0));
        if is_active {
            active.insert(run.id, run);
        }
    })?;
    for (run, hold) in unowned.iter().flat_map(|(run, holds)| holds.iter().map(move |hold| (run, hold))) {
        problems.add(format!("hold {hold} belongs to run {run}, which does not exist"));
    }
    let revision = counter(connection, "revision")?;
    references(&holds, &baselines, &active, revision, &mut problems);
    for (kind, next, last) in [
        ("hold", counter(connection, "hold")?, holds.keys().next_back().map(|id| id.0)),
        ("run", counter(connection, "run")?, last),
    ] {
        let used = last.is_some_and(|last| last >= next);
        problems.expect(!used, || format!("the next {kind} would get number {next}, which is used"));
    }
    let query = "SELECT CAST(id AS TEXT), json FROM drains ORDER BY id";
    let drains = each_record::<DrainRecord>(connection, "drain", query, &mut problems, |problems, key, drain| {
        let ordered = drain.began <= drain.ended;
        problems.expect(ordered, || format!("drain {key} ended at {}, before it began", drain.ended));
    })?;
    let all = "SELECT CAST(id AS TEXT), json FROM watches ORDER BY id";
    let watches = each_record::<WatchRecord>(connection, "watch", all, &mut problems, |problems, key, watch| {
        let ordered = watch.began <= watch.ended;
        problems.expect(ordered, || format!("watch {key} ended at {}, before it began", watch.ended));
    })?;
    let events = events(connection, &mut problems)?;
    let (holds, baselines, problems) = (hold_count, baseline_count, problems.into_list());
    Ok(Verified { schema: 0, revision, holds, baselines, routes, runs, drains, watches, events, problems })
}

/// Verifies the references between records.
fn references(
    holds: &BTreeMap<HoldId, Hold>,
    baselines: &BTreeSet<Entry>,
    active: &BTreeMap<RunId, Run>,
    revision: u64,
    problems: &mut Problems,
) {
    for (id, hold) in holds {
        for entry in hold.entries.iter().filter(|entry| !baselines.contains(entry)) {
            problems.add(format!("hold {id} has {entry}, whose state before the hold is not recorded"));
        }
        let at = hold.revision;
        problems.expect(at <= revision, || format!("hold {id} has revision {at}, and the store has {revision}"));
    }
    for run in active.values() {
        for (group, id) in &run.holds {
            // A missing hold was released or taken over; a hold that exists must belong to the run.
            let other = holds.get(id).filter(|hold| hold.owner != Owner::Run(run.id));
            problems.expect(other.is_none(), || {
                format!("run {} has hold {id} on {group}, which belongs to another owner", run.id)
            });
        }
    }
}

/// Counts the events, and checks that each can be read and that its run exists.
fn events(connection: &Connection, problems: &mut Problems) -> rusqlite::Result<usize> {
    let query = "SELECT id, at, run, caller, run IS NULL OR EXISTS (SELECT 1 FROM runs WHERE runs.id = events.run)
               FROM events ORDER BY id";
    let mut statement = connection.prepare(query)?;
    let mut rows = statement.query([])?;
    let mut count = 0;
    while let Some(row) = rows.next()? {
        count += 1;
        let (id, at): (u64, String) = (row.get(0)?, row.get(1)?);
        let (run, caller, known): (Option<u64>, Option<String>, bool) = (row.get(2)?, row.get(3)?, row.get(4)?);
        problems.expect(at.parse::<Timestamp>().is_ok(), || format!("event {id} has no valid time: {at:?}"));
        if let Some(run) = run.filter(|_| !known) {
            problems.add(format!("event {id} is about run {run}, which does not exist"));
        }
        if let Some(Err(error)) = caller.map(|json| serde_json::from_str::<Caller>(&json)) {
            problems.add(format!("event {id} has a caller that cannot be read: {error}"));
        }
    }
    Ok(count)
}

/// Calls `check` with every record that can be read, and returns their number.
fn each_record<T: DeserializeOwned>(
    connection: &Connection,
    kind: &str,
    sql: &str,
    problems: &mut Problems,
    mut check: impl FnMut(&mut Problems, String, T),
) -> rusqlite::Result<usize> {
    let mut statement = connection.prepare(sql)?;
    let mut rows = statement.query([])?;
    let mut count = 0;
    while let Some(row) = rows.next()? {
        let (key, json): (String, String) = (row.get(0)?, row.get(1)?);
        match serde_json::from_str(&json) {
            Ok(record) => {
                count += 1;
                check(problems, key, record);
            }
            Err(error) => problems.add(format!("{kind} {key} cannot be read: {error}")),
        }
    }
    Ok(count)
}

/// The problems that were found: the first ones, and the number of the others.
#[derive(Default)]
struct Problems {
    first: Vec<String>,
    others: usize,
}

impl Problems {
    fn add(&mut self, problem: String) {
        if self.first.len() < LISTED { self.first.push(problem) } else { self.others += 1 }
    }

    fn expect(&mut self, holds: bool, problem: impl FnOnce() -> String) {
        if !holds {
            self.add(problem());
        }
    }

    fn into_list(mut self) -> Vec<String> {
        if self.others > 0 {
            self.first.push(format!("and {} more problems", self.others));
        }
        self.first
    }
}

/// How many problems are listed.
const LISTED: usize = 100;
