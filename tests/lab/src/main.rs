//! `lab`: the parts of the lab as commands, and a deploy on real processes to look at.

use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::ops::Range;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use teeter_lab::{App, AppSpec, Load, LoadSpec};

mod bench;
mod chosen;
mod demo;
mod figures;
mod figures_numbers;
mod figures_site;
mod many_drains;
mod many_faults;
mod polling;
mod readers;
mod stage;
mod transcripts;

#[derive(Parser)]
#[command(about = "Servers, load and a demonstration, to try teeter with", version)]
struct Cli {
    #[command(subcommand)]
    command: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Run one application server until killed.
    App(AppArgs),
    /// Put load on an address and tell how it was answered.
    Load(LoadArgs),
    /// Deploy a farm of four with teeter, under load, and count what goes wrong.
    Demo(demo::DemoArgs),
    /// Measure drains, flips, memory and start-up on a real HAProxy.
    Figures(figures::FiguresArgs),
    /// Drain servers under all kinds of traffic, and ask each server whether it was empty.
    Drains(many_drains::DrainsArgs),
    /// Break what can break, at each step of each strategy, and see that the farm serves and comes home.
    Chaos(many_faults::ChaosArgs),
    /// Measure what waiting for one server costs HAProxy, with ten servers and with ten thousand.
    Polling(polling::PollingArgs),
    /// Measure what greedy readers do to drains, reloads, memory and the watchdog.
    Readers(readers::ReadersArgs),
    /// Ask one thing again and again, over many connections, until killed.
    Greedy(readers::GreedyArgs),
    /// Record what a HAProxy answers, for the tests of the parsers.
    Transcripts(transcripts::TranscriptsArgs),
    /// Flip a farm under load in the ways that people have, and in teeter's, and compare them.
    BenchFlip(bench::BenchArgs),
    /// Flip a farm of a thousand servers with teeter, and with a socat for each of them.
    FlipSize(bench::size::SizeArgs),
}

#[derive(Args)]
struct AppArgs {
    /// What it calls itself.
    #[arg(long)]
    name: String,
    /// Where it listens.
    #[arg(long)]
    listen: SocketAddr,
    /// The version it claims to be.
    #[arg(long)]
    version: String,
    /// Where to write the number of the process.
    #[arg(long)]
    pid_file: Option<PathBuf>,
    /// How long it thinks about `/`, such as 5ms..40ms.
    #[arg(long, value_parser = range, default_value = "0ms..0ms")]
    work: Range<Duration>,
}

#[derive(Args)]
struct LoadArgs {
    /// Where to.
    #[arg(long)]
    target: SocketAddr,
    /// How many clients.
    #[arg(long, default_value_t = 32)]
    connections: usize,
    /// For how long.
    #[arg(long = "for", value_parser = duration, default_value = "10s")]
    time: Duration,
    /// How long a client rests between two requests.
    #[arg(long, value_parser = duration, default_value = "0s")]
    pause: Duration,
    /// What to ask for.
    #[arg(long, default_value = "/")]
    path: String,
}

#[tokio::main]
async fn main() -> ExitCode {
    let done = match Cli::parse().command {
        Task::App(args) => app(args).await,
        Task::Load(args) => load(args).await,
        Task::Demo(args) => demo::run(args).await,
        Task::Figures(args) => figures::run(args).await,
        Task::Drains(args) => many_drains::run(args).await,
        Task::Chaos(args) => many_faults::run(args).await,
        Task::Polling(args) => polling::run(args).await,
        Task::Readers(args) => readers::run(args).await,
        Task::Greedy(args) => readers::ask_on(args).await,
        Task::Transcripts(args) => transcripts::run(args).await,
        Task::BenchFlip(args) => bench::run(args).await,
        Task::FlipSize(args) => bench::size::run(args).await,
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(io::stderr(), "lab: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn app(args: AppArgs) -> io::Result<()> {
    let app = App::start_spec(AppSpec { name: args.name, version: args.version, listen: args.listen, work: args.work })
        .await?;
    if let Some(file) = args.pid_file {
        std::fs::write(file, format!("{}\n", std::process::id()))?;
    }
    writeln!(io::stdout(), "{} {} on {}, orders on {}", app.name(), app.version(), app.addr(), app.admin_addr())?;
    // A TERM ends the process where it stands, in the middle of requests: nobody may be able to say that the
    // servers of the demonstration were polite.
    tokio::signal::ctrl_c().await
}

async fn load(args: LoadArgs) -> io::Result<()> {
    let load = Load::start(LoadSpec {
        connections: args.connections,
        pause: args.pause,
        path: args.path,
        max: args.time,
        ..LoadSpec::new(args.target)
    })?;
    let report = load.finished().await?;
    write!(io::stdout(), "{report}")?;
    if report.failed().is_empty() { Ok(()) } else { Err(io::Error::other("requests failed")) }
}

/// `250ms`, `10s` or `2m`.
fn duration(text: &str) -> Result<Duration, String> {
    let digits = text.trim_end_matches(char::is_alphabetic);
    let number: u64 = digits.parse().map_err(|_| format!("no number in {text}"))?;
    match text.strip_prefix(digits) {
        Some("ms") => Ok(Duration::from_millis(number)),
        Some("s") => Ok(Duration::from_secs(number)),
        Some("m") => Ok(Duration::from_secs(number * 60)),
        _ => Err("a time needs a unit: ms, s or m".to_owned()),
    }
}

/// `5ms..40ms`.
fn range(text: &str) -> Result<Range<Duration>, String> {
    let (from, to) = text.split_once("..").ok_or("a range is written 5ms..40ms")?;
    Ok(duration(from)?..duration(to)?)
}
