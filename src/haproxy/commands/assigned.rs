//! `show sess`, read only for the number of requests that each server has.
//!
//! HAProxy reads its list of sessions while all its other threads are stopped. So this count has a request from the
//! choice of its server on, also while no counter of HAProxy has the request: between the choice and the connection,
//! when the request has just left a queue, and in the second before HAProxy retries a refused connection.

use std::collections::BTreeMap;

use nom::branch::alt;
use nom::bytes::complete::{tag, take_till, take_until};
use nom::character::complete::u8 as number;
use nom::sequence::preceded;
use nom::{IResult, Parser};

use crate::haproxy::error::{CommandError, Refusal};
use crate::haproxy::line::Command;
use crate::haproxy::name::ServerRef;

/// `show sess`, as the number of requests of each server. Needs level operator.
#[derive(Debug, Clone, Copy)]
pub struct CountAssigned;

impl Command for CountAssigned {
    type Reply = BTreeMap<ServerRef, u64>;

    fn write(&self, line: &mut String) {
        line.push_str("show sess");
    }

    fn parse(&self, reply: &[u8]) -> Result<BTreeMap<ServerRef, u64>, CommandError> {
        if let Some(refusal) = Refusal::recognise(self.text(), reply) {
            return Err(CommandError::Refused(refusal));
        }
        let text = String::from_utf8_lossy(reply);
        let mut servers = BTreeMap::new();
        for line in text.lines().filter(|line| !line.trim().is_empty()) {
            if !line.starts_with("0x") {
                return Err(CommandError::unreadable(self.text(), line.as_bytes()));
            }
            if let Some(server) = assigned(line) {
                *servers.entry(server).or_default() += 1;
            }
        }
        Ok(servers)
    }
}

/// The server that a session is assigned to. HAProxy's internal sessions have no address and name neither backend nor
/// server.
fn assigned(line: &str) -> Option<ServerRef> {
    let (rest, backend) = value(line, " be=").ok()?;
    let (rest, server) = value(rest, " srv=").ok()?;
    // A session that has finished with its server may still be sending the answer to a slow client.
    if server_side(rest).is_ok_and(|(_, state)| state == CLOSED) {
        return None;
    }
    Some(ServerRef { backend: backend.parse().ok()?, server: server.parse().ok()? })
}

fn value<'a>(line: &'a str, key: &'static str) -> IResult<&'a str, &'a str> {
    preceded((take_until(key), tag(key)), take_till(|end| end == ' ')).parse(line)
}

/// The state of the server's side of a session, `scb`; up to 2.5 its name is `s1`.
fn server_side(line: &str) -> IResult<&str, u8> {
    let named = |name: &'static str| preceded((take_until(name), tag(name)), number);
    alt((named(" scb=["), named(" s1=["))).parse(line)
}

/// `SC_ST_CLO`, from 2.0 to 3.5.
const CLOSED: u8 = 10;

#[cfg(test)]
mod tests {
    use super::*;

    fn count(reply: &str) -> Vec<(String, u64)> {
        let servers = CountAssigned.parse(reply.as_bytes()).unwrap();
        servers.into_iter().map(|(server, count)| (server.to_string(), count)).collect()
    }

    #[test]
    fn a_request_is_counted_until_its_server_has_answered() {
        let line = |server: &str, side: &str| {
            format!("0x55: proto=tcpv4 src=127.0.0.1:52114 fe=www be=app srv={server} ts=00 age=1s rq[f=c0h] {side}\n")
        };
        let reply = [
            line("web01", "scf=[8,0h,fd=13] scb=[3,1h,fd=-1] exp=1s"),
            line("web01", "scf=[8,0h,fd=14] scb=[8,1h,fd=15,rex=] exp=1s"),
            line("web01", "scf=[8,0h,fd=14] scb=[10,1h,fd=-1] exp=1s"),
            line("web02", "s0=[8,200008h,fd=12,ex=] s1=[0,204018h,fd=-1,ex=] exp=10s"),
            line("web03", "s0=[8,200008h,fd=12,ex=] s1=[10,204018h,fd=-1,ex=] exp=10s"),
            line("<none>", "scf=[8,0h,fd=14] scb=[0,1h,fd=-1] exp=1s"),
            "0x56: proto=? ts=00 age=1s rq[f=c0h] scf=[8,0h,fd=-1] scb=[8,1h,fd=-1] exp=1s\n".to_owned(),
        ];
        let expected = [("app/web01".to_owned(), 2), ("app/web02".to_owned(), 1)];
        assert_eq!(count(&reply.concat()), expected);
        assert!(count("\n").is_empty());
    }

    #[test]
    fn a_reply_that_is_not_a_session_list_is_unreadable() {
        assert!(CountAssigned.parse(b"Permission denied\n").is_err());
        assert!(CountAssigned.parse(b"something else\n").is_err());
    }
}
