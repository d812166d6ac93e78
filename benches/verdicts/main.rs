//! How often a watch is wrong, and how soon it is right: `cargo bench --bench verdicts`, or `make bench-verdicts`.
//!
//! Requests of an old and a new version fail at random, one by one or in bursts of ten. Every 200 ms the counters are
//! judged, as teeterd does, by the same code, and beside it by other rules on the same counters: the rule that teeter
//! had before, a threshold at every look; and the rules in the documentation of Argo Rollouts and of Flagger.
//!
//! Bounds: `TRIALS` watches for each line, 2,000 unless the variable is set; every watch ends by itself.

mod rules;
mod streams;
mod tables;

use std::io;

fn main() -> io::Result<()> {
    // `cargo test --benches` only checks that it starts.
    let is_bench = std::env::args().any(|argument| argument == "--bench");
    let trials = std::env::var("TRIALS").ok().and_then(|text| text.parse().ok()).unwrap_or(2000);
    let trials = if is_bench { trials } else { 2 };
    let mut out = io::stdout().lock();
    tables::false_rollbacks(&mut out, trials)?;
    tables::detection(&mut out, trials.div_ceil(4))?;
    tables::slow_answers(&mut out, trials)
}
