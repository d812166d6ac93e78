//! How often a watch is wrong, and how soon it is right: `make bench-verdicts`.
//!
//! Requests of an old and a new version fail at random, one by one or in bursts of ten. Every 200 ms the counters are
//! judged, as teeterd does, by the same code, and beside it by other rules on the same counters: the rule that teeter
//! had before, a threshold at every look; and the rules in the documentation of Argo Rollouts and of Flagger.
//!
//! Bounds: every watch ends by itself.

mod rules;
mod streams;
mod tables;

use std::io;

use clap::Parser;

#[derive(Parser)]
#[command(about = "Plays watches of two versions, and prints how often each rule is wrong", version)]
struct Cli {
    /// Watches for each line.
    #[arg(long, default_value_t = 2000, value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    trials: u64,
}

fn main() -> io::Result<()> {
    let trials = Cli::parse().trials;
    let mut out = io::stdout().lock();
    tables::false_rollbacks(&mut out, trials)?;
    tables::detection(&mut out, trials.div_ceil(4))?;
    tables::slow_answers(&mut out, trials)
}
