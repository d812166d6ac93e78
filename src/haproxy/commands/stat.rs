//! `show stat` (management guide, section 9.1): counters, filtered by proxy and type.
//!
//! A name is ambiguous. A frontend and a backend may share a name: HAProxy takes the first of them. HAProxy reads a
//! number that is not a name as an id, and also a name that begins with a number. So `show stat` gets the id of a
//! backend, after a `#`, and rows are distinguished by their `type`.

use std::fmt;

use crate::haproxy::error::{CommandError, Refusal};
use crate::haproxy::line::Command;
use crate::haproxy::table::{Row, Separator, Table};

/// `show stat #ID TYPE -1`, for one backend or for all proxies.
#[derive(Debug, Clone, Default)]
pub struct ShowStat {
    /// Only this backend; all proxies where `None`.
    pub backend: Option<ProxyId>,
    /// The rows to print.
    pub kind: StatKind,
}

/// The number of a proxy, unique within one process. Another process may give it to another proxy.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct ProxyId(pub u32);

impl fmt::Display for ProxyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{}", self.0)
    }
}

/// The rows that `show stat` prints.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum StatKind {
    /// Backends and servers: types 2 and 4.
    #[default]
    BackendsAndServers,
    /// Servers only: type 4.
    Servers,
}

/// One row of `show stat`: the columns that teeter uses, by the manual's names. Counters are since the process
/// started.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[allow(missing_docs, reason = "each field is the manual's column of that name")]
pub struct StatRow {
    pub pxname: String,
    /// The server's name, or `BACKEND`. A server may be called `BACKEND`, too.
    pub svname: String,
    /// The id of the proxy.
    pub iid: ProxyId,
    /// The kind of the row: 1 is a backend, 2 a server.
    pub r#type: u64,
    pub status: String,
    pub qcur: u64,
    pub scur: u64,
    pub stot: u64,
    pub econ: u64,
    pub eresp: u64,
    pub wretr: u64,
    pub hrsp_5xx: u64,
    /// The tracked server, as `backend/server`; empty if none.
    pub tracked: String,
    pub check_status: String,
    /// The server's cookie value; empty where no cookie binds clients to it.
    pub cookie: String,
    pub last_chk: String,
    /// In milliseconds, the average of the last 1024 requests.
    pub rtime: Option<u64>,
    /// Seconds since the status last changed.
    pub lastchg: Option<u64>,
    /// The health by the agent check: 0 is down. `None` for a server without an enabled agent check.
    pub agent_health: Option<u64>,
    /// `bck`: 1 on the row of a backup server; on the row of a backend, the number of its backup servers.
    pub backups: u64,
    /// Requests assigned and not yet released. HAProxy reports their number since 3.3.
    pub served: Option<u64>,
}

impl StatRow {
    /// Whether the row is the sum of a backend rather than a server.
    pub fn is_backend(&self) -> bool {
        self.r#type == BACKEND
    }
}

impl Command for ShowStat {
    type Reply = Vec<StatRow>;

    fn write(&self, line: &mut String) {
        match self.backend {
            Some(id) => line.push_str(&format!("show stat {id}")),
            // No name has a slash, so HAProxy cannot take this for a proxy named `-1`.
            None => line.push_str("show stat -1/"),
        }
        line.push_str(match self.kind {
            StatKind::BackendsAndServers => " 6 -1",
            StatKind::Servers => " 4 -1",
        });
    }

    fn quotes(&self) -> bool {
        true
    }

    fn parse(&self, reply: &[u8]) -> Result<Vec<StatRow>, CommandError> {
        if let Some(refusal) = Refusal::recognise(self.text(), reply) {
            return Err(CommandError::Refused(refusal));
        }
        let mut table =
            Table::new(Separator::Comma, reply).ok_or_else(|| CommandError::unreadable(self.text(), reply))?;
        let [pxname, svname, status, qcur, scur, stot] =
            ["pxname", "svname", "status", "qcur", "scur", "stot"].map(|name| table.column(name));
        let [econ, eresp, wretr, hrsp_5xx, tracked, served] =
            ["econ", "eresp", "wretr", "hrsp_5xx", "tracked", "served"].map(|name| table.column(name));
        let [check_status, last_chk, cookie, rtime, lastchg] =
            ["check_status", "last_chk", "cookie", "rtime", "lastchg"].map(|name| table.column(name));
        let [agent_health, backups, iid, kind] = ["agent_health", "bck", "iid", "type"].map(|name| table.column(name));
        let (mut rows, mut row) = (Vec::new(), Row::default());
        while table.next(&mut row).is_some() {
            let text = |column| row.text(column).to_owned();
            let count = |column| row.number(column).unwrap_or_default();
            rows.push(StatRow {
                pxname: text(pxname),
                svname: text(svname),
                iid: ProxyId(row.number(iid).unwrap_or_default()),
                r#type: count(kind),
                status: text(status),
                qcur: count(qcur),
                scur: count(scur),
                stot: count(stot),
                econ: count(econ),
                eresp: count(eresp),
                wretr: count(wretr),
                hrsp_5xx: count(hrsp_5xx),
                tracked: text(tracked),
                check_status: text(check_status),
                last_chk: row.one_line(last_chk),
                cookie: text(cookie),
                rtime: row.number(rtime),
                lastchg: row.number(lastchg),
                agent_health: row.number(agent_health),
                backups: count(backups),
                served: row.number(served),
            });
        }
        Ok(rows)
    }
}

/// The `type` of the row with the sums of a backend.
const BACKEND: u64 = 1;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_proxy_is_a_refusal() {
        let command = ShowStat { backend: Some(ProxyId(99)), kind: StatKind::Servers };
        assert_eq!(command.text(), "show stat #99 4 -1");
        let error = command.parse(b"No such proxy.\n").unwrap_err();
        assert_eq!(error.to_string(), "HAProxy refused `show stat #99 4 -1`: No such proxy.");
    }

    #[test]
    fn columns_may_have_any_order() {
        let reply = b"# svname,new_in_9_9,pxname,scur,qcur,status,type,iid\nBACKEND,x,app,3,1,UP 1/3,2,7\nBACKEND,,app,4,0,UP,1,7\n";
        let rows = ShowStat::default().parse(reply).unwrap();
        assert_eq!((rows[0].scur, rows[0].qcur, rows[0].status.as_str()), (3, 1, "UP 1/3"));
        assert!(rows[1].is_backend() && rows[1].served.is_none() && rows[1].iid == ProxyId(7));
        assert!(!rows[0].is_backend(), "a server may be named BACKEND");
    }
}
