//! `lab estimates`: how good the estimates of drains are. Farms with sessions of different lengths are flipped again and
//! again. While a group drains, the printed estimate is noted several times, and in the end compared with the real end.
//!
//! `traffic` has the kinds of sessions, `bed` the processes, `report` the table.

mod bed;
mod report;
mod traffic;

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use jiff::Timestamp;
use serde_json::Value;
use teeter_lab::Dice;
use tokio::time::{Instant, timeout};

use self::bed::Bed;
use self::report::{Moment, Report};
use self::traffic::{Clients, Kind};
use crate::bench::table::Machine;
use crate::command::{failure, say, until_stopped};

/// How often the estimate is noted.
const NOTED: Duration = Duration::from_millis(400);

/// The limit for one drain.
const DRAIN: Duration = Duration::from_secs(240);

/// Beyond the time for drains: the start, and the drains that are under way at the end.
const REST: Duration = Duration::from_secs(600);

#[derive(Args)]
pub(crate) struct EstimatesArgs {
    /// The directory of `teeter` and `teeterd`.
    #[arg(long, default_value = "target/release")]
    bin_dir: PathBuf,
    /// The minutes during which drains are begun.
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=600))]
    minutes: u32,
    /// The seed of random choices.
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

/// Drains, compares, and prints the table.
pub(crate) async fn run(args: EstimatesArgs) -> io::Result<()> {
    let time = Duration::from_secs(60) * args.minutes;
    let report = until_stopped(time + REST, measure(&args, time)).await?;
    say(&format!("{}, {} minutes, seed {}\n\n{report}", Machine::this()?, args.minutes, args.seed))
}

async fn measure(args: &EstimatesArgs, time: Duration) -> io::Result<Report> {
    let bed = Bed::start(&args.bin_dir).await?;
    let dice = Dice::new(args.seed);
    let end = Instant::now() + time;
    let mut lanes = tokio::task::JoinSet::new();
    for (number, kind) in (0..).zip(Kind::ALL) {
        let (bed, dice) = (bed.clone(), dice.fork(number));
        lanes.spawn(async move {
            let clients = Clients::start(kind, bed.front(kind), &dice, time);
            let mut drains = Vec::new();
            for side in ["a", "b"].into_iter().cycle().take_while(|_| Instant::now() < end) {
                drains.push(timeout(DRAIN, flip(&bed, kind, side)).await??);
            }
            clients.stop().await;
            io::Result::Ok((kind, drains))
        });
    }
    let mut report = Report::default();
    while let Some(lane) = lanes.join_next().await {
        let (kind, drains) = lane.map_err(io::Error::other)??;
        report.add(kind, drains);
    }
    Ok(report)
}

/// Switches the traffic of a farm, and notes the estimates of the drain meanwhile.
async fn flip(bed: &Bed, kind: Kind, side: &str) -> io::Result<Vec<Moment>> {
    let mut flip = bed.teeter.spawn(&["flip", kind.name(), side])?;
    let mut noted = Vec::new();
    let mut run = None;
    loop {
        let ended = timeout(NOTED, flip.wait()).await;
        if run.is_none() {
            run = latest_run(bed, kind).await?;
        }
        if let Ok(status) = ended {
            let status = status?;
            if status.success() {
                break;
            }
            return Err(failure(format!("the flip of {} to {side} ended with {status}", kind.name())));
        }
        let Some(run) = run.as_deref() else { continue };
        let shown = show(bed, run).await?;
        noted.push((Timestamp::now(), shown["estimate"].clone()));
    }
    let shown = show(bed, &run.ok_or_else(|| failure("the flip has no run".to_owned()))?).await?;
    // The first flip of a farm, to a side that has the traffic already, drains nothing.
    let Some(drain) = shown["drains"].as_array().and_then(|drains| drains.first()) else { return Ok(Vec::new()) };
    let began: Timestamp = drain["began"].as_str().unwrap_or_default().parse().map_err(io::Error::other)?;
    let took = drain["took_ms"].as_f64().unwrap_or_default() / 1e3;
    let moment = |(at, estimate): (Timestamp, Value)| {
        let elapsed = at.duration_since(began).as_secs_f64();
        (elapsed > 0.0 && elapsed < took).then(|| Moment::new(elapsed, took, &estimate))
    };
    Ok(noted.into_iter().filter_map(moment).collect())
}

/// The number of the run that is under way on a farm.
async fn latest_run(bed: &Bed, kind: Kind) -> io::Result<Option<String>> {
    let runs: Value = serde_json::from_str(&bed.teeter.run(&["--json", "runs"]).await?)?;
    let runs = runs["runs"].as_array().map(Vec::as_slice).unwrap_or_default();
    let of_farm = runs.iter().filter(|run| run["farm"] == kind.name()).filter_map(|run| run["id"].as_u64());
    Ok(of_farm.max().map(|id| id.to_string()))
}

async fn show(bed: &Bed, run: &str) -> io::Result<Value> {
    Ok(serde_json::from_str(&bed.teeter.run(&["--json", "show", run]).await?)?)
}
