//! `lab polling`: what waiting for one server costs HAProxy, and how soon the end of its last session is noticed, where
//! there are ten servers and where there are ten thousand; beside the ways that people have without teeter.
//!
//! `ways` waits, `wide` is the HAProxy that is waited for, `measure` takes the figures of one way.

mod measure;
mod ways;
mod wide;

use std::io::{self, Write as _};
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use tokio::process::Command;

use self::measure::{asked, cost, latencies, memory, time_of};
use self::ways::Way;
use self::wide::{TARGET, Wide};
use crate::bench::or_stopped;
use crate::bench::table::Machine;
use crate::bench::teeter::Teeter;
use crate::figures_site::failure;

/// All of it takes less, or something hangs.
const LIMIT: Duration = Duration::from_secs(3600);

/// How often `teeter status` is asked.
const STATUS: usize = 30;

#[derive(Args)]
pub(crate) struct PollingArgs {
    /// Where `teeter` and `teeterd` are.
    #[arg(long, default_value = "target/release")]
    bin_dir: PathBuf,
    /// How many backends the large HAProxy has, of 20 servers each.
    #[arg(long, default_value_t = 500, value_parser = clap::value_parser!(u32).range(1..=1000))]
    backends: u32,
    /// How often teeter's drain is measured; what takes longer, less often.
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// For how long HAProxy's time is counted while somebody waits.
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..))]
    seconds: u32,
}

/// Takes the figures and prints them.
pub(crate) async fn run(args: PollingArgs) -> io::Result<()> {
    let socat = Command::new("socat").arg("-V").output().await;
    if !socat.is_ok_and(|output| output.status.success()) {
        return Err(failure("socat is not installed".to_owned()));
    }
    or_stopped(LIMIT, compare(&args)).await
}

async fn compare(args: &PollingArgs) -> io::Result<()> {
    say(&format!("{}\n", Machine::this()?))?;
    say(WAITING)?;
    let mut others = Vec::new();
    for (backends, each) in [(1, 10), (args.backends as usize, 20)] {
        others.push(at_size(args, &Wide::start(backends, each).await?, backends * each).await?);
    }
    say(&format!("\n{TEETERD}"))?;
    for line in others {
        say(&line)?;
    }
    Ok(())
}

/// Every way at one size; what is known of teeterd beside that is returned, as a line of the other table.
async fn at_size(args: &PollingArgs, wide: &Wide, servers: usize) -> io::Result<String> {
    let watched = Duration::from_secs(args.seconds.into());
    let quiet = time_of(wide, watched).await?;
    let teeter = Teeter::start(&args.bin_dir, wide.dir(), "").await?;
    // The first look at everything is over when this is answered.
    teeter.run(&["status", TARGET]).await?;
    let fresh = memory(&teeter)?.now;
    let rest = time_of(wide, watched).await? - quiet;
    say(&format!("| {servers} | none, teeterd idle | | | | {rest:.2} | |"))?;
    let all = asked(wide, &teeter, &["status"], STATUS).await?;
    let one = asked(wide, &teeter, &["status", TARGET], STATUS).await?;

    let (mut teeter, mut rest, mut of_teeter) = (Some(teeter), None, None);
    for way in Way::ALL {
        // Whoever is not measured does not ask.
        if let Some(teeter) = if way.is_teeter() { None } else { teeter.take() } {
            rest = Some(memory(&teeter)?);
            teeter.stop().await?;
        }
        let cost = cost(way, wide, teeter.as_ref(), watched).await? - quiet;
        let noticed = latencies(way, wide, teeter.as_ref(), args.rounds as usize).await?;
        let times = cost / *of_teeter.get_or_insert(cost);
        let (count, [median, p99]) = (noticed.len(), [0.5, 0.99].map(|share| noticed.percentile(share)));
        say(&format!("| {servers} | {} | {count} | {median:.0} | {p99:.0} | {cost:.2} | {times:.2} |", way.title()))?;
    }
    let most = rest.map_or(0, |memory| memory.most);
    Ok(format!("| {servers} | {} | {} | {all} | {one} |", mib(fresh), mib(most)))
}

const WAITING: &str = "\
| servers | command that waits | drains | noticed after, median ms | p99 ms | HAProxy's time, ms/s | of `teeter drain`'s |
|---:|---|---:|---:|---:|---:|---:|";

const TEETERD: &str = "\
| servers | teeterd after its start, MiB | at most, MiB | `teeter status`, median ms | p99 ms | HAProxy's time, ms \
| `teeter status SERVER`, median ms | p99 ms | HAProxy's time, ms |
|---:|---:|---:|---:|---:|---:|---:|---:|---:|";

fn mib(kib: u64) -> String {
    format!("{:.1}", kib as f64 / 1024.0)
}

fn say(text: &str) -> io::Result<()> {
    writeln!(io::stdout(), "{text}")
}
