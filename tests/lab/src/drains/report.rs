//! The report: the results by kind of traffic.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::PoisonError;
use std::sync::atomic::Ordering;

use super::clients::Book;
use super::judge::Drained;
use super::kinds::Kind;

/// The results of many drains and of the traffic around them.
#[derive(Debug)]
pub struct DrainsReport {
    seed: u64,
    haproxy: String,
    kinds: BTreeMap<Kind, Row>,
    /// The drains whose server was not empty.
    pub violations: Vec<String>,
    /// The first few requests that failed although no server refused them.
    pub failures: Vec<String>,
}

#[derive(Debug, Default)]
struct Row {
    drains: usize,
    violations: usize,
    requests: u64,
    failed: u64,
    latencies: Vec<f64>,
}

/// The number of failures that are kept of each kind.
const COMPLAINTS: usize = 3;

impl DrainsReport {
    pub(crate) fn new(seed: u64, haproxy: String) -> Self {
        Self { seed, haproxy, kinds: BTreeMap::new(), violations: Vec::new(), failures: Vec::new() }
    }

    pub(crate) fn traffic(&mut self, kind: Kind, book: &Book) {
        let row = self.kinds.entry(kind).or_default();
        row.requests += book.requests.load(Ordering::SeqCst);
        row.failed += book.failed.load(Ordering::SeqCst);
        if !kind.refuses() {
            let complaints = book.complaints.lock().unwrap_or_else(PoisonError::into_inner);
            self.failures.extend(complaints.iter().take(COMPLAINTS).cloned());
        }
    }

    pub(crate) fn drains(&mut self, all: Vec<Drained>) {
        for drained in all {
            let row = self.kinds.entry(drained.kind).or_default();
            row.drains += 1;
            row.latencies.extend(drained.latency);
            row.violations += usize::from(drained.violation.is_some());
            self.violations.extend(drained.violation);
        }
    }

    /// Drains of one kind.
    pub fn count(&self, kind: Kind) -> usize {
        self.kinds.get(&kind).map_or(0, |row| row.drains)
    }
}

/// The smallest value that is not below `share` of all.
fn percentile(values: &mut [f64], share: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    let rank = (share * values.len() as f64).ceil() as usize;
    values.get(rank.max(1) - 1).copied().unwrap_or(f64::NAN)
}

impl fmt::Display for DrainsReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "HAProxy {}, seed {}", self.haproxy, self.seed)?;
        writeln!(
            f,
            "{:18}{:>8}{:>12}{:>10}{:>8}{:>9}{:>9}{:>9}",
            "traffic", "drains", "violations", "requests", "failed", "waited", "p50 ms", "p99 ms"
        )?;
        let mut row = |name: &str, row: &Row| {
            let mut latencies = row.latencies.clone();
            let [p50, p99] = [0.5, 0.99].map(|share| percentile(&mut latencies, share));
            let Row { drains, violations, requests, failed, .. } = row;
            let waited = latencies.len();
            writeln!(f, "{name:18}{drains:>8}{violations:>12}{requests:>10}{failed:>8}{waited:>9}{p50:>9.1}{p99:>9.1}")
        };
        let mut all = Row::default();
        for (kind, counts) in &self.kinds {
            row(kind.backend(), counts)?;
            all.drains += counts.drains;
            all.violations += counts.violations;
            all.requests += counts.requests;
            all.failed += counts.failed;
            all.latencies.extend(&counts.latencies);
        }
        row("all", &all)?;
        for (what, lines) in [("violation", &self.violations), ("failure", &self.failures)] {
            for line in lines {
                writeln!(f, "{what}: {line}")?;
            }
        }
        Ok(())
    }
}
