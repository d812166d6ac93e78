//! `lab readers`: the effect of 64 greedy readers of each kind on other work, with thousands of servers and a store of
//! thousands of runs. One run measures without and with the readers, so that the ratios hold on any machine.
//!
//! `many_servers` is the HAProxy, `greedy` are the readers, `watched` measures the daemon.

mod greedy;
mod many_servers;
mod watched;

use std::fmt::Write as _;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use tokio::process::Command;
use tokio::time::{Instant, sleep};

use self::greedy::Readers;
pub(crate) use self::greedy::{GreedyArgs, send_requests};
use self::many_servers::{EACH, ManyServers, TARGET};
use self::watched::{Peak, ServiceManager};
use crate::bench::table::Machine;
use crate::command::{failure, say, until_stopped};
use crate::figures_numbers::Sample;
use crate::figures_site::memory_of;
use crate::teeterd::Teeter;

/// The limit for everything together.
const LIMIT: Duration = Duration::from_secs(3600);

/// The watchdog's interval that teeterd is given.
const WATCHDOG: Duration = Duration::from_secs(3);

#[derive(Args)]
pub(crate) struct ReadersArgs {
    /// The directory of `teeter` and `teeterd`.
    #[arg(long, default_value = "target/release")]
    bin_dir: PathBuf,
    /// The number of servers of HAProxy.
    #[arg(long, default_value_t = 3000, value_parser = clap::value_parser!(u32).range(40..=20_000))]
    servers: u32,
    /// The number of runs in the store.
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    runs: u32,
    /// The number of readers of a kind.
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..=100))]
    readers: u32,
    /// The number of drains that are measured.
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// The number of reloads that are measured.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..))]
    reloads: u32,
}

/// Takes the figures and prints them.
pub(crate) async fn run(args: ReadersArgs) -> io::Result<()> {
    until_stopped(LIMIT, compare(&args)).await
}

async fn compare(args: &ReadersArgs) -> io::Result<()> {
    say(&format!("{}\n", Machine::this()?))?;
    let site = ManyServers::start(args.servers as usize / EACH).await?;
    // The readers may be processes of another user.
    std::fs::set_permissions(site.dir(), std::fs::Permissions::from_mode(0o711))?;
    let store = fill(args, &site).await?;
    let manager = ServiceManager::listen(&site.dir().join("notify.sock"))?;
    let environment = manager.environment(WATCHDOG);
    let teeter = Teeter::start_with(&args.bin_dir, site.dir(), FARM, &environment).await?;
    std::fs::set_permissions(teeter.control(), std::fs::Permissions::from_mode(0o666))?;
    say(&format!("{} servers, {} runs, a store of {} MiB\n\n{HEAD}", args.servers, args.runs, store >> 20))?;
    let mut alone: Option<Figures> = None;
    for (kind, path) in greedy::kinds() {
        let before = memory(&teeter)?;
        let readers = match &path {
            Some(path) => Some(Readers::start(&teeter.control(), path, args.readers).await?),
            None => None,
        };
        let figures = Figures::take(args, &site, &teeter, &manager).await?;
        let answers = match readers {
            Some(readers) => readers.stop().await?,
            None => String::new(),
        };
        say(&figures.row(kind, alone.as_ref(), before, &answers))?;
        alone.get_or_insert(figures);
    }
    teeter.stop().await
}

/// The measurements with one kind of readers; times in ms.
struct Figures {
    drains: Sample,
    reloads: Sample,
    /// The most memory, in KiB.
    most: u64,
    /// The longest time without a notification of the watchdog.
    silence: Duration,
}

impl Figures {
    async fn take(
        args: &ReadersArgs,
        site: &ManyServers,
        teeter: &Teeter,
        manager: &ServiceManager,
    ) -> io::Result<Self> {
        let peak = Peak::watch(teeter.pid().ok_or_else(|| failure("teeterd has ended".to_owned()))?);
        manager.begin();
        let (mut drains, mut reloads) = (Vec::new(), Vec::new());
        for _ in 0..args.rounds {
            let began = Instant::now();
            drain(teeter).await?;
            drains.push(ms(began));
            teeter.run(&["ready", TARGET, "--no-verify"]).await?;
        }
        drain(teeter).await?;
        for _ in 0..args.reloads {
            site.haproxy.reload().await?;
            let began = Instant::now();
            while site.haproxy.server_admin_bits(TARGET).await? & OUT == 0 {
                sleep(Duration::from_millis(2)).await;
            }
            reloads.push(ms(began));
        }
        teeter.run(&["ready", TARGET, "--no-verify"]).await?;
        let silence = manager.longest();
        Ok(Self { drains: Sample::new(drains), reloads: Sample::new(reloads), most: peak.end(), silence })
    }

    fn row(&self, kind: &str, alone: Option<&Self>, before: u64, answers: &str) -> String {
        let mut row = format!("| {kind}");
        let samples =
            [(&self.drains, alone.map(|alone| &alone.drains)), (&self.reloads, alone.map(|alone| &alone.reloads))];
        for (sample, alone) in samples {
            let [median, p99] = [0.5, 0.99].map(|share| sample.percentile(share));
            let times = alone.map_or(1.0, |alone| median / alone.percentile(0.5));
            let _ = write!(row, " | {median:.1} | {p99:.1} | {times:.2}");
        }
        let more = self.most.saturating_sub(before) as f64 / 1024.0;
        let _ = write!(row, " | {more:.1} | {:.2} | {answers} |", self.silence.as_secs_f64());
        row
    }
}

async fn drain(teeter: &Teeter) -> io::Result<()> {
    teeter.run(&["drain", TARGET, "--reason", "measured", "--no-wait"]).await.map(drop)
}

/// Makes a store with many runs and their events, by copies of a run of teeterd; returns its size in bytes.
async fn fill(args: &ReadersArgs, site: &ManyServers) -> io::Result<u64> {
    let teeter = Teeter::start(&args.bin_dir, site.dir(), FARM).await?;
    teeter.run(&["begin", "web"]).await?;
    teeter.run(&["abort", "1"]).await?;
    sleep(Duration::from_secs(1)).await;
    teeter.stop().await?;
    let store = site.dir().join("teeter.db");
    let sql = FILL.replace("@RUNS@", &args.runs.to_string());
    let output = Command::new("sqlite3").arg(&store).arg(sql).output().await;
    let output = output.map_err(|error| failure(format!("sqlite3 cannot be run: {error}")))?;
    if !output.status.success() {
        return Err(failure(format!("sqlite3: {}", String::from_utf8_lossy(&output.stderr))));
    }
    size(&store)
}

fn size(path: &Path) -> io::Result<u64> {
    Ok(std::fs::metadata(path)?.len())
}

fn memory(teeter: &Teeter) -> io::Result<u64> {
    Ok(memory_of(teeter.pid().ok_or_else(|| failure("teeterd has ended".to_owned()))?)?.now)
}

fn ms(began: Instant) -> f64 {
    began.elapsed().as_secs_f64() * 1e3
}

/// The admin bits of maintenance and drain.
const OUT: u32 = 1 | 8;

const FARM: &str = "[farm.web]\nmembers = [\"b0002/*\"]\nhalves = \"auto\"\n";

const FILL: &str = "
WITH RECURSIVE n(id) AS (SELECT 2 UNION ALL SELECT id + 1 FROM n WHERE id < @RUNS@)
INSERT INTO runs SELECT n.id, 0, json_set(json, '$.id', n.id) FROM n, runs WHERE runs.id = 1;
WITH RECURSIVE
    n(id) AS (SELECT 2 UNION ALL SELECT id + 1 FROM n WHERE id < @RUNS@),
    m(copy) AS (VALUES (1), (2), (3), (4))
INSERT INTO events (at, kind, text, run, hold, caller, changed)
    SELECT at, kind, text, n.id, NULL, caller, changed FROM n, m, events WHERE run = 1;
UPDATE counters SET value = @RUNS@ + 1 WHERE name = 'run';
";

const HEAD: &str = "\
| readers | drain, median ms | p99 ms | times as long | reload to out again, median ms | p99 ms | times as long \
| memory, MiB more | longest without WATCHDOG=1, s | their answers |
|---|---:|---:|---:|---:|---:|---:|---:|---:|---|";
