//! The demonstration: a see-saw deploy of four real processes under load, and the number of failures.

use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use clap::Args;
use teeter_lab::{Load, LoadReport, LoadSpec};
use tokio::process::Command;

use crate::command::{say, until_stopped};
use crate::demo_site::DemoSite;

/// The limit for the whole demonstration.
const LIMIT: Duration = Duration::from_secs(60);

const CLIENTS: usize = 24;

#[derive(Args)]
pub(crate) struct DemoArgs {
    /// The directory of `teeter` and `teeterd`.
    #[arg(long, default_value = "target/release")]
    bin_dir: PathBuf,
}

/// Runs the demonstration. An error says in one line what failed.
pub(crate) async fn run(args: DemoArgs) -> io::Result<()> {
    until_stopped(LIMIT, deploy(args)).await
}

async fn deploy(args: DemoArgs) -> io::Result<()> {
    let teeter = args.bin_dir.join("teeter");
    let teeterd = args.bin_dir.join("teeterd");
    for binary in [&teeter, &teeterd] {
        if !binary.exists() {
            let text = format!("{} does not exist: build it first", binary.display());
            return Err(io::Error::new(io::ErrorKind::NotFound, text));
        }
    }
    say("Four servers on v1 behind HAProxy, teeterd beside it.")?;
    let mut site = DemoSite::start().await?;
    site.start_teeterd(&teeterd).await?;
    let load = Load::start(LoadSpec {
        connections: CLIENTS,
        pause: Duration::from_millis(2),
        slow_every: Some((200, "/slow?ms=2000".to_owned())),
        max: LIMIT,
        ..LoadSpec::new(site.front())
    })?;
    if !load.more(500).await {
        return Err(io::Error::other("the farm does not answer the load"));
    }
    say(&format!("{CLIENTS} clients send requests without a pause; now: teeter deploy web --to v2\n"))?;
    let hook = site.write_hook()?;
    let deployed = command(&site, &teeter).args(["deploy", "web", "--to", "v2", "--"]).arg(&hook).status().await?;
    // The load continues for a while, so that the report shows the complete farm, too.
    let is_served = load.more(500).await;
    let report = load.stop().await?;
    if let Ok(run) = std::fs::read_to_string(site.run_file()) {
        let run = run.trim();
        say(&format!("\nteeter show {run}"))?;
        command(&site, &teeter).args(["show", run]).status().await?;
    }
    let versions = site.versions().await;
    summary(&report, &versions)?;
    let verdict = if !deployed.success() {
        Some(format!("the deploy failed ({deployed})"))
    } else if !report.failed().is_empty() {
        Some(format!("{} requests failed", report.failed().len()))
    } else if !is_served {
        Some("the farm does not answer the load any more".to_owned())
    } else {
        let old = versions.iter().find(|(_, version)| version != "v2");
        old.map(|(name, version)| format!("{name} is on {version}, not v2"))
    };
    match verdict {
        None => say("\nNo request failed, and every server is on v2."),
        Some(reason) => {
            write!(io::stderr(), "\nThe log of teeterd:\n{}", site.teeterd_log())?;
            Err(io::Error::other(reason))
        }
    }
}

fn command(site: &DemoSite, teeter: &PathBuf) -> Command {
    let mut command = Command::new(teeter);
    command.arg("--socket").arg(site.control());
    command.stdin(Stdio::null()).kill_on_drop(true);
    command
}

fn summary(report: &LoadReport, versions: &[(&str, String)]) -> io::Result<()> {
    let at = |time: Option<u64>| {
        time.map_or_else(|| "never".to_owned(), |nanos| format!("{:.4} s", Duration::from_nanos(nanos).as_secs_f64()))
    };
    let (first, last) = (report.first_of("v2"), report.last_answered_of("v1"));
    let both = match (first, last) {
        (Some(first), Some(last)) => Duration::from_nanos(last.saturating_sub(first)),
        _ => Duration::ZERO,
    };
    let mixed = report.inversions("v1", "v2");
    say(&format!("\nWhat the clients saw\n{report}"))?;
    say(&format!("first v2 answer            {}", at(first)))?;
    say(&format!("last request sent to v1    {}", at(report.last_sent_of("v1"))))?;
    say(&format!("last v1 answer             {}", at(last)))?;
    say(&format!("both versions answered for {both:.2?} (slow requests finishing included)"))?;
    say(&format!(
        "new requests were mixed for {:.2?}: {} went to v1 after a client had seen v2",
        mixed.window, mixed.causal
    ))?;
    for (name, version) in versions {
        say(&format!("{name} is on {version}"))?;
    }
    Ok(())
}
