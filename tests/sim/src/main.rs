//! Plays scenarios until one fails: `sim --seeds 2000`. Plays one and prints every event: `sim --seed 17`.

use std::collections::BTreeMap;
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::available_parallelism;
use std::time::Duration;

use clap::Parser;
use teeter_sim::{Finding, Outcome, Scenario, play, shrink};

/// Plays scenarios of deploys, faults and callers in simulated time, and checks invariants after every event.
#[derive(Debug, Parser)]
struct Args {
    /// The number of seeds to play.
    #[arg(long, default_value_t = 2_000)]
    seeds: u64,
    /// The first seed.
    #[arg(long, default_value_t = 0)]
    from: u64,
    /// Play only this seed, and print every event.
    #[arg(long, conflicts_with_all = ["seeds", "from"])]
    seed: Option<u64>,
    /// Remove what a failing seed does not need. This takes a while.
    #[arg(long)]
    shrink: bool,
    /// The number of seeds to play at the same time; by default the number of cores.
    #[arg(long)]
    jobs: Option<usize>,
    /// Stop after this many failed seeds.
    #[arg(long, default_value_t = 1)]
    failures: usize,
}

/// The sums over all seeds.
#[derive(Debug, Default)]
struct Total {
    seeds: u64,
    events: u64,
    requests: u64,
    refused: u64,
    lasted: Duration,
    acts: BTreeMap<&'static str, u64>,
    endings: BTreeMap<String, u64>,
    failed: Vec<(u64, Outcome)>,
}

#[allow(clippy::print_stdout, clippy::print_stderr, reason = "a command line tool")]
fn main() -> ExitCode {
    let args = Args::parse();
    if let Some(seed) = args.seed {
        return play_one(seed, args.shrink);
    }
    let (next, end) = (AtomicU64::new(args.from), args.from + args.seeds);
    let total = Mutex::new(Total::default());
    let jobs = args.jobs.or_else(|| available_parallelism().ok().map(usize::from)).unwrap_or(1);
    std::thread::scope(|scope| {
        for _ in 0..jobs {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= end {
                        return;
                    }
                    let scenario = Scenario::from_seed(seed);
                    let outcome = play(&scenario, false);
                    if !outcome.found.is_empty() {
                        print_failure(seed, &outcome);
                    }
                    let mut total = total.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
                    total.add(&scenario, outcome);
                    if total.seeds.is_multiple_of(PROGRESS) {
                        eprintln!("{} seeds, {} failed", total.seeds, total.failed.len());
                    }
                    if total.failed.len() >= args.failures {
                        next.store(end, Ordering::Relaxed);
                    }
                }
            });
        }
    });
    let mut total = total.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    total.failed.sort_by_key(|(seed, _)| *seed);
    total.print();
    match total.failed.first() {
        None => ExitCode::SUCCESS,
        Some((seed, outcome)) => {
            if args.shrink {
                println!("{}", smallest(&Scenario::from_seed(*seed), outcome));
            }
            ExitCode::FAILURE
        }
    }
}

/// Prints at once what has failed: the other seeds may take all night.
#[allow(clippy::print_stdout, reason = "a command line tool")]
fn print_failure(seed: u64, outcome: &Outcome) {
    let line = |found: &Finding| format!("\n  {:>10.3} s  {}: {}", found.at.as_secs_f64(), found.invariant, found.text);
    let found: String = outcome.found.iter().map(line).collect();
    println!("FAIL seed {seed}; repeat it with: sim --seed {seed}{found}");
}

/// Plays one seed and prints every event.
#[allow(clippy::print_stdout, reason = "a command line tool")]
fn play_one(seed: u64, shrinks: bool) -> ExitCode {
    let mut scenario = Scenario::from_seed(seed);
    if shrinks {
        scenario = smallest(&scenario, &play(&scenario, false));
    }
    let outcome = play(&scenario, true);
    for line in &outcome.log {
        println!("{line}");
    }
    println!("\n{scenario}");
    for found in &outcome.found {
        println!("FAIL {:.3} s  {}: {}", found.at.as_secs_f64(), found.invariant, found.text);
    }
    if outcome.found.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// The smallest scenario that fails in the same way.
fn smallest(scenario: &Scenario, outcome: &Outcome) -> Scenario {
    let Some(first) = outcome.found.first() else { return scenario.clone() };
    shrink(scenario, |tried| play(tried, false).found.iter().any(|found| found.invariant == first.invariant))
}

impl Total {
    fn add(&mut self, scenario: &Scenario, outcome: Outcome) {
        self.seeds += 1;
        self.events += outcome.counts.events;
        self.requests += outcome.counts.requests;
        self.refused += outcome.counts.refused;
        self.lasted += outcome.lasted;
        for act in &scenario.acts {
            *self.acts.entry(act.fault.kind()).or_default() += 1;
        }
        for ending in &outcome.endings {
            *self.endings.entry(ending.clone()).or_default() += 1;
        }
        if !outcome.found.is_empty() {
            self.failed.push((scenario.seed, outcome));
        }
    }

    #[allow(clippy::print_stdout, reason = "a command line tool")]
    fn print(&self) {
        println!(
            "{} seeds, {:.1} simulated hours, {} events checked, {} requests ({} without a server, in scenarios that \
             allow it)",
            self.seeds,
            self.lasted.as_secs_f64() / 3600.0,
            self.events,
            self.requests,
            self.refused
        );
        println!("acts:");
        for (kind, count) in &self.acts {
            println!("  {count:>8}  {kind}");
        }
        println!("ends of runs:");
        for (ending, count) in &self.endings {
            println!("  {count:>8}  {ending}");
        }
        println!("{} seeds failed", self.failed.len());
    }
}

/// Progress is printed each time after this many seeds.
const PROGRESS: u64 = 10_000;
