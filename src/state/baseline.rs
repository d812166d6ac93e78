//! Baselines: the states of servers before their first hold, as changes to store together with that hold.

use std::collections::BTreeSet;

use super::{Change, Observed, State};
use crate::farm::{Baseline, Entry};

impl State {
    /// The baselines to store when these lines get a hold: the observed states of lines that had none. A change that
    /// was made outside teeter against an earlier hold is forgotten when the line is taken out again.
    pub fn new_baselines(&self, entries: &BTreeSet<Entry>, observed: &Observed<'_>) -> Vec<Change> {
        let new = |entry: &Entry| match self.baselines.get(entry) {
            Some(known) => known.overruled.map(|_| Baseline { overruled: None, ..known.clone() }),
            None => {
                let server = observed.server(entry)?;
                Some(Baseline { origin: observed.origin(entry), ..server.baseline() })
            }
        };
        entries.iter().filter_map(|entry| Some(Change::PutBaseline(entry.clone(), new(entry)?))).collect()
    }

    /// The baselines of these lines, marked to have their weights restored after the last hold.
    pub(super) fn weighed_baselines(&self, entries: &BTreeSet<Entry>, observed: &Observed<'_>) -> Vec<Change> {
        let known = entries.iter().filter_map(|entry| Some((entry, self.baselines.get(entry)?)));
        let known = known.map(|(entry, was)| Change::PutBaseline(entry.clone(), was.clone()));
        let all = known.chain(self.new_baselines(entries, observed));
        all.map(|change| match change {
            Change::PutBaseline(entry, was) => Change::PutBaseline(entry, Baseline { weighed: true, ..was }),
            other => other,
        })
        .collect()
    }
}
