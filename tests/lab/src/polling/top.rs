//! `lab top`: the cost of an open `teeter top`, for itself, for teeterd and for HAProxy.

use std::io;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use clap::Args;
use tokio::process::Command;
use tokio::time::{Instant, sleep};

use super::many_servers::{ManyServers, TARGET};
use crate::bench::table::Machine;
use crate::command::{failure, say, until_stopped};
use crate::figures_site::memory_of;
use crate::teeterd::Teeter;

/// The limit for everything together.
const LIMIT: Duration = Duration::from_secs(1800);

/// The time until the screen has read everything once.
const SETTLES: Duration = Duration::from_secs(5);

#[derive(Args)]
pub(crate) struct TopArgs {
    /// The directory of `teeter` and `teeterd`.
    #[arg(long, default_value = "target/release")]
    bin_dir: PathBuf,
    /// The number of backends of the large HAProxy, with 20 servers each.
    #[arg(long, default_value_t = 500, value_parser = clap::value_parser!(u32).range(1..=1000))]
    backends: u32,
    /// The time of each measurement, in seconds.
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..))]
    seconds: u32,
}

/// Takes the figures and prints them.
pub(crate) async fn run(args: TopArgs) -> io::Result<()> {
    until_stopped(LIMIT, measure(&args)).await
}

async fn measure(args: &TopArgs) -> io::Result<()> {
    say(&format!("{}\n\n{TABLE}", Machine::this()?))?;
    for (backends, each) in [(1, 10), (args.backends as usize, 20)] {
        let site = ManyServers::start(backends, each).await?;
        say(&at_size(args, &site, backends * each).await?)?;
    }
    Ok(())
}

/// The line of the table for one size.
async fn at_size(args: &TopArgs, site: &ManyServers, servers: usize) -> io::Result<String> {
    let teeter = Teeter::start(&args.bin_dir, site.dir(), "").await?;
    // teeterd answers after its first look at everything.
    teeter.run(&["status", TARGET]).await?;
    let daemon = teeter.pid().ok_or_else(|| failure("teeterd has ended".to_owned()))?;
    let time = Duration::from_secs(args.seconds.into());
    let [rest_of_daemon, rest_of_haproxy] = shares([daemon, site.pid], time).await?;

    let pid_file = site.dir().join("top.pid");
    let mut command = Command::new("script");
    command.args(["-qfc", "stty rows 50 cols 160; echo $$ >\"$PID_FILE\"; exec \"$TEETER\" --socket \"$SOCKET\" top"]);
    command.arg("/dev/null").env("PID_FILE", &pid_file).env("SOCKET", teeter.control());
    command.env("TEETER", args.bin_dir.join("teeter")).env("TERM", "xterm").env("SHELL", "/bin/sh");
    // The end of its input would end `script`.
    command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
    let mut script = command.spawn()?;
    sleep(SETTLES).await;
    let pid = std::fs::read_to_string(&pid_file)?.trim().parse::<u32>().map_err(io::Error::other)?;
    let [top, of_daemon, of_haproxy] = shares([pid, daemon, site.pid], time).await?;
    let memory = memory_of(pid)?.now as f64 / 1024.0;
    script.kill().await?;
    teeter.stop().await?;
    let (of_daemon, of_haproxy) = (of_daemon - rest_of_daemon, of_haproxy - rest_of_haproxy);
    Ok(format!("| {servers} | {top:.2} | {memory:.1} | {of_daemon:.2} | {of_haproxy:.2} |"))
}

/// What each process takes of a core during this time, in percent.
async fn shares<const N: usize>(pids: [u32; N], time: Duration) -> io::Result<[f64; N]> {
    let began = Instant::now();
    let all = || pids.iter().map(|pid| cpu_time(*pid)).collect::<io::Result<Vec<f64>>>();
    let before = all()?;
    sleep(time).await;
    let after = all()?;
    let seconds = began.elapsed().as_secs_f64();
    // A millisecond in a second is a tenth of a percent.
    Ok(std::array::from_fn(|at| (after[at] - before[at]) / seconds / 10.0))
}

/// The time that a process has spent so far, threads that have ended included, in ms. `stat` counts in hundredths of a
/// second, which is enough for half a minute.
fn cpu_time(pid: u32) -> io::Result<f64> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // The name of the program, in parentheses, may contain blanks.
    let fields = text.rsplit_once(')').map(|(_, rest)| rest.split_whitespace().skip(11).take(2)).into_iter().flatten();
    let ticks: Vec<f64> = fields.filter_map(|field| field.parse().ok()).collect();
    match ticks[..] {
        [user, system] => Ok((user + system) * 10.0),
        _ => Err(failure(format!("no time in /proc/{pid}/stat: {text}"))),
    }
}

const TABLE: &str = "\
| servers | `teeter top`, % of a core | MiB | teeterd, % more | HAProxy, % more |
|---:|---:|---:|---:|---:|";
