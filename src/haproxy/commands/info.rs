//! Who answers: `show info`, `show version`, `show cli level`.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::haproxy::error::{CommandError, Refusal};
use crate::haproxy::line::Command;
use crate::haproxy::quirks::Quirk;

/// `show info`: allowed at every level, on every version.
#[derive(Debug, Clone, Copy)]
pub struct ShowInfo;

/// What a HAProxy process says about itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Info {
    /// Its version as printed, for example `2.6.12-1+deb12u4`.
    pub version: String,
    /// Its process id, as it sees it. A reload or restart changes it.
    pub pid: u32,
    /// Seconds since it started.
    pub uptime: u64,
    /// Requests that it has now; before 2.8, which does not say, connections of clients.
    pub sessions: u64,
    /// Whether it is leaving: after a reload an old process serves what it has and refuses changes.
    pub stopping: bool,
}

impl Info {
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
        let text = std::str::from_utf8(reply).map_err(|_| unreadable())?;
        let value = |name: &str| {
            text.lines().find_map(|line| line.split_once(": ").filter(|(key, _)| *key == name).map(|(_, value)| value))
        };
        let number = |name: &str| value(name).and_then(|value| value.parse::<u64>().ok());
        if value("Name") != Some("HAProxy") {
            return Err(unreadable());
        }
        let pid = number("Pid").and_then(|pid| u32::try_from(pid).ok()).ok_or_else(unreadable)?;
        Ok(Info {
            version: value("Version").unwrap_or_default().to_owned(),
            pid,
            uptime: number("Uptime_sec").unwrap_or_default(),
            sessions: number("CurrStreams").or_else(|| number("CurrConns")).unwrap_or_default(),
            stopping: number("Stopping") == Some(1),
        })
    }
}

/// `show version`, which not all have: [`Quirk::NoShowVersion`](crate::haproxy::Quirk::NoShowVersion).
#[derive(Debug, Clone, Copy)]
pub struct ShowVersion;

impl Command for ShowVersion {
    type Reply = String;

    fn write(&self, line: &mut String) {
        line.push_str("show version");
    }

    fn parse(&self, reply: &[u8]) -> Result<String, CommandError> {
        if let Some(refusal) = Refusal::recognise(self.text(), reply) {
            return Err(CommandError::Refused(refusal));
        }
        match std::str::from_utf8(reply).map(str::trim) {
            Ok(version) if version.starts_with(|first: char| first.is_ascii_digit()) => Ok(version.to_owned()),
            _ => Err(CommandError::unreadable(self.text(), reply)),
        }
    }
}

/// `show cli level`: what the socket may do.
#[derive(Debug, Clone, Copy)]
pub struct ShowCliLevel;

/// The level of a stats socket, set in haproxy.cfg (`stats socket … level LEVEL`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// May read most things.
    User,
    /// May read everything and change a little.
    Operator,
    /// May do everything; changing a server's state needs it.
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
        for reply in [b"".as_slice(), b"HTTP/1.1 400 Bad Request\r\n", b"Name: Redis\nPid: 1\n", b"Name: HAProxy\n"] {
            assert!(matches!(ShowInfo.parse(reply), Err(CommandError::Unreadable { .. })));
        }
    }

    #[test]
    fn show_version_is_refused_before_2_6() {
        let reply = b"Unknown command. Please enter one of the following commands only :\n  help\n";
        assert!(matches!(ShowVersion.parse(reply), Err(CommandError::Refused(_))));
        assert_eq!(ShowVersion.parse(b"3.2.26-1\n").unwrap(), "3.2.26-1");
    }
}
