//! Ways of flipping a farm, measured side by side: what people do without teeter, and teeter.
//!
//! `ways` names them, `bed` is what is flipped, `peers` and `teeter` flip it, `measure` counts what that did to the
//! requests, `table` and `picture` show it; `size` is a comparison of its own, of a flip of a very large farm.
//!
//! It judges nothing: a peer whose requests fail is shown with its failures.

use std::future::Future;
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use tokio::process::Command;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::timeout;

use self::bed::{Farm, Tools};
use self::measure::{Clients, measure};
use self::table::{Machine, Table};
use self::teeter::Teeter;
use self::ways::Way;
use crate::figures_site::failure;

mod bed;
mod measure;
mod peers;
mod picture;
pub(crate) mod size;
pub(crate) mod table;
pub(crate) mod teeter;
mod ways;

/// What one flip with its settling takes at the very most, on average, and what the start of a scene does. A peer's
/// second for each server is in it.
const EACH: Duration = Duration::from_secs(8);
const SCENE: Duration = Duration::from_secs(60);

#[derive(Args)]
pub(crate) struct BenchArgs {
    /// Where `teeter` and `teeterd` are.
    #[arg(long, default_value = "target/release")]
    bin_dir: PathBuf,
    /// How often each way flips under each load.
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..))]
    flips: u32,
    /// How many clients ask without rest: one load after the other.
    #[arg(long, value_delimiter = ',', default_value = "32,400", value_parser = clap::value_parser!(u32).range(1..=2000))]
    connections: Vec<u32>,
    /// How many of them open a connection for each request, as some of a site's visitors always do.
    #[arg(long, default_value_t = 0)]
    fresh: u32,
    /// Which ways; without it all but the real Ansible, which needs `--ansible`.
    #[arg(long, value_delimiter = ',')]
    ways: Vec<Way>,
    /// ansible-playbook, with the collection community.general, for a few flips with the real module.
    #[arg(long)]
    ansible: Option<PathBuf>,
    /// How many flips the real module makes: it starts a process for each server.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    ansible_flips: u32,
    /// Print the table for a document.
    #[arg(long)]
    markdown: bool,
    /// Where bench-flip.json and bench-flip.svg are written.
    #[arg(long, default_value = "target")]
    out: PathBuf,
}

/// Takes the figures and prints them.
pub(crate) async fn run(args: BenchArgs) -> io::Result<()> {
    let flips = args.flips * u32::try_from(args.connections.len() * Way::USUAL.len()).unwrap_or(u32::MAX);
    let limit = EACH * flips + SCENE * 12;
    let table = or_stopped(limit, compare(&args, limit)).await?;
    std::fs::create_dir_all(&args.out)?;
    let [json, svg] = ["bench-flip.json", "bench-flip.svg"].map(|name| args.out.join(name));
    std::fs::write(&json, format!("{:#}\n", table.to_json()))?;
    std::fs::write(&svg, picture::draw(&table))?;
    if args.markdown {
        write!(io::stdout(), "\n{}", table.to_markdown())?;
    } else {
        write!(io::stdout(), "\n{table}")?;
    }
    say(&format!("\n{} has every flip, {} is the picture", json.display(), svg.display()))
}

/// Whichever way this ends, the future is dropped, and all that it started with it.
pub(crate) async fn or_stopped<T>(limit: Duration, work: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        done = timeout(limit, work) => done.unwrap_or_else(|_| Err(failure(format!("not done in {limit:?}")))),
        _ = tokio::signal::ctrl_c() => Err(failure("interrupted".to_owned())),
        _ = terminate.recv() => Err(failure("told to stop".to_owned())),
    }
}

async fn compare(args: &BenchArgs, limit: Duration) -> io::Result<Table> {
    let tools = Tools { bin_dir: args.bin_dir.clone(), ansible: args.ansible.clone() };
    let mut table = Table { machine: Machine::this()?, rows: Vec::new(), left_out: Vec::new() };
    let mut ways = args.ways.clone();
    if ways.is_empty() {
        ways.extend(Way::USUAL);
        if args.ansible.is_some() {
            let after = ways.iter().position(|way| *way == Way::AnsibleOrder).map_or(0, |at| at + 1);
            ways.insert(after, Way::Ansible);
        }
        table.left_out = take_impossible(&mut ways, &tools).await;
    }
    let farm = Farm::start().await?;
    for way in ways {
        let flips = if way == Way::Ansible { args.ansible_flips } else { args.flips };
        for connections in &args.connections {
            say(&format!("{}, {connections} clients: {flips} flips", way.title()))?;
            let clients = Clients { all: *connections as usize, fresh: args.fresh.min(*connections) as usize };
            let done = measure(way, clients, flips as usize, &farm, &tools, limit).await;
            let row = done.map_err(|error| failure(format!("{}: {error}", way.title())))?;
            table.rows.push(row);
        }
    }
    Ok(table)
}

/// Takes out the ways that this machine has not the programs for. One that was asked for by name is tried, and fails.
async fn take_impossible(ways: &mut Vec<Way>, tools: &Tools) -> Vec<(Way, String)> {
    let mut missing = Vec::new();
    if !Teeter::can_flip(&tools.bin_dir).await {
        let why = format!("`teeter flip` is not in {}", tools.bin_dir.display());
        missing.extend(ways.iter().filter(|way| way.is_teeter()).map(|way| (*way, why.clone())));
    }
    let socat = Command::new("socat").arg("-V").output().await;
    if !socat.is_ok_and(|output| output.status.success()) {
        missing.push((Way::Socat, "socat is not installed".to_owned()));
    }
    ways.retain(|way| missing.iter().all(|(gone, _)| gone != way));
    missing
}

fn say(text: &str) -> io::Result<()> {
    writeln!(io::stdout(), "{text}")
}
