//! `lab chaos`: faults at each step of each strategy, with checks that teeter's answers are correct and that the farm
//! recovers.

use std::io::{self, Write as _};
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use teeter_lab::chaos::{self, ChaosSpec, Fault, Way};
use teeter_lab::drains::Programs;

use crate::chosen;
use crate::command::failure;

#[derive(Args)]
pub(crate) struct ChaosArgs {
    /// The directory of `teeter` and `teeterd`.
    #[arg(long, default_value = "target/release")]
    bin_dir: PathBuf,
    /// Only this fault, by its name in the report.
    #[arg(long)]
    only: Vec<String>,
    /// Only this way to deploy, by its name in the report.
    #[arg(long)]
    way: Vec<String>,
    /// Only at the step of this number.
    #[arg(long)]
    step: Vec<usize>,
    /// The number of stores of each way on which a teeterd is started after a loss of power.
    #[arg(long, default_value_t = 20)]
    power: usize,
    /// The time that a stopped process stays stopped, in seconds.
    #[arg(long, default_value_t = 20)]
    pause: u64,
    /// The number of cases at a time.
    #[arg(long, default_value_t = 4)]
    lanes: usize,
    /// The limit for all cases together, in minutes.
    #[arg(long, default_value_t = 30)]
    limit: u64,
}

/// Runs the cases, prints a line for each and the report, and fails if an assertion failed.
pub(crate) async fn run(args: ChaosArgs) -> io::Result<()> {
    let mut faults: Vec<&str> = Fault::ALL.iter().map(|fault| fault.name()).collect();
    faults.push("power-loss");
    chosen::check_names("fault", &args.only, &faults)?;
    chosen::check_names("way", &args.way, &Way::ALL.map(|way| way.name))?;
    let wanted = |name: &str, only: &[String]| only.is_empty() || only.iter().any(|given| given == name);
    let spec = ChaosSpec {
        ways: Way::ALL.into_iter().filter(|way| wanted(way.name, &args.way)).collect(),
        faults: Fault::ALL.into_iter().filter(|fault| wanted(fault.name(), &args.only)).collect(),
        steps: Some(args.step).filter(|steps| !steps.is_empty()),
        power: if wanted("power-loss", &args.only) { args.power } else { 0 },
        pause: Duration::from_secs(args.pause),
        lanes: args.lanes,
        limit: Duration::from_secs(args.limit * 60),
    };
    let [teeter, teeterd] = ["teeter", "teeterd"].map(|name| args.bin_dir.join(name));
    let print = |line: &str| {
        let _ = writeln!(io::stdout(), "{line}");
    };
    let report = chaos::run(&spec, &Programs { teeter, teeterd }, print).await?;
    write!(io::stdout(), "{report}")?;
    chosen::check_any_ran(report.cases(), "no chosen way has such a step, or such a fault at it")?;
    match report.violations.len() {
        0 => Ok(()),
        violations => Err(failure(format!("{violations} assertions failed"))),
    }
}
