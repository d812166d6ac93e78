//! Ways to flip a farm, measured side by side: the usual ways without teeter (the peers), and teeter.
//!
//! `ways` names them, `site` is the farm, `peers` and `teeter` flip it, `measure` counts the effect on requests, and
//! `table` and `picture` show it. `size` is a comparison of its own, of a flip of a very large farm.
//!
//! The bench sets no limits: a peer whose requests fail is shown with its failures.

use std::io::{self, Write as _};
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use tokio::process::Command;

use self::measure::{Clients, measure};
use self::site::{Farm, Tools};
use self::table::{Machine, Table};
use self::ways::Way;
use crate::command::{failure, say, until_stopped};
use crate::teeterd::Teeter;

mod measure;
mod peers;
mod picture;
mod site;
pub(crate) mod size;
pub(crate) mod table;
mod ways;

/// The average time of a flip until it has settled, at most. It includes a second of a peer for each server.
const EACH: Duration = Duration::from_secs(8);

/// The time for the start of a site, at most.
const START: Duration = Duration::from_secs(60);

#[derive(Args)]
pub(crate) struct BenchArgs {
    /// The directory of `teeter` and `teeterd`.
    #[arg(long, default_value = "target/release")]
    bin_dir: PathBuf,
    /// The number of flips of each way under each load.
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..))]
    flips: u32,
    /// The numbers of clients that send requests without a pause: one load after the other.
    #[arg(long, value_delimiter = ',', default_value = "32,400",
          value_parser = clap::value_parser!(u32).range(1..=2000))]
    connections: Vec<u32>,
    /// The number of clients that open a connection for each request.
    #[arg(long, default_value_t = 0)]
    fresh: u32,
    /// The ways to flip; by default all but the real Ansible, which needs `--ansible`.
    #[arg(long, value_delimiter = ',')]
    ways: Vec<Way>,
    /// ansible-playbook, with the collection community.general, for a few flips with the real module.
    #[arg(long)]
    ansible: Option<PathBuf>,
    /// The number of flips with the real module, which starts a process for each server.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    ansible_flips: u32,
    /// Print the table as Markdown.
    #[arg(long)]
    markdown: bool,
    /// The directory for bench-flip.json and bench-flip.svg.
    #[arg(long, default_value = "target")]
    out: PathBuf,
}

/// Takes the figures and prints them.
pub(crate) async fn run(args: BenchArgs) -> io::Result<()> {
    let flips = args.flips * u32::try_from(args.connections.len() * Way::USUAL.len()).unwrap_or(u32::MAX);
    let limit = EACH * flips + START * 12;
    let table = until_stopped(limit, compare(&args, limit)).await?;
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
        table.left_out = remove_unavailable(&mut ways, &tools).await;
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

/// Removes the ways whose programs are missing here. A way that was selected by name is not removed, and fails.
async fn remove_unavailable(ways: &mut Vec<Way>, tools: &Tools) -> Vec<(Way, String)> {
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
