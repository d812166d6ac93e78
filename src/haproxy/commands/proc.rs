//! `show proc` (management guide, section 9.4): the processes under one master.

use std::time::Duration;

use nom::bytes::complete::tag;
use nom::character::complete::u64 as number;
use nom::sequence::terminated;
use nom::{IResult, Parser};

use crate::haproxy::error::{CommandError, Refusal};
use crate::haproxy::line::Command;

/// `show proc`. Only the master's socket has this command.
#[derive(Debug, Clone, Copy)]
pub struct ShowProc;

/// `show proc`, read for whether the last reload failed.
#[derive(Debug, Clone, Copy)]
pub struct LastReload;

/// One worker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Worker {
    /// The process id.
    pub pid: u32,
    /// Whether a reload has replaced the worker: then it only finishes its requests.
    pub old: bool,
    /// The time since the worker started.
    pub uptime: Duration,
    /// The version, as printed.
    pub version: String,
}

impl Command for ShowProc {
    type Reply = Vec<Worker>;

    fn write(&self, line: &mut String) {
        line.push_str("show proc");
    }

    fn parse(&self, reply: &[u8]) -> Result<Vec<Worker>, CommandError> {
        let text = String::from_utf8_lossy(reply);
        if let Some(refusal) = Refusal::recognise(self.text(), reply) {
            return Err(CommandError::Refused(refusal));
        }
        if !text.starts_with("#<PID>") {
            return Err(CommandError::unreadable(self.text(), reply));
        }
        let (mut workers, mut section) = (Vec::new(), "");
        for line in text.lines() {
            if let Some(name) = line.strip_prefix("# ") {
                section = name.trim();
            } else if matches!(section, "workers" | "old workers") && !line.trim().is_empty() {
                let worker = worker(line, section == "old workers");
                workers.push(worker.ok_or_else(|| CommandError::unreadable(self.text(), line.as_bytes()))?);
            }
        }
        Ok(workers)
    }
}

impl Command for LastReload {
    type Reply = bool;

    fn write(&self, line: &mut String) {
        ShowProc.write(line);
    }

    /// The master counts the failures since the last successful reload. A master up to 2.4 does not count. It lists
    /// only old workers after a failure, one of which goes on serving, and so does a master from 3.2 on.
    fn parse(&self, reply: &[u8]) -> Result<bool, CommandError> {
        let workers = ShowProc.parse(reply)?;
        let text = String::from_utf8_lossy(reply);
        let count = text.split_once("[failed: ").and_then(|(_, rest)| rest.split_once(']'));
        let failed = count.and_then(|(count, _)| count.trim().parse::<u64>().ok()).is_some_and(|count| count > 0);
        Ok(failed || (!workers.is_empty() && workers.iter().all(|worker| worker.old)))
    }
}

/// Reads a row: the process id first, the version last, the time before the version. The columns between them differ:
/// up to 2.4 there is a relative number, which is `[was: 1]` for an old worker.
fn worker(line: &str, old: bool) -> Option<Worker> {
    let columns: Vec<&str> = line.split_whitespace().collect();
    let (first, [.., time, version]) = (columns.first()?, &columns[..]) else { return None };
    let (_, uptime) = uptime(time).ok()?;
    Some(Worker { pid: first.parse().ok()?, old, uptime, version: (*version).to_owned() })
}

/// Reads a time such as `0d00h02m03s`.
fn uptime(text: &str) -> IResult<&str, Duration> {
    let unit = |name: &'static str| terminated(number, tag(name));
    let (rest, (days, hours, minutes, seconds)) = (unit("d"), unit("h"), unit("m"), unit("s")).parse(text)?;
    let units = [(days, 24 * 60 * 60), (hours, 60 * 60), (minutes, 60), (seconds, 1)];
    let in_seconds = units.into_iter().map(|(count, unit): (u64, u64)| count.saturating_mul(unit));
    Ok((rest, Duration::from_secs(in_seconds.fold(0, u64::saturating_add))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_reload_is_seen_in_the_count_or_in_the_list_of_workers() {
        let master =
            |reloads: &str, workers: &str| format!("#<PID> <type>\n7 master {reloads} 0d00h00m02s 2.6\n{workers}");
        let serving = "# workers\n8 worker 0 0d00h00m01s 2.6\n# programs\n";
        let only_old = "# workers\n# old workers\n8 worker [was: 1] 1 0d00h00m01s 2.2.9\n# programs\n";
        for (reloads, workers, failed) in [
            ("0 [failed: 0]", serving, false),
            ("1 [failed: 1]", serving, true),
            ("2 [failed: 0]", serving, false),
            ("0 1", only_old, true),
            ("0 0", serving, false),
        ] {
            assert_eq!(LastReload.parse(master(reloads, workers).as_bytes()).unwrap(), failed, "{reloads}");
        }
    }

    #[test]
    fn old_workers_are_distinguished_from_new_ones() {
        let new = "#<PID>          <type>          <reloads>       <uptime>        <version>      \n\
            6702            master          1 [failed: 0]   0d00h00m02s     2.6.12-1\n# workers\n\
            6875            worker          0               0d00h00m01s     2.6.12-1\n# old workers\n\
            6710            worker          1               1d02h00m07s     2.6.12-1\n# programs\n\n";
        let old = "#<PID>          <type>          <relative PID>  <reloads>       <uptime>        <version>      \n\
            6367            master          0               1               0d00h00m02s     2.2.9-2\n# workers\n\
            6535            worker          1               0               0d00h00m01s     2.2.9-2\n# old workers\n\
            6375            worker          [was: 1]        1               0d00h00m02s     2.2.9-2\n# programs\n\n";
        for (text, pids, secs) in [(new, [6875, 6710], 93_607), (old, [6535, 6375], 2)] {
            let workers = ShowProc.parse(text.as_bytes()).unwrap();
            assert_eq!(workers.iter().map(|worker| worker.pid).collect::<Vec<_>>(), pids);
            assert_eq!(workers.iter().map(|worker| worker.old).collect::<Vec<_>>(), [false, true]);
            assert_eq!(workers[1].uptime.as_secs(), secs);
        }
        let ages = b"#<PID>\n# workers\n7 worker 0 18446744073709551615d00h00m01s 2.6\n";
        assert_eq!(ShowProc.parse(ages).unwrap()[0].uptime, Duration::from_secs(u64::MAX));
        assert!(ShowProc.parse(b"Unknown command: 'show proc'\n").is_err());
        assert!(ShowProc.parse(b"#<PID>\n# workers\nnonsense\n").is_err());
    }
}
