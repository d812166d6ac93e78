//! `lab readers`: what 64 greedy readers of each kind do to everything else, where there are thousands of servers and a store
//! of thousands of runs. Alone and beside them is measured in one run, so that the ratios hold on any machine.
//!
//! `bed` is the HAProxy, `greedy` are the readers, `watched` is what is measured of the daemon.

mod bed;
mod greedy;
mod watched;

use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use tokio::process::Command;
use tokio::time::{Instant, sleep};

use self::bed::{Bed, EACH, TARGET};
use self::greedy::Readers;
pub(crate) use self::greedy::{GreedyArgs, ask_on};
use self::watched::{Notified, Peak};
use crate::bench::or_stopped;
use crate::bench::table::Machine;
use crate::bench::teeter::Teeter;
use crate::figures_numbers::Sample;
use crate::figures_site::{failure, memory_of};

/// All of it takes less, or something hangs.
const LIMIT: Duration = Duration::from_secs(3600);

/// What the watchdog of the measurement would wait for.
const WATCHDOG: Duration = Duration::from_secs(3);

#[derive(Args)]
pub(crate) struct ReadersArgs {
    /// Where `teeter` and `teeterd` are.
    #[arg(long, default_value = "target/release")]
    bin_dir: PathBuf,
    /// How many servers HAProxy has.
    #[arg(long, default_value_t = 3000, value_parser = clap::value_parser!(u32).range(40..=20_000))]
    servers: u32,
    /// How many runs the store has.
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    runs: u32,
    /// How many readers of a kind there are.
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..=100))]
    readers: u32,
    /// How often a drain is measured.
    #[arg(long, default_value_t = 60, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// How often a reload is.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..))]
    reloads: u32,
}

/// Takes the figures and prints them.
pub(crate) async fn run(args: ReadersArgs) -> io::Result<()> {
    or_stopped(LIMIT, compare(&args)).await
}

async fn compare(args: &ReadersArgs) -> io::Result<()> {
    say(&format!("{}\n", Machine::this()?))?;
    let bed = Bed::start(args.servers as usize / EACH).await?;
    // Readers are another user, where this one may become one.
    std::fs::set_permissions(bed.dir(), std::fs::Permissions::from_mode(0o711))?;
    let store = fill(args, &bed).await?;
    let notified = Notified::listen(&bed.dir().join("notify.sock"))?;
    let environment = notified.environment(WATCHDOG);
    let teeter = Teeter::start_with(&args.bin_dir, bed.dir(), FARM, &environment).await?;
    std::fs::set_permissions(teeter.control(), std::fs::Permissions::from_mode(0o666))?;
    say(&format!("{} servers, {} runs, a store of {} MiB\n\n{HEAD}", args.servers, args.runs, store >> 20))?;
    let mut alone: Option<Figures> = None;
    for (kind, path) in greedy::kinds() {
        let before = memory(&teeter)?;
        let readers = match &path {
            Some(path) => Some(Readers::start(&teeter.control(), path, args.readers).await?),
            None => None,
        };
        let figures = Figures::take(args, &bed, &teeter, &notified).await?;
        let answers = match readers {
            Some(readers) => readers.stop().await?,
            None => String::new(),
        };
        say(&figures.row(kind, alone.as_ref(), before, &answers))?;
        alone.get_or_insert(figures);
    }
    teeter.stop().await
}

/// What is measured of one kind of readers, times in ms.
struct Figures {
    drains: Sample,
    reloads: Sample,
    /// In KiB.
    most: u64,
    /// The longest time in which the watchdog was not told.
    silence: Duration,
}

impl Figures {
    async fn take(args: &ReadersArgs, bed: &Bed, teeter: &Teeter, notified: &Notified) -> io::Result<Self> {
        let peak = Peak::watch(teeter.pid().ok_or_else(|| failure("teeterd has ended".to_owned()))?);
        notified.begin();
        let (mut drains, mut reloads) = (Vec::new(), Vec::new());
        for _ in 0..args.rounds {
            let began = Instant::now();
            drain(teeter).await?;
            drains.push(ms(began));
            teeter.run(&["ready", TARGET, "--no-verify"]).await?;
        }
        drain(teeter).await?;
        for _ in 0..args.reloads {
            bed.haproxy.reload().await?;
            let began = Instant::now();
            while bed.haproxy.server_admin_bits(TARGET).await? & OUT == 0 {
                sleep(Duration::from_millis(2)).await;
            }
            reloads.push(ms(began));
        }
        teeter.run(&["ready", TARGET, "--no-verify"]).await?;
        let silence = notified.longest();
        Ok(Self { drains: Sample::new(drains), reloads: Sample::new(reloads), most: peak.end(), silence })
    }

    fn row(&self, kind: &str, alone: Option<&Self>, before: u64, answers: &str) -> String {
        let mut row = format!("| {kind}");
        for (of, to) in [(&self.drains, alone.map(|it| &it.drains)), (&self.reloads, alone.map(|it| &it.reloads))] {
            let [median, p99] = [0.5, 0.99].map(|share| of.percentile(share));
            let times = to.map_or(1.0, |alone| median / alone.percentile(0.5));
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

/// Makes a store with as many runs, each with events of its own, by copying one that teeterd has made; gives its size.
async fn fill(args: &ReadersArgs, bed: &Bed) -> io::Result<u64> {
    let teeter = Teeter::start(&args.bin_dir, bed.dir(), FARM).await?;
    teeter.run(&["begin", "web"]).await?;
    teeter.run(&["abort", "1"]).await?;
    sleep(Duration::from_secs(1)).await;
    teeter.stop().await?;
    let store = bed.dir().join("teeter.db");
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

fn say(text: &str) -> io::Result<()> {
    writeln!(io::stdout(), "{text}")
}

/// In maintenance or draining by an order.
const OUT: u32 = 1 | 8;

const FARM: &str = "[farm.web]\nmembers = [\"b0002/*\"]\nhalves = \"auto\"\n";

const FILL: &str = "
WITH RECURSIVE n(id) AS (SELECT 2 UNION ALL SELECT id + 1 FROM n WHERE id < @RUNS@)
INSERT INTO runs SELECT n.id, 0, json_set(json, '$.id', n.id) FROM n, runs WHERE runs.id = 1;
WITH RECURSIVE n(id) AS (SELECT 2 UNION ALL SELECT id + 1 FROM n WHERE id < @RUNS@), m(of) AS (VALUES (1), (2), (3), (4))
INSERT INTO events (at, kind, text, run, hold, caller, changed)
    SELECT at, kind, text, n.id, NULL, caller, changed FROM n, m, events WHERE run = 1;
UPDATE counters SET value = @RUNS@ + 1 WHERE name = 'run';
";

const HEAD: &str = "\
| readers | drain, median ms | p99 ms | times as long | reload to out again, median ms | p99 ms | times as long \
| memory, MiB more | longest without WATCHDOG=1, s | their answers |
|---|---:|---:|---:|---:|---:|---:|---:|---:|---|";
