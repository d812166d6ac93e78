//! The master's socket: it lists the processes and passes commands on to one of them.

use std::fmt::Write as _;

use tokio::io::{AsyncReadExt, DuplexStream};
use tokio::sync::watch;
use tokio::time::Instant;

use super::Fake;
use super::commands::Caller;
use super::host::Host;
use super::setup::{Level, Series};
use super::wire::{carry_out, leave, send, wait_while_hung};

/// Serves one connection until the client closes its half, or until a reload.
pub(super) async fn serve(fake: Fake, stream: DuplexStream, mut life: watch::Receiver<()>) {
    tokio::select! {
        biased;
        _ = life.changed() => {}
        () = talk(&fake, stream) => {}
    }
}

async fn talk(fake: &Fake, mut stream: DuplexStream) {
    let mut read = Vec::new();
    loop {
        let Some(end) = read.iter().position(|byte| *byte == b'\n') else {
            match stream.read_buf(&mut read).await {
                Ok(1..) => continue,
                _ => return,
            }
        };
        let line = String::from_utf8_lossy(&read[..end]).trim().to_owned();
        read.drain(..=end);
        wait_while_hung(fake).await;
        let Some(answer) = answer(fake, &line).await else { return };
        if send(fake, &mut stream, answer.as_bytes()).await.is_err() {
            return;
        }
        if answer.starts_with(NO_SUCH_WORKER) && fake.with(|host, _| (host.forgets_to_close(), None)) {
            // The connection stays open until the client closes it.
            std::future::pending::<()>().await;
        }
    }
}

/// The answer to a line. `None`: the connection ends without an answer.
async fn answer(fake: &Fake, line: &str) -> Option<String> {
    let mut out = String::new();
    if line == "show proc" {
        fake.with(|host, now| (host.show_processes(now, &mut out), None));
        out.push('\n');
        return Some(out);
    }
    if line == "reload" {
        fake.reload();
        return None;
    }
    let Some((worker, command)) = line.strip_prefix('@').and_then(|rest| rest.split_once(' ')) else {
        fake.with(|host, _| (out.push_str(&host.texts.unknown), None));
        out.push('\n');
        return Some(out);
    };
    let pid = fake.with(|host, _| {
        let pid = match worker.strip_prefix('!') {
            Some(pid) => pid.parse().ok().filter(|pid| host.workers.contains_key(pid)),
            None => host.current.filter(|_| worker == "1"),
        };
        // The process has one connection more while it answers.
        let worker = pid.and_then(|pid| host.workers.get_mut(&pid));
        (worker.map(|worker| (worker.cli += 1, worker.pid).1), None)
    });
    let Some(pid) = pid else {
        let _ = writeln!(out, "{NO_SUCH_WORKER} PID matching the prefix '@{worker}'");
        return Some(out);
    };
    tokio::task::yield_now().await;
    let mut caller = Caller { pid, level: Level::Admin, prompt: false };
    let done = carry_out(fake, &mut caller, command, &mut out).await;
    leave(fake, pid);
    out.push('\n');
    (!done.gone).then_some(out)
}

impl Host {
    fn show_processes(&self, now: Instant, out: &mut String) {
        let Some(master) = &self.master else { return };
        let relative = self.setup.series == Series::V2_2;
        write_row(out, relative, ["#<PID>", "<type>", "<relative PID>", "<reloads>", "<uptime>", "<version>"]);
        let mut reloads = master.reloads.to_string();
        if !relative {
            let _ = write!(reloads, " [failed: {}]", master.failed);
        }
        let version = self.texts.version.as_str();
        write_row(
            out,
            relative,
            [&master.pid.to_string(), "master", "0", &reloads, &uptime(master.started, now), version],
        );
        for (old, heading) in [(false, "# workers\n"), (true, "# old workers\n")] {
            let mut workers =
                self.workers.values().filter(|worker| (Some(worker.pid) != self.current) == old).peekable();
            if workers.peek().is_some() || !old {
                out.push_str(heading);
            }
            for worker in workers {
                let number = if old { "[was: 1]" } else { "1" };
                let (pid, reloads) = (worker.pid.to_string(), worker.reloads.to_string());
                write_row(out, relative, [&pid, "worker", number, &reloads, &uptime(worker.started, now), version]);
            }
        }
        if self.setup.series < Series::V3_2 {
            out.push_str("# programs\n");
        }
    }

    /// From 3.0 on, the master sometimes answers that a process does not exist and leaves the connection open.
    fn forgets_to_close(&mut self) -> bool {
        self.setup.series >= Series::V3_0 && self.dice.within(0..2) == 0
    }
}

/// A row of `show proc`. The third column exists only up to 2.4.
fn write_row(out: &mut String, relative: bool, [pid, kind, number, reloads, uptime, version]: [&str; 6]) {
    let _ = write!(out, "{pid:<15} {kind:<15} ");
    if relative {
        let _ = write!(out, "{number:<15} ");
    }
    let _ = writeln!(out, "{reloads:<15} {uptime:<15} {version:<15}");
}

fn uptime(since: Instant, now: Instant) -> String {
    let seconds = now.duration_since(since).as_secs();
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60);
    format!("{days}d{hours:02}h{minutes:02}m{:02}s", seconds % 60)
}

const NO_SUCH_WORKER: &str = "Can't find the target";
