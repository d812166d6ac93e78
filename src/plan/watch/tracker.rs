//! Counting what server lines were given since a moment, also across HAProxy processes.

use std::collections::BTreeMap;

use super::bursts::Bursts;
use crate::farm::{Counts, Entry, Process};

/// What one side was given since a moment, and when its failures came.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counted {
    /// The sum over its lines and over all HAProxy processes.
    pub counts: Counts,
    /// When it answered with 5xx.
    pub bursts_5xx: Bursts,
    /// When requests to it failed.
    pub bursts_errors: Bursts,
}

impl Counted {
    /// Takes over what was counted until now: what is new of it came at one moment.
    pub fn count_until(&mut self, now: Counts) {
        let fresh = now.since(self.counts);
        self.bursts_5xx.add(fresh.requests, fresh.hrsp_5xx);
        self.bursts_errors.add(fresh.requests, fresh.errors);
        self.counts = now;
    }
}

/// The counters of a line at a look, and the process that counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Look {
    /// The process.
    pub process: Process,
    /// Its counters of the line.
    pub counts: Counts,
}

/// Counts what lines were given. It begins with the counters of a moment, and is shown the counters of each look.
#[derive(Debug, Clone, Default)]
pub struct Tracker {
    lines: BTreeMap<Entry, Line>,
    /// What was counted before.
    before: Counts,
    counted: Counted,
}

/// One line.
#[derive(Debug, Clone, Copy)]
struct Line {
    last: Look,
    /// What was counted since the beginning.
    sum: Counts,
}

impl Tracker {
    /// Counts from these looks on.
    pub fn since(looks: impl IntoIterator<Item = (Entry, Look)>) -> Self {
        let line = |(entry, last)| (entry, Line { last, sum: Counts::default() });
        Self { lines: looks.into_iter().map(line).collect(), ..Self::default() }
    }

    /// Adds what was counted before.
    #[must_use]
    pub fn with(self, counted: Counted) -> Self {
        Self { before: counted.counts, counted, ..self }
    }

    /// Whether it counts exactly these lines.
    pub fn counts_lines<'a>(&self, entries: impl Iterator<Item = &'a Entry>) -> bool {
        let mut number = 0;
        let all_known = { entries }.all(|entry| {
            number += 1;
            self.lines.contains_key(entry)
        });
        all_known && number == self.lines.len()
    }

    /// Adds a look at every line that was seen. A process that is seen for the first time may have begun with counters
    /// of another process (`stats-file`), so its first look is only the measure of the next ones. The same holds for
    /// counters that an operator has cleared, and for a line that is new.
    pub fn add(&mut self, look: impl Fn(&Entry) -> Option<Look>) {
        for (entry, line) in &mut self.lines {
            let Some(now) = look(entry) else { continue };
            let goes_on = now.process.is_same(&line.last.process) && now.counts.requests >= line.last.counts.requests;
            if goes_on {
                line.sum = line.sum.plus(now.counts.since(line.last.counts));
            }
            // HAProxy's time of an answer is an average of the latest ones.
            line.sum.time = now.counts.average() * line.sum.requests;
            line.last = now;
        }
        self.counted.count_until(self.lines.values().fold(self.before, |sum, line| sum.plus(line.sum)));
    }

    /// What was counted so far.
    pub fn counted(&self) -> &Counted {
        &self.counted
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn look(pid: u32, requests: u64, hrsp_5xx: u64) -> Look {
        let counts = Counts { requests, hrsp_5xx, errors: 0, time: requests * 10 };
        Look { process: Process { pid, started: Some(u64::from(pid)) }, counts }
    }

    fn tracker(start: Look) -> (Tracker, Entry) {
        let entry: Entry = "edge:app/w1".to_owned().try_into().unwrap();
        (Tracker::since([(entry.clone(), start)]), entry)
    }

    #[test]
    fn another_process_goes_on_counting_from_its_first_look() {
        let (mut tracker, entry) = tracker(look(1, 1000, 10));
        for seen in [look(1, 1100, 12), look(2, 40, 0), look(2, 50, 1), look(3, 90_000, 900), look(3, 90_010, 900)] {
            tracker.add(|asked| (*asked == entry).then_some(seen));
        }
        let counts = tracker.counted().counts;
        assert_eq!((counts.requests, counts.hrsp_5xx, counts.average()), (120, 3, 10));
    }

    #[test]
    fn cleared_counters_lose_nothing_that_was_counted() {
        let (mut tracker, _) = tracker(look(1, 1000, 10));
        for seen in [Some(look(1, 1100, 12)), None, Some(look(1, 5, 0)), Some(look(1, 25, 1))] {
            tracker.add(|_| seen);
        }
        assert_eq!(tracker.counted().counts, Counts { requests: 120, hrsp_5xx: 3, errors: 0, time: 1200 });
    }

    #[test]
    fn tracker_knows_its_lines() {
        let (tracker, entry) = tracker(look(1, 0, 0));
        let other: Entry = "edge:app/w2".to_owned().try_into().unwrap();
        assert!(tracker.counts_lines([&entry].into_iter()));
        assert!(!tracker.counts_lines([&other].into_iter()) && !tracker.counts_lines([&entry, &other].into_iter()));
        assert!(!tracker.counts_lines([].into_iter()));
    }
}
