//! A version that answers every request with 500, deployed by each strategy under load: how many errors clients see
//! until teeter has switched the traffic back.
//!
//! Bounds: `--rounds` deploys for each line, each with a farm, a HAProxy and a teeterd of its own; all are stopped at
//! the end of the round.

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use serde_json::Value;
use teeter_lab::{FarmSpec, Load, LoadSpec, Sample, TestFarm};

use crate::command::{failure, until_stopped};
use crate::teeterd::Teeter;

/// The time for all rounds.
const LIMIT: Duration = Duration::from_secs(1200);

/// The version that fails.
const BAD: &str = "v2-bad";

#[derive(Args)]
pub(crate) struct RollbacksArgs {
    /// The directory of `teeter` and `teeterd`.
    #[arg(long, default_value = "target/release")]
    bin_dir: PathBuf,
    /// The number of deploys for each line.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=1000))]
    rounds: u32,
}

/// A deploy of the bad version.
struct Case {
    name: &'static str,
    sample: Sample,
    farm: &'static str,
    options: &'static [&'static str],
    clients: usize,
    pause: Duration,
}

const fn case(
    name: &'static str,
    sample: Sample,
    options: &'static [&'static str],
    clients: usize,
    pause_ms: u64,
) -> Case {
    let farm = if matches!(sample, Sample::BlueGreen) { "shop" } else { "web" };
    Case { name, sample, farm, options, clients, pause: Duration::from_millis(pause_ms) }
}

const CASES: [Case; 7] = [
    case("see-saw by servers, 1 client", Sample::Servers, &[], 1, 20),
    case("see-saw by servers", Sample::Servers, &[], 16, 20),
    case("see-saw by a route", Sample::Route, &[], 16, 20),
    case("blue-green", Sample::BlueGreen, &["--strategy", "blue-green"], 16, 20),
    case("canary, 5% of the clients", Sample::Canary, &["--strategy", "canary", "--steps", "5%"], 100, 120),
    case("canary, 25% of the clients", Sample::Canary, &["--strategy", "canary", "--steps", "25%"], 100, 120),
    case("canary, 25% by weights", Sample::Servers, &["--strategy", "canary", "--steps", "25%"], 16, 20),
];

/// What one deploy cost the clients.
struct Cost {
    /// Requests in a second.
    rate: f64,
    /// Errors that clients saw.
    errors: usize,
    /// Requests that HAProxy had counted of the new version at the verdict.
    at_verdict: u64,
    /// From the beginning of the watch to the verdict, in ms.
    took_ms: u64,
}

pub(crate) async fn run(args: RollbacksArgs) -> io::Result<()> {
    until_stopped(LIMIT, measure(&args)).await
}

async fn measure(args: &RollbacksArgs) -> io::Result<()> {
    let mut out = io::stdout();
    writeln!(
        out,
        "every answer of the new version is a 500; {} deploys for each line; medians (largest)\n",
        args.rounds
    )?;
    writeln!(out, "| deploy | requests/s | errors that clients saw | requests at the verdict | verdict after, ms |")?;
    writeln!(out, "|---|---:|---:|---:|---:|")?;
    for case in &CASES {
        let mut costs = Vec::new();
        for _ in 0..args.rounds {
            costs.push(deploy(&args.bin_dir, case).await?);
        }
        let of = |value: fn(&Cost) -> u64| {
            let mut all: Vec<u64> = costs.iter().map(value).collect();
            all.sort_unstable();
            format!("{} ({})", all[all.len() / 2], all[all.len() - 1])
        };
        let rate = costs.iter().map(|cost| cost.rate).sum::<f64>() / costs.len() as f64;
        let errors = of(|cost| cost.errors as u64);
        let (at_verdict, took) = (of(|cost| cost.at_verdict), of(|cost| cost.took_ms));
        writeln!(out, "| {} | {rate:.0} | {errors} | {at_verdict} | {took} |", case.name)?;
    }
    Ok(())
}

async fn deploy(bin_dir: &Path, case: &Case) -> io::Result<Cost> {
    let farm =
        TestFarm::start_spec(FarmSpec { sample: case.sample, version: "v1".to_owned(), ..FarmSpec::default() }).await?;
    let config = watching(&farm.toml()?);
    let teeter = Teeter::start(bin_dir, farm.dir(), &config).await?;
    let hook = farm.write_hook(farm.dir())?.display().to_string();
    let spec = LoadSpec { connections: case.clients, pause: case.pause, ..LoadSpec::new(farm.addr()) };
    // The old version is known: HAProxy has counted requests to it.
    let before = Load::start(LoadSpec { connections: 16, ..LoadSpec::new(farm.addr()) })?;
    let answered = before.more(6000).await;
    before.stop().await?;
    let load = Load::start(spec)?;
    if !answered || !load.more(50).await {
        return Err(failure("the farm does not answer the load".to_owned()));
    }
    let args = [&["deploy", case.farm, "--to", BAD][..], case.options, &["--", &hook]].concat();
    let ended = tokio::task::spawn_blocking({
        let mut command = teeter.command(&args);
        move || command.output()
    });
    let ended = ended.await??;
    if ended.status.success() {
        return Err(failure(format!("{}: the bad version was not rolled back\n{}", case.name, teeter.log())));
    }
    load.more(50).await;
    let report = load.stop().await?;
    let run: Value = serde_json::from_str(&teeter.run(&["--json", "show", "1"]).await?)?;
    let watch = &run["watches"][0];
    let last = watch["points"].as_array().and_then(|points| points.last());
    let number = |value: Option<&Value>| value.and_then(Value::as_u64);
    let at_verdict = number(last.map(|last| &last["new"]["requests"]));
    let took_ms = number(last.map(|last| &last["ms"]));
    let (Some(at_verdict), Some(took_ms), "rolled back") =
        (at_verdict, took_ms, run["state"].as_str().unwrap_or_default())
    else {
        return Err(failure(format!("{}: it was not rolled back by a watch\n{run:#}", case.name)));
    };
    let errors = report.records.iter().filter(|record| record.status >= 500).count();
    Ok(Cost { rate: report.rate(), errors, at_verdict, took_ms })
}

/// The configuration of a sample, with a watch of each farm in place of its own.
fn watching(config: &str) -> String {
    let mut text = String::new();
    let mut skips = false;
    for line in config.lines() {
        if line.starts_with('[') {
            skips = line.ends_with(".bake]");
        }
        let names_haproxy = line.starts_with("[[haproxy]]") || line.starts_with("name = \"edge\"");
        if !skips && !names_haproxy && !line.starts_with("socket = ") {
            text.push_str(line);
            text.push('\n');
        }
        let farm =
            line.strip_prefix("[farm.").and_then(|rest| rest.strip_suffix(']')).filter(|name| !name.contains('.'));
        if farm.is_some() {
            text.push_str("bake = { for = \"60s\", max_5xx = \"1%\", max_errors = \"1%\" }\n");
        }
    }
    text
}
