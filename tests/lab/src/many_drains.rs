//! `lab drains`: many drains under all kinds of traffic. The drained server itself says whether it was empty.

use std::io::{self, Write as _};
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use teeter_lab::drains::{self, DrainsSpec, Kind, Programs};

use crate::chosen;
use crate::command::failure;

#[derive(Args)]
pub(crate) struct DrainsArgs {
    /// The directory of `teeter` and `teeterd`.
    #[arg(long, default_value = "target/release")]
    bin_dir: PathBuf,
    /// The number of drains.
    #[arg(long, default_value_t = 2000)]
    count: usize,
    /// The seed of random choices.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Only this kind of traffic, by the name of its backend in the report.
    #[arg(long)]
    only: Vec<String>,
}

/// Drains, prints the report, and fails if a server was not empty when teeter said so.
pub(crate) async fn run(args: DrainsArgs) -> io::Result<()> {
    chosen::check_names("kind of traffic", &args.only, &Kind::ALL.map(Kind::backend))?;
    let kinds = Kind::ALL
        .into_iter()
        .filter(|kind| args.only.is_empty() || args.only.iter().any(|name| name == kind.backend()));
    let limit = Duration::from_secs(120) + Duration::from_millis(500) * u32::try_from(args.count).unwrap_or(u32::MAX);
    let spec = DrainsSpec { count: args.count, seed: args.seed, kinds: kinds.collect(), limit };
    let [teeter, teeterd] = ["teeter", "teeterd"].map(|name| args.bin_dir.join(name));
    let report = drains::run(&spec, &Programs { teeter, teeterd }).await?;
    write!(io::stdout(), "{report}")?;
    match (report.violations.len(), report.failures.len()) {
        (0, 0) => Ok(()),
        (violations, 0) => Err(failure(format!("{violations} servers were not drained when teeter said so"))),
        _ => Err(failure("requests failed although no server refused them".to_owned())),
    }
}
