//! Which process answers, and which commands its socket allows: `show info`, `show cli level`.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::haproxy::error::CommandError;
use crate::haproxy::line::Command;
use crate::haproxy::quirks::Quirk;

/// `show info`: allowed at every level, on every version.
#[derive(Debug, Clone, Copy)]
pub struct ShowInfo;

/// The report of a HAProxy process about itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Info {
    /// The version as printed, for example `2.6.12-1+deb12u4`.
    pub version: String,
    /// The process id, as the process sees it. A reload changes the id. A restart may keep it: where HAProxy is the
    /// only process of a container, the id is always the same.
    pub pid: u32,
    /// Seconds since the process started.
    pub uptime: u64,
    /// The start of the process, in seconds since 1970: `Start_time_sec`, from 2.5 on.
    pub started: Option<u64>,
    /// Connections that the process has accepted since it started, including connections to its sockets.
    pub connections: u64,
    /// Requests in progress. Versions before 2.8 do not report requests: connections of clients.
    pub sessions: u64,
    /// Whether the process is leaving: after a reload an old process finishes its requests and refuses changes.
    pub stopping: bool,
}

impl Info {
    /// Whether the process of this report is the process of an earlier report `before`. A process keeps its id and its
    /// start time, and its age and counters never fall. teeter's own clock does not decide: the machine may have been
    /// suspended.
    pub fn is_of(&self, before: &Self) -> bool {
        let fixed = |info: &Self| (info.pid, info.started, info.version.clone());
        fixed(self) == fixed(before) && self.uptime >= before.uptime && self.connections >= before.connections
    }

    /// Whether the series of this version is known to have a quirk.
    pub fn has(&self, quirk: Quirk) -> bool {
        self.version.parse().is_ok_and(|series| quirk.is_in(series))
    }
}

impl Command for ShowInfo {
    type Reply = Info;

    fn write(&self, line: &mut String) {
        line.push_str("show info");
    }

    fn parse(&self, reply: &[u8]) -> Result<Info, CommandError> {
        let unreadable = || CommandError::unreadable(self.text(), reply);
        // A description may have any encoding.
        let text = String::from_utf8_lossy(reply);
        let value = |name: &str| {
            text.lines().find_map(|line| line.split_once(": ").filter(|(key, _)| *key == name).map(|(_, value)| value))
        };
        let number = |name: &str| value(name).and_then(|value| value.parse::<u64>().ok());
        // Products that are built from HAProxy have other names. The required fields distinguish them from other
        // programs.
        let version = value("Version").filter(|version| version.contains(|c: char| c.is_ascii_digit()));
        let pid = number("Pid").and_then(|pid| u32::try_from(pid).ok()).filter(|pid| *pid > 0);
        let (Some(version), Some(pid), Some(uptime)) = (version, pid, number("Uptime_sec")) else {
            return Err(unreadable());
        };
        Ok(Info {
            version: version.to_owned(),
            pid,
            uptime,
            started: number("Start_time_sec"),
            connections: number("CumConns").unwrap_or_default(),
            sessions: number("CurrStreams").or_else(|| number("CurrConns")).unwrap_or_default(),
            stopping: number("Stopping") == Some(1),
        })
    }
}

/// `show cli level`: the level of the socket.
#[derive(Debug, Clone, Copy)]
pub struct ShowCliLevel;

/// The level of a stats socket, set in haproxy.cfg (`stats socket … level LEVEL`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// Reads most things.
    User,
    /// Reads everything and changes a little.
    Operator,
    /// Does everything; changing a server's state needs this level.
    Admin,
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::User => "user",
            Self::Operator => "operator",
            Self::Admin => "admin",
        })
    }
}

impl Command for ShowCliLevel {
    type Reply = Level;

    fn write(&self, line: &mut String) {
        line.push_str("show cli level");
    }

    fn parse(&self, reply: &[u8]) -> Result<Level, CommandError> {
        match reply.trim_ascii() {
            b"user" => Ok(Level::User),
            b"operator" => Ok(Level::Operator),
            b"admin" => Ok(Level::Admin),
            _ => Err(CommandError::unreadable(self.text(), reply)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_program_is_not_haproxy() {
        for reply in [
            b"".as_slice(),
            b"HTTP/1.1 400 Bad Request\r\n",
            b"Name: Redis\nPid: 1\n",
            b"Name: HAProxy\n",
            b"Name: other\nVersion: 7.2\nPid: 12\n",
        ] {
            assert!(matches!(ShowInfo.parse(reply), Err(CommandError::Unreadable { .. })));
        }
    }

    fn info(reply: &[u8]) -> Info {
        ShowInfo.parse(reply).unwrap()
    }

    #[test]
    fn another_product_and_another_encoding_are_read() {
        let reply = b"Name: hapee-lb\nVersion: 2.6.0-1.0.0-287.1\nPid: 7\nUptime_sec: 3\ndescription: R\xe9partiteur\n";
        assert_eq!((info(reply).pid, info(reply).uptime), (7, 3));
    }

    #[test]
    fn processes_with_one_id_are_distinguished() {
        let report = |pid: u32, uptime: u64, started: Option<u64>, connections: u64| Info {
            version: "2.6.12".into(),
            pid,
            uptime,
            started,
            connections,
            sessions: 0,
            stopping: false,
        };
        let before = report(8, 100, Some(1_790_000_000), 500);
        assert!(report(8, 100, Some(1_790_000_000), 501).is_of(&before));
        assert!(report(8, 9_000, Some(1_790_000_000), 9_000).is_of(&before));
        for other in [
            report(9, 101, Some(1_790_000_000), 501),
            // A restarted process that is already older than the one before.
            report(8, 200, Some(1_790_000_130), 900),
            // A restart in the same second.
            report(8, 100, Some(1_790_000_000), 1),
            Info { version: "2.6.13".into(), ..report(8, 101, Some(1_790_000_000), 501) },
        ] {
            assert!(!other.is_of(&before), "{other:?}");
        }
        // Up to 2.4 a process does not report its start.
        let before = report(8, 100, None, 500);
        assert!(report(8, 101, None, 502).is_of(&before));
        assert!(!report(8, 99, None, 502).is_of(&before) && !report(8, 101, None, 3).is_of(&before));
    }
}
