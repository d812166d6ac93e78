//! `show stat` (management guide, section 9.1): counters, filtered by proxy and type.

use crate::haproxy::error::{CommandError, Refusal};
use crate::haproxy::line::Command;
use crate::haproxy::name::BackendName;
use crate::haproxy::table::{Row, Separator, Table};

/// `show stat BACKEND TYPE -1`, or of everything.
#[derive(Debug, Clone, Default)]
pub struct ShowStat {
    /// Only this backend; all proxies where `None`.
    pub backend: Option<BackendName>,
    /// Which rows.
    pub kind: StatKind,
}

/// Which rows `show stat` prints.
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
    /// The server's name, or `BACKEND`.
    pub svname: String,
    pub status: String,
    pub qcur: u64,
    pub scur: u64,
    pub stot: u64,
    pub econ: u64,
    pub eresp: u64,
    pub wretr: u64,
    pub hrsp_5xx: u64,
    /// `backend/server` that it tracks; empty if none.
    pub tracked: String,
    pub check_status: String,
    /// The server's cookie value; empty where clients do not stick to it by cookie.
    pub cookie: String,
    pub last_chk: String,
    /// Milliseconds, average of the last 1024 requests.
    pub rtime: Option<u64>,
    /// Seconds since the status last changed.
    pub lastchg: Option<u64>,
    /// How the agent stands: 0 is down. Only where there is one that is heard.
    pub agent_health: Option<u64>,
    /// `bck`: 1 on the line of a backup server, on that of a backend how many there are.
    pub backups: u64,
    /// Since 3.3.
    pub served: Option<u64>,
}

impl StatRow {
    /// Whether the row is the sum of a backend rather than a server.
    pub fn is_backend(&self) -> bool {
        self.svname == "BACKEND"
    }
}

impl Command for ShowStat {
    type Reply = Vec<StatRow>;

    fn write(&self, line: &mut String) {
        line.push_str("show stat ");
        line.push_str(self.backend.as_ref().map_or("-1", BackendName::as_str));
        line.push_str(match self.kind {
            StatKind::BackendsAndServers => " 6 -1",
            StatKind::Servers => " 4 -1",
        });
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
        let [agent_health, backups] = ["agent_health", "bck"].map(|name| table.column(name));
        let (mut rows, mut row) = (Vec::new(), Row::default());
        while table.next(&mut row).is_some() {
            let text = |column| row.text(column).to_owned();
            let count = |column| row.number(column).unwrap_or_default();
            rows.push(StatRow {
                pxname: text(pxname),
                svname: text(svname),
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
                last_chk: text(last_chk),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_proxy_is_a_refusal() {
        let command = ShowStat { backend: Some("nope".parse().unwrap()), kind: StatKind::Servers };
        assert_eq!(command.text(), "show stat nope 4 -1");
        let error = command.parse(b"No such proxy.\n").unwrap_err();
        assert_eq!(error.to_string(), "HAProxy refused `show stat nope 4 -1`: No such proxy.");
    }

    #[test]
    fn columns_may_stand_anywhere() {
        let reply = b"# svname,new_in_9_9,pxname,scur,qcur,status\nweb01,x,app,3,1,UP 1/3\nBACKEND,,app,4,0,UP\n";
        let rows = ShowStat::default().parse(reply).unwrap();
        assert_eq!((rows[0].scur, rows[0].qcur, rows[0].status.as_str()), (3, 1, "UP 1/3"));
        assert!(rows[1].is_backend() && rows[1].served.is_none());
    }
}
