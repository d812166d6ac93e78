//! `lab polling`: the cost for HAProxy of waiting for one server, and the delay until the end of its last session is
//! noticed, with ten servers and with ten thousand. It compares teeter with the usual ways without it.
//!
//! `ways` waits, `many_servers` is the HAProxy, `measure` measures one way. `top` is `lab top`: what an open screen of
//! `teeter top` costs with these servers.

mod many_servers;
mod measure;
mod top;
mod ways;

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use tokio::process::Command;

pub(crate) use self::many_servers::{ManyServers, TARGET};
pub(crate) use self::measure::command_time;
use self::measure::{cost, latencies, memory, time_of};
pub(crate) use self::top::{TopArgs, run as run_top};
use self::ways::Way;
use crate::bench::table::Machine;
use crate::command::{failure, say, until_stopped};
use crate::teeterd::Teeter;

/// The limit for everything together.
const LIMIT: Duration = Duration::from_secs(3600);

/// The number of runs of `teeter status`.
const STATUS: usize = 30;

#[derive(Args)]
pub(crate) struct PollingArgs {
    /// The directory of `teeter` and `teeterd`.
    #[arg(long, default_value = "target/release")]
    bin_dir: PathBuf,
    /// The number of backends of the large HAProxy, with 20 servers each.
    #[arg(long, default_value_t = 500, value_parser = clap::value_parser!(u32).range(1..=1000))]
    backends: u32,
    /// The number of drains by teeter; slower ways make fewer.
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// The time during which HAProxy's time is measured, in seconds.
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..))]
    seconds: u32,
}

/// Takes the figures and prints them.
pub(crate) async fn run(args: PollingArgs) -> io::Result<()> {
    let socat = Command::new("socat").arg("-V").output().await;
    if !socat.is_ok_and(|output| output.status.success()) {
        return Err(failure("socat is not installed".to_owned()));
    }
    until_stopped(LIMIT, compare(&args)).await
}

async fn compare(args: &PollingArgs) -> io::Result<()> {
    say(&format!("{}\n", Machine::this()?))?;
    say(WAITING)?;
    let mut others = Vec::new();
    for (backends, each) in [(1, 10), (args.backends as usize, 20)] {
        others.push(at_size(args, &ManyServers::start(backends, each).await?, backends * each).await?);
    }
    say(&format!("\n{TEETERD}"))?;
    for line in others {
        say(&line)?;
    }
    Ok(())
}

/// Measures every way at one size. Returns the line of the second table, about teeterd.
async fn at_size(args: &PollingArgs, site: &ManyServers, servers: usize) -> io::Result<String> {
    let watched = Duration::from_secs(args.seconds.into());
    let quiet = time_of(site, watched).await?;
    let teeter = Teeter::start(&args.bin_dir, site.dir(), "").await?;
    // teeterd answers after its first look at everything.
    teeter.run(&["status", TARGET]).await?;
    let fresh = memory(&teeter)?.now;
    let rest = time_of(site, watched).await? - quiet;
    say(&format!("| {servers} | none, teeterd idle | | | | {rest:.2} | |"))?;
    let all = command_time(site, &teeter, &["status"], STATUS).await?;
    let one = command_time(site, &teeter, &["status", TARGET], STATUS).await?;

    let (mut teeter, mut rest, mut of_teeter) = (Some(teeter), None, None);
    for way in Way::ALL {
        // teeterd must not run while other ways are measured.
        if let Some(teeter) = if way.is_teeter() { None } else { teeter.take() } {
            rest = Some(memory(&teeter)?);
            teeter.stop().await?;
        }
        let cost = cost(way, site, teeter.as_ref(), watched).await? - quiet;
        let noticed = latencies(way, site, teeter.as_ref(), args.rounds as usize).await?;
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
