//! The figures: how long drains and flips really take on this machine, and what teeter itself costs.
//!
//! It measures and judges no time: only a request that fails makes it fail.

use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use clap::Args;
use teeter_lab::{Haproxy, Load, LoadReport, LoadSpec};
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::{sleep, timeout};

use crate::figures_numbers::{Figures, Sample};
use crate::figures_site::{Site, failure};

/// All of it takes less, or something hangs.
const LIMIT: Duration = Duration::from_secs(230);

/// Deploys while slow requests are under way; each drains two groups.
const SLOW_DEPLOYS: usize = 25;

/// Deploys under full load; each flips once.
const BUSY_DEPLOYS: usize = 50;

/// Clients that ask without rest while flips are measured.
const BUSY_CLIENTS: usize = 32;

/// How long the slow requests take, in ms, and how many clients make each kind.
const SLOW: [u64; 3] = [300, 550, 800];
const SLOW_CLIENTS: usize = 3;

/// How often a command is started to see how long that takes.
const STARTS: usize = 50;

/// How often HAProxy is reloaded while a server is held.
const RELOADS: usize = 20;

/// For teeterd to come to rest.
const REST: Duration = Duration::from_secs(3);

#[derive(Args)]
pub(crate) struct FiguresArgs {
    /// Where `teeter` and `teeterd` are.
    #[arg(long, default_value = "target/release")]
    bin_dir: PathBuf,
    /// Where to write everything that was measured, as JSON.
    #[arg(long)]
    json: Option<PathBuf>,
}

/// Takes the figures and prints them.
pub(crate) async fn run(args: FiguresArgs) -> io::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    // Whichever way this ends, the future is dropped, and all that runs with it.
    let figures = tokio::select! {
        done = timeout(LIMIT, measure(&args)) => done.unwrap_or_else(|_| Err(failure("not done in time".to_owned()))),
        _ = tokio::signal::ctrl_c() => Err(failure("interrupted".to_owned())),
        _ = terminate.recv() => Err(failure("told to stop".to_owned())),
    }?;
    write!(io::stdout(), "\n{figures}")?;
    if let Some(file) = args.json {
        std::fs::write(file, format!("{:#}\n", figures.to_json()))?;
    }
    match figures.failed + figures.broken {
        0 => Ok(()),
        _ => Err(failure(format!("{} requests failed, {} were broken", figures.failed, figures.broken))),
    }
}

/// What is gathered on the way.
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
    say(&format!("{BUSY_DEPLOYS} deploys with {BUSY_CLIENTS} clients that ask without rest"))?;
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
        status.push(time_of(site.command(&["status"])).await?);
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

/// A deploy while a few clients ask for what takes long and some others for what does not.
async fn slow_deploy(site: &Site, tally: &mut Tally) -> io::Result<()> {
    let spec = LoadSpec::new(site.farm.addr());
    let mut loads = vec![Load::start(LoadSpec { pause: Duration::from_millis(5), ..spec.clone() })?];
    for ms in SLOW {
        let path = format!("/slow?ms={ms}");
        loads.push(Load::start(LoadSpec { connections: SLOW_CLIENTS, path, ..spec.clone() })?);
    }
    // Each kind at least once, and under way again, out of step with the others.
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

/// A deploy under a load that shows every moment of the flip. Each has a load of its own, so that the memory of
/// the requests before does not slow down the clients.
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

fn say(text: &str) -> io::Result<()> {
    writeln!(io::stdout(), "{text}")
}
