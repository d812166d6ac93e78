//! The recent numbers of requests in flight, as a small curve.

use std::collections::{BTreeMap, VecDeque};

use super::text::Marks;
use crate::api::RunServerView;

/// The last samples of each server, one a second.
#[derive(Debug, Default)]
pub(in crate::cli) struct Trends(BTreeMap<String, VecDeque<u64>>);

impl Trends {
    /// Adds a sample of each server, and forgets servers that are not among them.
    pub(in crate::cli) fn add(&mut self, servers: &[RunServerView]) {
        self.0.retain(|name, _| servers.iter().any(|server| server.name == *name));
        for server in servers {
            let samples = self.0.entry(server.name.clone()).or_default();
            samples.push_back(server.in_flight);
            while samples.len() > SAMPLES {
                samples.pop_front();
            }
        }
    }

    /// The curve of a server; empty while there are less than two samples, or only zeros.
    pub(super) fn curve(&self, server: &str, marks: Marks) -> String {
        let samples = self.0.get(server).map(VecDeque::as_slices).unwrap_or_default();
        curve(&[samples.0, samples.1].concat(), marks)
    }
}

/// Samples as a curve, one character each; empty if there are less than two, or only zeros.
pub(in crate::cli) fn curve(samples: &[u64], marks: Marks) -> String {
    let most = samples.iter().copied().max().unwrap_or(0);
    if samples.len() < 2 || most == 0 {
        return String::new();
    }
    let last = marks.levels.len() as u64 - 1;
    let level = |sample: u64| (sample.saturating_mul(last)).div_ceil(most).min(last);
    samples.iter().filter_map(|sample| marks.levels.get(usize::try_from(level(*sample)).ok()?)).collect()
}

/// The length of a curve.
const SAMPLES: usize = 12;
