//! `show servers state` (management guide, since 1.6): the states on which teeter's decisions rest.

use crate::haproxy::bits::{AdminBits, CheckBits, OpState};
use crate::haproxy::error::{CommandError, Refusal};
use crate::haproxy::line::Command;
use crate::haproxy::name::{BackendName, ServerRef};
use crate::haproxy::table::{Row, Separator, Table};

/// `show servers state [BACKEND]`.
#[derive(Debug, Clone, Default)]
pub struct ShowServersState {
    /// Only this backend; all where `None`.
    pub backend: Option<BackendName>,
}

/// One row of `show servers state`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerState {
    /// The backend and the name of the server.
    pub server: ServerRef,
    /// The address of the server. Empty where its host name is not resolved.
    pub address: String,
    /// The port of the server; 0 where the row has none.
    pub port: u16,
    /// The operational state, by the checks.
    pub op: OpState,
    /// The administrative state, set or inherited.
    pub admin: AdminBits,
    /// The current weight: 0 to 256.
    pub weight: u16,
    /// The weight in haproxy.cfg: 0 to 256.
    pub initial_weight: u16,
    /// HAProxy's counter of checks, `srv_check_health`: the server is up from `rise` on.
    pub health: u32,
    /// The state of the health check.
    pub check: CheckBits,
    /// The state of the agent check.
    pub agent: CheckBits,
}

impl Command for ShowServersState {
    type Reply = Vec<ServerState>;

    fn write(&self, line: &mut String) {
        line.push_str("show servers state");
        if let Some(backend) = &self.backend {
            line.push(' ');
            line.push_str(backend.as_str());
        }
    }

    fn parse(&self, reply: &[u8]) -> Result<Vec<ServerState>, CommandError> {
        if let Some(refusal) = Refusal::recognise(self.text(), reply) {
            return Err(CommandError::Refused(refusal));
        }
        let unreadable = || CommandError::unreadable(self.text(), reply);
        let mut table = Table::new(Separator::Blank, reply).ok_or_else(unreadable)?;
        let [backend, server, address, port] =
            ["be_name", "srv_name", "srv_addr", "srv_port"].map(|name| table.column(name));
        let [op, admin, check, agent] =
            ["srv_op_state", "srv_admin_state", "srv_check_state", "srv_agent_state"].map(|name| table.column(name));
        let [weight, initial, health] =
            ["srv_uweight", "srv_iweight", "srv_check_health"].map(|name| table.column(name));
        let (mut servers, mut row) = (Vec::new(), Row::default());
        while table.next(&mut row).is_some() {
            let name =
                || Some(ServerRef { backend: row.text(backend).parse().ok()?, server: row.text(server).parse().ok()? });
            let read = || {
                Some(ServerState {
                    server: name()?,
                    address: Some(row.text(address)).filter(|text| *text != "-").unwrap_or_default().to_owned(),
                    port: row.number(port).unwrap_or_default(),
                    op: row.number(op).and_then(OpState::from_number)?,
                    admin: AdminBits(row.number(admin)?),
                    weight: row.number(weight)?,
                    initial_weight: row.number(initial)?,
                    health: row.number(health).unwrap_or_default(),
                    check: CheckBits(row.number(check)?),
                    agent: CheckBits(row.number(agent)?),
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
    fn an_admin_state_is_decimal() {
        // 16 is "draining by inheritance"; as a hexadecimal number it would mean something else.
        let reply = b"1\n# be_id be_name srv_id srv_name srv_addr srv_op_state srv_admin_state srv_uweight srv_iweight srv_check_state srv_agent_state srv_port\n2 app 1 a1 127.0.0.1 2 16 1 1 6 0 80\n";
        let servers = ShowServersState::default().parse(reply).unwrap();
        assert!(servers[0].admin.in_drain() && !servers[0].admin.in_maint());
        assert_eq!((servers[0].port, servers[0].op), (80, OpState::Running));
    }

    #[test]
    fn a_cut_row_is_unreadable() {
        let reply = b"1\n# be_id be_name srv_id srv_name srv_addr srv_op_state srv_admin_state\n2 app 1 a1\n";
        assert!(ShowServersState::default().parse(reply).is_err());
    }
}
