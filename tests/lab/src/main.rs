//! `lab`: the parts of the lab as commands, and the demonstration.

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
mod command;
mod demo;
mod demo_site;
mod estimates;
mod figures;
mod figures_numbers;
mod figures_site;
mod many_drains;
mod many_faults;
mod polling;
mod readers;
mod rollbacks;
mod scale;
mod teeterd;
mod transcripts;

#[derive(Parser)]
#[command(about = "Servers, load and a demonstration, to test teeter with", version)]
struct Cli {
    #[command(subcommand)]
    command: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Run one application server until killed.
    App(AppArgs),
    /// Put load on an address and print how it was answered.
    Load(LoadArgs),
    /// Deploy to a farm of four servers with teeter, under load, and count the failures.
    Demo(demo::DemoArgs),
    /// Measure drains, flips, memory and start-up on a real HAProxy.
    Figures(figures::FiguresArgs),
    /// Drain servers under all kinds of traffic, and check with each server that it was empty.
    Drains(many_drains::DrainsArgs),
    /// Compare the estimates of drains with their real ends, for sessions of different lengths.
    Estimates(estimates::EstimatesArgs),
    /// Cause each fault at each step of each strategy, and check that the farm serves and recovers.
    Chaos(many_faults::ChaosArgs),
    /// Measure the cost for HAProxy while teeter waits for one server, with ten servers and with ten thousand.
    Polling(polling::PollingArgs),
    /// Measure commands with ten thousand servers and with ten thousand runs, and the room that a year of runs takes.
    Scale(scale::ScaleArgs),
    /// Measure what an open `teeter top` costs itself, teeterd and HAProxy, with ten servers and with ten thousand.
    Top(polling::TopArgs),
    /// Measure the effect of greedy readers on drains, reloads, memory and the watchdog.
    Readers(readers::ReadersArgs),
    /// Deploy a version that fails, by each strategy, and count the errors that clients see until it is rolled back.
    Rollbacks(rollbacks::RollbacksArgs),
    /// Send one request again and again, over many connections, until killed.
    Greedy(readers::GreedyArgs),
    /// Record the answers of a HAProxy, for the tests of the parsers.
    Transcripts(transcripts::TranscriptsArgs),
    /// Flip a farm under load in several usual ways and with teeter, and compare them.
    BenchFlip(bench::BenchArgs),
    /// Flip a farm of a thousand servers with teeter, and with one socat for each server.
    FlipSize(bench::size::SizeArgs),
}

#[derive(Args)]
struct AppArgs {
    /// Its name.
    #[arg(long)]
    name: String,
    /// The address that it listens on.
    #[arg(long)]
    listen: SocketAddr,
    /// The version that it reports.
    #[arg(long)]
    version: String,
    /// The file for its process id.
    #[arg(long)]
    pid_file: Option<PathBuf>,
    /// The time that it takes for `/`, such as 5ms..40ms.
    #[arg(long, value_parser = range, default_value = "0ms..0ms")]
    work: Range<Duration>,
}

#[derive(Args)]
struct LoadArgs {
    /// The address.
    #[arg(long)]
    target: SocketAddr,
    /// The number of clients.
    #[arg(long, default_value_t = 32)]
    connections: usize,
    /// The duration.
    #[arg(long = "for", value_parser = duration, default_value = "10s")]
    time: Duration,
    /// The pause of a client between two requests.
    #[arg(long, value_parser = duration, default_value = "0s")]
    pause: Duration,
    /// The path that is requested.
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
        Task::Estimates(args) => estimates::run(args).await,
        Task::Chaos(args) => many_faults::run(args).await,
        Task::Polling(args) => polling::run(args).await,
        Task::Scale(args) => scale::run(args).await,
        Task::Top(args) => polling::run_top(args).await,
        Task::Readers(args) => readers::run(args).await,
        Task::Rollbacks(args) => rollbacks::run(args).await,
        Task::Greedy(args) => readers::send_requests(args).await,
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
    writeln!(io::stdout(), "{} {} on {}, commands on {}", app.name(), app.version(), app.addr(), app.admin_addr())?;
    // SIGTERM ends the process at once: the servers of the demonstration do not wait for the end of requests.
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

/// Reads a duration such as `250ms`, `10s` or `2m`.
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

/// Reads a range of durations such as `5ms..40ms`.
fn range(text: &str) -> Result<Range<Duration>, String> {
    let (from, to) = text.split_once("..").ok_or("a range is written 5ms..40ms")?;
    Ok(duration(from)?..duration(to)?)
}
