//! `show servers conn` (management guide, since 2.2): connections from HAProxy to its servers.

use crate::haproxy::error::{CommandError, Refusal};
use crate::haproxy::line::Command;
use crate::haproxy::name::{BackendName, ServerRef};
use crate::haproxy::table::{Row, Separator, Table};

/// `show servers conn [BACKEND]`.
#[derive(Debug, Clone, Default)]
pub struct ShowServersConn {
    /// Only this backend; all where `None`.
    pub backend: Option<BackendName>,
}

/// One row of `show servers conn`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerConnections {
    /// The backend and the name of the server.
    pub server: ServerRef,
    /// Connections in use.
    pub used: u64,
    /// Idle connections that are kept open.
    pub idle: u64,
    /// Requests assigned and not yet released. HAProxy reports their number since 3.3.
    pub served: Option<u64>,
}

impl Command for ShowServersConn {
    type Reply = Vec<ServerConnections>;

    fn write(&self, line: &mut String) {
        line.push_str("show servers conn");
        if let Some(backend) = &self.backend {
            line.push(' ');
            line.push_str(backend.as_str());
        }
    }

    fn parse(&self, reply: &[u8]) -> Result<Vec<ServerConnections>, CommandError> {
        if let Some(refusal) = Refusal::recognise(self.text(), reply) {
            return Err(CommandError::Refused(refusal));
        }
        let unreadable = || CommandError::unreadable(self.text(), reply);
        let mut table = Table::new(Separator::Blank, reply).ok_or_else(unreadable)?;
        let [name, used, idle, served] =
            ["bkname/svname", "used_cur", "idle_cur", "served"].map(|name| table.column(name));
        let (mut servers, mut row) = (Vec::new(), Row::default());
        while table.next(&mut row).is_some() {
            let read = || {
                Some(ServerConnections {
                    server: row.text(name).parse().ok()?,
                    used: row.number(used)?,
                    idle: row.number(idle).unwrap_or_default(),
                    served: row.number(served),
                })
            };
            servers.push(read().ok_or_else(unreadable)?);
        }
        Ok(servers)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_header_is_shorter_than_its_rows() {
        let reply = b"# bkname/svname bkid/svid addr port - purge_delay used_cur used_max need_est unsafe_nb safe_nb idle_lim idle_cur idle_per_thr[2]\napp/a1 2/1 127.0.0.1 1 - 5000 3 4 1 0 0 -1 2 1 1\n";
        let rows = ShowServersConn::default().parse(reply).unwrap();
        assert_eq!((rows[0].used, rows[0].idle, rows[0].served), (3, 2, None));
    }
}
