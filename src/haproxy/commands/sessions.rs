//! `show sess`: the sessions that are left on a server that drains.

use std::fmt;
use std::str::FromStr;

use nom::bytes::complete::{tag, take_till, take_until};
use nom::character::complete::hex_digit1;
use nom::combinator::{recognize, rest};
use nom::sequence::{preceded, terminated};
use nom::{IResult, Parser};
use serde::{Deserialize, Serialize};

use crate::haproxy::error::{CommandError, Refusal};
use crate::haproxy::line::{Command, silent};

/// `show sess`: every session, one a line. Needs level operator.
#[derive(Debug, Clone, Copy)]
pub struct ShowSessions;

/// `show sess ID`: the details of one session.
#[derive(Debug, Clone)]
pub struct ShowSession {
    /// The session, from [`ShowSessions`].
    pub id: SessionId,
}

/// `shutdown session ID`: ends one session, also in a worker that is leaving. Needs level admin.
#[derive(Debug, Clone)]
pub struct ShutdownSession {
    /// The session, from [`ShowSessions`].
    pub id: SessionId,
}

/// The identity of a session in one process: the address of its stream, for example `0x7f34fc02d300`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SessionId(String);

impl FromStr for SessionId {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let hex = text.strip_prefix("0x").ok_or(())?;
        let valid = !hex.is_empty() && hex.len() <= 16 && hex.bytes().all(|byte| byte.is_ascii_hexdigit());
        if valid { Ok(Self(text.to_owned())) } else { Err(()) }
    }
}

impl fmt::Display for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// One session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Session {
    /// The identity of the session in its process.
    pub id: SessionId,
    /// The client, as `address:port`, or HAProxy's text for a client without an address.
    pub source: String,
    /// The frontend that accepted the session.
    pub frontend: String,
    /// The backend of the session; `<NONE>` before the choice.
    pub backend: String,
    /// The server of the session; `<none>` before the choice.
    pub server: String,
    /// The age of the session, in HAProxy's format: `4s`, `1h2m`.
    pub age: String,
}

/// The bytes that went through a session so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SessionBytes {
    /// Bytes from the client.
    pub request: u64,
    /// Bytes to the client.
    pub response: u64,
}

impl Command for ShutdownSession {
    type Reply = ();

    fn write(&self, line: &mut String) {
        line.push_str(&format!("shutdown session {}", self.id));
    }

    fn parse(&self, reply: &[u8]) -> Result<(), CommandError> {
        silent(self, reply)
    }
}

impl Command for ShowSessions {
    type Reply = Vec<Session>;

    fn write(&self, line: &mut String) {
        line.push_str("show sess");
    }

    fn parse(&self, reply: &[u8]) -> Result<Vec<Session>, CommandError> {
        if let Some(refusal) = Refusal::recognise(self.text(), reply) {
            return Err(CommandError::Refused(refusal));
        }
        let text = String::from_utf8_lossy(reply);
        let unreadable = || CommandError::unreadable(self.text(), reply);
        text.lines().filter(|line| !line.trim().is_empty()).map(|line| session(line).ok_or_else(unreadable)).collect()
    }
}

impl Command for ShowSession {
    type Reply = Option<SessionBytes>;

    fn write(&self, line: &mut String) {
        line.push_str("show sess ");
        line.push_str(&self.id.0);
    }

    /// `None`: the session has ended, or HAProxy does not report its bytes.
    fn parse(&self, reply: &[u8]) -> Result<Option<SessionBytes>, CommandError> {
        if let Some(refusal) = Refusal::recognise(self.text(), reply) {
            return Err(CommandError::Refused(refusal));
        }
        let text = String::from_utf8_lossy(reply);
        let number = |line: &str, key: &str| -> Option<u64> {
            let found = line.split([' ', ')']).find_map(|word| word.strip_prefix(key))?;
            found.parse().ok()
        };
        let on = |side: &str, key| {
            let line = text.lines().map(str::trim_start).find(|line| line.starts_with(side))?;
            number(line, key)
        };
        // The bytes are on the channel, or on the end that it reads from: `Quirk::SessionBytesAtTheEnds`.
        let bytes = |channel, end| on(channel, "total=").or_else(|| on(end, "in="));
        let both = bytes("req=0x", "scf=0x").zip(bytes("res=0x", "scb=0x"));
        Ok(both.map(|(request, response)| SessionBytes { request, response }))
    }
}

/// Reads a line `0xID: key=value key=value rq[…] …`: the values before the first bracket have no brackets.
fn session(line: &str) -> Option<Session> {
    let (rest, id) = identity(line).ok()?;
    let value = |key: &str| attribute(rest, key).map(|(_, value)| value.to_owned()).ok();
    Some(Session {
        id: id.parse().ok()?,
        source: value("src=")?,
        frontend: value("fe=")?,
        backend: value("be=")?,
        server: value("srv=")?,
        age: value("age=")?,
    })
}

fn identity(line: &str) -> IResult<&str, &str> {
    terminated(recognize((tag("0x"), hex_digit1)), tag(":")).parse(line)
}

fn attribute<'a>(line: &'a str, key: &str) -> IResult<&'a str, &'a str> {
    let (_, (_, found)) = (take_until(format!(" {key}").as_str()), rest).parse(line)?;
    preceded((tag(" "), tag(key)), take_till(|end| end == ' ')).parse(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ON_2_6: &str = "0x5574c2b31f60: proto=tcpv4 src=127.0.0.1:52114 fe=www be=app srv=web01 ts=00 epoch=0 age=1m3s calls=2 rate=1 cpu=0 lat=0 rq[f=c0c020h,i=0,an=00h,rx=,wx=,ax=] rp[f=80008000h,i=0,an=00h,rx=,wx=,ax=] scf=[8,0h,fd=13] scb=[8,1h,fd=-1] exp=10s rc=0 c_exp=\n";

    #[test]
    fn a_session_is_read() {
        let sessions = ShowSessions.parse(ON_2_6.as_bytes()).unwrap();
        let session = &sessions[0];
        assert_eq!((session.source.as_str(), session.server.as_str()), ("127.0.0.1:52114", "web01"));
        assert_eq!((session.backend.as_str(), session.age.as_str()), ("app", "1m3s"));
    }

    #[test]
    fn the_bytes_of_a_session_are_totals() {
        let details = "0x1: [x] id=7\n  req=0x5574c2b31f80 (f=0xc0c020 an=0x0 pipe=0 tofwd=-1 total=14)\n      an_exp=<NEVER>\n  res=0x5574c2b31fe0 (f=0x80008000 an=0x0 tofwd=-1 total=815)\n";
        let command = ShowSession { id: "0x1".parse().unwrap() };
        assert_eq!(command.parse(details.as_bytes()).unwrap(), Some(SessionBytes { request: 14, response: 815 }));
        assert_eq!(command.parse(b"\n").unwrap(), None);
        let since_3_4 = "0x1: [x] id=7\n  scf=0x2 flags=0x00001000 state=EST endp=CONN,0x3,0x5 sub=1 in=14 out=800 rex=1s\n    \
                         iobuf.flags=0x0 .in=9\n  scb=0x4 flags=0x00001001 state=EST sub=1 in=815 out=14\n  \
                         req=0x5 (f=0x848001 an=0x0 tofwd=-1)\n  res=0x6 (f=0x80048001 an=0x0 tofwd=-1)\n";
        assert_eq!(command.parse(since_3_4.as_bytes()).unwrap(), Some(SessionBytes { request: 14, response: 815 }));
        // The ends existed earlier, without the bytes.
        let neither =
            "0x1: [x] id=7\n  scf=0x2 flags=0x0 state=EST\n  scb=0x4 flags=0x0\n  req=0x5 (f=0x8)\n  res=0x6 (f=0x8)\n";
        assert_eq!(command.parse(neither.as_bytes()).unwrap(), None);
    }

    #[test]
    fn an_identity_cannot_carry_a_command() {
        for text in ["", "0x", "0x1;quit", "7f", "0x11111111111111111"] {
            assert!(text.parse::<SessionId>().is_err());
        }
    }
}
