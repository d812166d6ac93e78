//! The time to flip a very large farm: by one command of teeter, and by one socat for each server.
//!
//! The farm gets no requests meanwhile, because only the flip is measured. The servers share a few ports, so that a
//! thousand servers do not need a thousand processes.

use std::fmt::Write as _;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use clap::Args;
use serde_json::Value;
use teeter_lab::farm::write_script;
use teeter_lab::{Haproxy, config_head, free_port, tables};
use tempfile::TempDir;
use tokio::process::Command;
use tokio::time::{Instant, sleep, timeout};

use super::site::Farm;
use super::table::Machine;
use super::ways::Half;
use crate::command::{failure, say, until_stopped};
use crate::teeterd::Teeter;

/// The limit for everything together.
const LIMIT: Duration = Duration::from_secs(600);

/// The time for the check of every server, and for one round of socat.
const ROUND: Duration = Duration::from_secs(120);

#[derive(Args)]
pub(crate) struct SizeArgs {
    /// The directory of `teeter` and `teeterd`.
    #[arg(long, default_value = "target/release")]
    bin_dir: PathBuf,
    /// The number of servers of the farm.
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u32).range(2..=4000))]
    servers: u32,
    /// The number of flips of each way.
    #[arg(long, default_value_t = 6, value_parser = clap::value_parser!(u32).range(1..))]
    flips: u32,
    /// Only socat.
    #[arg(long)]
    without_teeter: bool,
}

pub(crate) async fn run(args: SizeArgs) -> io::Result<()> {
    until_stopped(LIMIT, compare(&args)).await
}

async fn compare(args: &SizeArgs) -> io::Result<()> {
    let farm = Farm::start().await?;
    say(&format!("{}\n{} servers, half of them in service", Machine::this()?, args.servers))?;
    let large = Large::start(args.servers as usize, &farm).await?;
    large.flip_with_socat(Half::A).await?;
    let mut half = Half::A;
    for _ in 0..args.flips {
        half = half.other();
        let began = Instant::now();
        large.flip_with_socat(half).await?;
        let took = began.elapsed();
        large.check_in_service(half).await?;
        say(&format!("socat, one process for each of {} commands: {took:.2?}", args.servers))?;
    }
    if args.without_teeter {
        return Ok(());
    }
    // No hold is on the servers that socat has drained, so teeter would skip them: all servers are made ready first.
    large.all_in().await?;
    let teeter = Teeter::start(&args.bin_dir, large.dir.path(), &large.teeter_config()).await?;
    teeter.flip(half.group()).await?;
    for _ in 0..args.flips {
        half = half.other();
        let began = Instant::now();
        let run = teeter.run(&["--json", "flip", "web", half.group()]).await?;
        let took = began.elapsed();
        large.check_in_service(half).await?;
        let commands = recorded(&teeter, &run).await;
        let commands = commands.map_or_else(String::new, |ms| format!(", of which the commands {ms} ms"));
        say(&format!("teeter flip, complete and confirmed: {took:.2?}{commands}"))?;
    }
    teeter.stop().await
}

/// The time of the commands, if teeter reports it.
async fn recorded(teeter: &Teeter, run: &str) -> Option<String> {
    let run: Value = serde_json::from_str(run).ok()?;
    let shown = teeter.run(&["show", &run["id"].to_string()]).await.ok()?;
    let (_, rest) = shown.split_once("commands took")?;
    rest.split_whitespace().next().map(str::to_owned)
}

/// A HAProxy with one very large backend.
struct Large {
    haproxy: Haproxy,
    servers: usize,
    dir: TempDir,
}

impl Large {
    async fn start(servers: usize, farm: &Farm) -> io::Result<Self> {
        let dir = tempfile::Builder::new().prefix("lab-size-").tempdir()?;
        let front = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()?));
        let head = config_head(dir.path(), &[], &["timeout check 2s"]);
        let mut text = head + &PROXIES.replace("@FRONT@", &front.to_string());
        for half in [Half::A, Half::B] {
            let addrs: Vec<_> = farm.addrs(half).collect();
            for (name, addr) in names(half, servers).zip(addrs.iter().cycle()) {
                let _ = writeln!(text, "    server {name} {addr}");
            }
        }
        let haproxy = Haproxy::start(dir.path(), &text).await?;
        let large = Self { haproxy, servers, dir };
        // Every server has been checked once. teeter itself waits for further checks.
        large.until(|row| row["check_status"].contains("L7")).await?;
        Ok(large)
    }

    async fn flip_with_socat(&self, to: Half) -> io::Result<()> {
        let path = self.dir.path().join(format!("to-{}.sh", to.group()));
        if !path.exists() {
            let socket = self.haproxy.socket();
            let line = |name: String, state: &str| {
                let socket = socket.display();
                format!("echo \"set server web/{name} state {state}\" | socat stdio unix-connect:{socket}\n")
            };
            let coming: String = names(to, self.servers).map(|name| line(name, "ready")).collect();
            let going: String = names(to.other(), self.servers).map(|name| line(name, "drain")).collect();
            write_script(&path, &format!("#!/bin/sh\nset -e\n{coming}{going}"))?;
        }
        let mut command = Command::new(path);
        command.stdin(Stdio::null()).stdout(Stdio::null()).kill_on_drop(true);
        let status = timeout(ROUND, command.status()).await??;
        if status.success() { Ok(()) } else { Err(failure(format!("the script of socat: {status}"))) }
    }

    /// Fails unless this half, and no other server, is in service.
    async fn check_in_service(&self, half: Half) -> io::Result<()> {
        let ours: Vec<_> = names(half, self.servers).collect();
        let rows = tables::spaced(&self.haproxy.cmd("show servers state web").await?);
        let wrong =
            rows.iter().filter(|row| (row["srv_admin_state"] == "0") != ours.contains(&row["srv_name"])).count();
        if wrong == 0 && rows.len() == self.servers {
            return Ok(());
        }
        Err(failure(format!("{wrong} of {} servers are not as the flip should have left them", rows.len())))
    }

    async fn all_in(&self) -> io::Result<()> {
        for half in [Half::A, Half::B] {
            for name in names(half, self.servers) {
                self.haproxy.cmd(&format!("set server web/{name} state ready")).await?;
            }
        }
        self.until(|row| row["status"] == "UP").await
    }

    /// Waits until every server meets a condition.
    async fn until(&self, condition: impl Fn(&tables::Row) -> bool) -> io::Result<()> {
        let deadline = Instant::now() + ROUND;
        loop {
            let rows = tables::commas(&self.haproxy.cmd("show stat web 4 -1").await?);
            if rows.len() == self.servers && rows.iter().all(&condition) {
                return Ok(());
            }
            if Instant::now() >= deadline {
                return Err(failure("the servers do not come up".to_owned()));
            }
            sleep(Duration::from_millis(50)).await;
        }
    }

    fn teeter_config(&self) -> String {
        format!(
            "[farm.web]\nmembers = [\"web/*\"]\ngroups = {{ a = [\"a*\"], b = [\"b*\"] }}\nmin_available = \
             \"{}%\"\n\n[farm.web.drain]\ngrace = \"5s\"\ndeadline = \"30s\"\n\n[farm.web.flip]\nmode = \"servers\"\n",
            // Of an odd number the lesser half must be enough.
            (self.servers / 2) * 100 / self.servers
        )
    }
}

/// The names of a half: `a` or `b` with a number.
fn names(half: Half, servers: usize) -> impl Iterator<Item = String> {
    let count = if half == Half::A { servers.div_ceil(2) } else { servers / 2 };
    (1..=count).map(move |number| format!("{}{number:04}", half.group()))
}

/// Every server is checked twice a second: for a thousand servers these are as many checks as at a busy site.
const PROXIES: &str = "
frontend www
    bind @FRONT@
    default_backend web

backend web
    balance roundrobin
    option httpchk GET /_status
    http-check expect status 200
    default-server check inter 500ms fall 3 rise 2
";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_halves_are_the_whole() {
        for servers in [2, 3, 1000] {
            assert_eq!(names(Half::A, servers).count() + names(Half::B, servers).count(), servers);
        }
        assert_eq!(names(Half::B, 3).next().as_deref(), Some("b0001"));
    }
}
