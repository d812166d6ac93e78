//! `lab scale`: teeter at the size of a large site. It measures commands with ten thousand servers, the room that a year
//! of deploys takes in the store, and commands with a store of a hundred runs and one of many.
//!
//! `bed` is a farm of forty servers on which real deploys are recorded, `store` multiplies their records.

mod bed;
mod store;

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use tokio::process::Command;
use tokio::time::Instant;

use self::bed::Bed;
use self::store::{Year, copies, per_deploy, size, tables};
use crate::bench::table::Machine;
use crate::command::{failure, say, until_stopped};
use crate::figures_numbers::Sample;
use crate::polling::{ManyServers, TARGET, command_time};
use crate::teeterd::Teeter;

/// The limit for everything together.
const LIMIT: Duration = Duration::from_secs(3600);

#[derive(Args)]
pub(crate) struct ScaleArgs {
    /// The directory of `teeter` and `teeterd`.
    #[arg(long, default_value = "target/release")]
    bin_dir: PathBuf,
    /// The number of backends of the large HAProxy, with 20 servers each.
    #[arg(long, default_value_t = 500, value_parser = clap::value_parser!(u32).range(1..=1000))]
    backends: u32,
    /// The number of runs in the large store.
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(100..=100_000))]
    runs: u32,
    /// The number of real deploys that are recorded.
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(2..=200))]
    deploys: u32,
    /// Deploys in a day of the year that is counted.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=500))]
    a_day: u32,
    /// The number of measurements of each command.
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u32).range(2..=1000))]
    times: u32,
}

/// Takes the figures and prints them.
pub(crate) async fn run(args: ScaleArgs) -> io::Result<()> {
    for needed in ["sqlite3", "curl"] {
        let there = Command::new(needed).arg("--version").output().await;
        if !there.is_ok_and(|output| output.status.success()) {
            return Err(failure(format!("{needed} is not installed")));
        }
    }
    until_stopped(LIMIT, measure(&args)).await
}

async fn measure(args: &ScaleArgs) -> io::Result<()> {
    say(&format!("{}\n", Machine::this()?))?;
    many_servers(args).await?;
    let bed = Bed::start().await?;
    let recorded = record(args, &bed).await?;
    let year = bed.dir().join("year.db");
    copies(&recorded, &year, &Year { runs: args.a_day * 365, a_day: args.a_day }).await?;
    say(&format!("\nA year of {} deploys a day: {} MiB", args.a_day, mib(size(&year)?)))?;
    say(&tables(&year).await?)?;
    std::fs::remove_file(&year)?;
    many_runs(args, &bed, &recorded).await
}

/// The commands that list servers, with many servers.
async fn many_servers(args: &ScaleArgs) -> io::Result<()> {
    let site = ManyServers::start(args.backends as usize, 20).await?;
    let teeter = Teeter::start(&args.bin_dir, site.dir(), "").await?;
    teeter.run(&["status", TARGET]).await?;
    say(&format!("{} servers\n\n{SERVERS}", args.backends * 20))?;
    for command in [&["status"][..], &["status", "--all"], &["status", "--all", "--json"]] {
        let row = command_time(&site, &teeter, command, args.times as usize).await?;
        say(&format!("| `teeter {}` | {row} |", command.join(" ")))?;
    }
    teeter.stop().await
}

/// Deploys to forty servers again and again. Prints the room that a deploy takes, and returns a copy of the store.
async fn record(args: &ScaleArgs, bed: &Bed) -> io::Result<PathBuf> {
    let teeter = Teeter::start(&args.bin_dir, bed.dir(), &bed.farm()).await?;
    let backup = |name: &str| bed.dir().join(name).display().to_string();
    // The first deploy brings what later ones do not need again, such as the pages of each table.
    bed.deploy(&teeter, "v1").await?;
    teeter.run(&["store", "backup", &backup("before.db")]).await?;
    for deploy in 0..args.deploys {
        bed.deploy(&teeter, &format!("v{}", deploy + 2)).await?;
    }
    let after = backup("after.db");
    teeter.run(&["store", "backup", &after]).await?;
    teeter.stop().await?;
    let after = PathBuf::from(after);
    let grown = size(&after)? - size(&bed.dir().join("before.db"))?;
    let each = grown as f64 / f64::from(args.deploys) / 1024.0;
    say(&format!("\n{} real deploys of {} servers: {each:.1} KiB each\n", args.deploys, bed.servers()))?;
    say(&per_deploy(&after, args.deploys + 1).await?)?;
    say(&tables(&after).await?)?;
    Ok(after)
}

/// The commands about runs, with a store of a hundred runs and one of many.
async fn many_runs(args: &ScaleArgs, bed: &Bed, recorded: &Path) -> io::Result<()> {
    say(&format!("\n{RUNS}"))?;
    for runs in [100, args.runs] {
        let store = bed.dir().join("teeter.db");
        for end in ["db", "db-wal", "db-shm"] {
            match std::fs::remove_file(store.with_extension(end)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        // In one year, however many they are: the same retention applies to both.
        copies(recorded, &store, &Year { runs, a_day: runs.div_ceil(365) }).await?;
        let file = size(&store)?;
        let began = Instant::now();
        let teeter = Teeter::start(&args.bin_dir, bed.dir(), &bed.farm()).await?;
        teeter.run(&["holds"]).await?;
        let start = began.elapsed().as_secs_f64() * 1e3;
        say(&format!("| {runs} | {} | start of teeterd | {start:.1} | |", mib(file)))?;
        let (old, new) = ("3", runs.to_string());
        for command in [
            &["runs"][..],
            &["events"],
            &["events", "--since", "365d", "--limit", "5000"],
            &["status"],
            &["show", &new],
            &["show", old],
            &["events", old],
        ] {
            let mut took = Vec::new();
            for _ in 0..args.times {
                let began = Instant::now();
                teeter.run(command).await?;
                took.push(began.elapsed().as_secs_f64() * 1e3);
            }
            let took = Sample::new(took);
            let [median, p99] = [0.5, 0.99].map(|share| took.percentile(share));
            let named = command.join(" ").replace(&format!("show {new}"), "show` of the latest run`");
            let named = named.replace("show 3", "show` of an old run`").replace("events 3", "events` of an old run`");
            say(&format!("| {runs} | | `teeter {} | {median:.1} | {p99:.1} |", closed(&named)))?;
        }
        teeter.stop().await?;
    }
    Ok(())
}

/// The text with its last code mark.
fn closed(text: &str) -> String {
    text.strip_suffix('`').map_or_else(|| format!("{text}`"), str::to_owned)
}

fn mib(bytes: u64) -> String {
    format!("{:.1}", bytes as f64 / f64::from(1 << 20))
}

const SERVERS: &str = "\
| command | median ms | p99 ms | HAProxy's time, ms |
|---|---:|---:|---:|";

const RUNS: &str = "\
| runs in the store | MiB | command | median ms | p99 ms |
|---:|---:|---|---:|---:|";
