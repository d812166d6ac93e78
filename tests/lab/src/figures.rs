//! The figures: the times of drains and flips on this machine, and the costs of teeter itself.
//!
//! It measures times and sets no limits for them. It fails only if a request fails.

use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use clap::Args;
use teeter_lab::{Haproxy, Load, LoadReport, LoadSpec};
use tokio::time::sleep;

use crate::command::{failure, say, until_stopped};
use crate::figures_numbers::{Figures, Sample};
use crate::figures_site::Site;

/// The limit for all measurements together.
const LIMIT: Duration = Duration::from_secs(230);

/// The number of deploys with slow requests under way. Each drains two groups.
const SLOW_DEPLOYS: usize = 25;

/// The number of deploys under full load. Each flips once.
const BUSY_DEPLOYS: usize = 50;

/// The number of clients that send requests without a pause while flips are measured.
const BUSY_CLIENTS: usize = 32;

/// The times of slow requests in ms, and the number of clients that send each.
const SLOW: [u64; 3] = [300, 550, 800];
const SLOW_CLIENTS: usize = 3;

/// The number of starts of a command that are measured.
const STARTS: usize = 50;

/// The number of reloads of HAProxy while a server is held.
const RELOADS: usize = 20;

/// The time for teeterd to become idle.
const REST: Duration = Duration::from_secs(3);

#[derive(Args)]
pub(crate) struct FiguresArgs {
    /// The directory of `teeter` and `teeterd`.
    #[arg(long, default_value = "target/release")]
    bin_dir: PathBuf,
    /// The file for all measurements, as JSON.
    #[arg(long)]
    json: Option<PathBuf>,
}

/// Takes the figures and prints them.
pub(crate) async fn run(args: FiguresArgs) -> io::Result<()> {
    let figures = until_stopped(LIMIT, measure(&args)).await?;
    write!(io::stdout(), "\n{figures}")?;
    if let Some(file) = args.json {
        std::fs::write(file, format!("{:#}\n", figures.to_json()))?;
    }
    match figures.failed + figures.broken {
        0 => Ok(()),
        _ => Err(failure(format!("{} requests failed, {} were broken", figures.failed, figures.broken))),
    }
}

/// The measurements so far.
#[derive(Default)]
struct Tally {
    version: usize,
    requests: usize,
    failed: u64,
    busy_requests: usize,
    busy_time: f64,
    slow_drains: Vec<f64>,
    busy_drains: Vec<f64>,
    mixed: Vec<f64>,
    both: Vec<f64>,
    inversions: Vec<f64>,
    recorded: Vec<f64>,
}

impl Tally {
    fn take(&mut self, report: &LoadReport) {
        self.requests += report.requests();
        self.failed += report.failed().len() as u64;
        for complaint in &report.complaints {
            let _ = writeln!(io::stderr(), "failure: {complaint}");
        }
    }
}

async fn measure(args: &FiguresArgs) -> io::Result<Figures> {
    let site = Site::start(&args.bin_dir).await?;
    sleep(REST).await;
    let memory_before = site.memory()?;
    let mut tally = Tally::default();
    say(&format!("{SLOW_DEPLOYS} deploys while slow requests are under way"))?;
    for _ in 0..SLOW_DEPLOYS {
        slow_deploy(&site, &mut tally).await?;
    }
    say(&format!("{BUSY_DEPLOYS} deploys with {BUSY_CLIENTS} clients that send requests without a pause"))?;
    for _ in 0..BUSY_DEPLOYS {
        busy_deploy(&site, &mut tally).await?;
    }
    sleep(REST).await;
    let memory_after = site.memory()?;
    say(&format!("{RELOADS} reloads of HAProxy while a server is held"))?;
    let reloads = site.reloads(RELOADS).await?;
    say(&format!("{STARTS} times teeter status"))?;
    let (mut status, mut nothing) = (Vec::new(), Vec::new());
    for _ in 0..STARTS {
        status.push(time_of(site.teeter.command(&["status"])).await?);
        nothing.push(time_of(Command::new("/bin/true")).await?);
    }
    Ok(Figures {
        cores: std::thread::available_parallelism().map_or(0, usize::from),
        haproxy: Haproxy::version()?,
        deploys: tally.version,
        requests: tally.requests,
        failed: tally.failed,
        broken: site.farm.broken(),
        rate: tally.busy_requests as f64 / tally.busy_time,
        connections: BUSY_CLIENTS,
        flips_mixed: tally.inversions.iter().filter(|count| **count > 0.0).count(),
        slow_drains: Sample::new(tally.slow_drains),
        busy_drains: Sample::new(tally.busy_drains),
        mixed: Sample::new(tally.mixed),
        both: Sample::new(tally.both),
        inversions: Sample::new(tally.inversions),
        recorded: Sample::new(tally.recorded),
        reloads: Sample::new(reloads),
        memory_before,
        memory_after,
        status: Sample::new(status),
        nothing: Sample::new(nothing),
    })
}

/// A deploy with a few clients that send slow requests and others that send fast ones.
async fn slow_deploy(site: &Site, tally: &mut Tally) -> io::Result<()> {
    let spec = LoadSpec::new(site.farm.addr());
    let mut loads = vec![Load::start(LoadSpec { pause: Duration::from_millis(5), ..spec.clone() })?];
    for ms in SLOW {
        let path = format!("/slow?ms={ms}");
        loads.push(Load::start(LoadSpec { connections: SLOW_CLIENTS, path, ..spec.clone() })?);
    }
    // Each kind of request has ended at least once and is under way again, at different moments.
    for load in &loads {
        going(load, 2).await?;
    }
    tally.version += 1;
    let deployed = site.deploy(&format!("v{}", tally.version)).await?;
    tally.slow_drains.extend(deployed.drains);
    for load in loads {
        tally.take(&load.stop().await?);
    }
    Ok(())
}

/// A deploy under a load that is dense enough to show the flip. Each deploy has a load of its own, so that the record
/// of earlier requests does not slow down the clients.
async fn busy_deploy(site: &Site, tally: &mut Tally) -> io::Result<()> {
    let load = Load::start(LoadSpec { connections: BUSY_CLIENTS, ..LoadSpec::new(site.farm.addr()) })?;
    going(&load, 500).await?;
    let old = format!("v{}", tally.version);
    tally.version += 1;
    let new = format!("v{}", tally.version);
    let deployed = site.deploy(&new).await?;
    going(&load, 500).await?;
    let report = load.stop().await?;
    let (Some(last), Some(first)) = (report.last_answered_of(&old), report.first_of(&new)) else {
        return Err(failure(format!("the load did not see {old} turn into {new}\n{report}")));
    };
    tally.both.push(last.saturating_sub(first) as f64 / 1e6);
    let seen = report.inversions(&old, &new);
    tally.mixed.push(seen.window.as_secs_f64() * 1e3);
    tally.inversions.push(seen.causal as f64);
    tally.recorded.push(deployed.recorded);
    tally.busy_drains.extend(deployed.drains);
    tally.busy_requests += report.requests();
    tally.busy_time += report.lasted.as_secs_f64();
    tally.take(&report);
    Ok(())
}

async fn going(load: &Load, requests: u64) -> io::Result<()> {
    if load.more(requests).await { Ok(()) } else { Err(failure("the farm does not answer the load".to_owned())) }
}

/// From the start of a command to its end, in ms.
async fn time_of(mut command: Command) -> io::Result<f64> {
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let timed = tokio::task::spawn_blocking(move || {
        let began = Instant::now();
        let status = command.status()?;
        let took = began.elapsed();
        if status.success() {
            Ok(took.as_secs_f64() * 1e3)
        } else {
            Err(failure(format!("a command failed: {status}")))
        }
    });
    timed.await?
}
