//! The servers to which clients stick by a stick table. Cookies show in the counters of a server; tables must be read.
//!
//! HAProxy does not show which backend uses which table: it may be the table of another backend, or one that peers
//! share. So teeter assumes that a backend uses its own table if that has servers in it, and all tables otherwise.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::look::ExpectedProcess;
use super::order::Draining;
use crate::farm::{Seen, SeenServer};
use crate::haproxy::commands::{ShowStuck, ShowTables, Stuck};
use crate::haproxy::{CommandError, Error, Line, ServerRef, TableName};

/// The stick tables of one HAProxy process.
#[derive(Debug, Default)]
pub(super) struct StickTables {
    /// The tables with entries for servers.
    tables: BTreeMap<TableName, Stuck>,
    /// When the tables were read last.
    asked: Option<Instant>,
    /// Tables that never have such entries.
    without: BTreeSet<TableName>,
}

impl StickTables {
    /// Reads the tables if a drain step waits for sticky clients of servers without requests in flight, and notes in
    /// `seen` to which of these servers clients stick. `false`: another process answered.
    pub(super) async fn ask(
        &mut self,
        expected: ExpectedProcess<'_>,
        draining: &[Draining],
        seen: &mut Arc<Seen>,
        now: Instant,
    ) -> Result<bool, Error> {
        let quiet = |server: &ServerRef| {
            seen.servers.get(server).is_none_or(|now| !now.load.sticky && now.load.in_flight() == 0)
        };
        let due = |draining: &&Draining| draining.sticks && draining.servers.iter().all(quiet);
        let due: Vec<&Draining> = draining.iter().filter(due).collect();
        // A recent answer that clients stick is good enough; that no client sticks must be a new answer.
        let was_recent = self.asked.is_some_and(|at| now.duration_since(at) < AGAIN);
        let known = |draining: &&Draining| was_recent && draining.servers.iter().any(|server| self.has(server, seen));
        if !due.iter().all(known) {
            let Some(tables) = self.read(expected).await? else { return Ok(false) };
            (self.tables, self.asked) = (tables, Some(now));
        }
        let servers = due.iter().flat_map(|draining| &draining.servers);
        let stuck: Vec<ServerRef> = servers.filter(|server| self.has(server, seen)).cloned().collect();
        for server in stuck {
            if let Some(now) = Arc::make_mut(seen).servers.get_mut(&server) {
                now.load.sticky = true;
            }
        }
        Ok(true)
    }

    async fn read(&mut self, expected: ExpectedProcess<'_>) -> Result<Option<BTreeMap<TableName, Stuck>>, Error> {
        let ExpectedProcess { client, process } = expected;
        let mut line = Line::new();
        let slot = line.push(&ShowTables);
        let answers = client.send(&line).await?;
        if !answers.info.is_of(process) {
            return Ok(None);
        }
        let tables = answers.read(slot, &ShowTables).map_err(|error| client.error(error))?;
        let mut found = BTreeMap::new();
        for table in tables {
            if self.without.contains(&table) {
                continue;
            }
            let ask = ShowStuck { table: table.clone() };
            let stuck = match client.ask_at_most(&ask, LONGEST_TABLE).await {
                Ok(Some(stuck)) => stuck,
                Ok(None) => Stuck::Many,
                // The table has no entries for servers, or does not exist any more.
                Err(Error::Command { source: CommandError::Refused(_), .. }) => {
                    self.without.insert(table);
                    continue;
                }
                Err(error) => return Err(error),
            };
            found.insert(table, stuck);
        }
        Ok(Some(found))
    }

    fn has(&self, server: &ServerRef, seen: &Seen) -> bool {
        let Some(now) = seen.servers.get(server) else { return false };
        let own = self.tables.iter().find(|(table, _)| table.as_str() == server.backend.as_str());
        match own {
            Some((_, stuck)) => has(stuck, server, now),
            None => self.tables.values().any(|stuck| has(stuck, server, now)),
        }
    }
}

/// Whether an entry leads to a server. The entry has the name of the server, or its address if the backend has `srvkey
/// addr`, or neither if it came from a peer that does not know names.
fn has(stuck: &Stuck, server: &ServerRef, now: &SeenServer) -> bool {
    match stuck {
        Stuck::Many => true,
        Stuck::To { servers, unnamed } => {
            let address = format!("{}:{}", now.address, now.port);
            *unnamed || servers.contains(server.server.as_str()) || servers.contains(&address)
        }
    }
}

/// The shortest time between two reads of the tables while clients stick.
const AGAIN: Duration = Duration::from_millis(500);

/// The most bytes that are read of a table: some ten thousand entries. With a longer table teeter assumes that clients
/// stick to every server.
const LONGEST_TABLE: usize = 1 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    fn to(servers: &[&str]) -> Stuck {
        Stuck::To { servers: servers.iter().map(ToString::to_string).collect(), unnamed: false }
    }

    #[test]
    fn a_backend_uses_its_own_table_or_else_all_tables() {
        let names = ["app/web01", "app/web02", "api/web01"];
        let servers = names.iter().map(|name| (name.parse().unwrap(), SeenServer::sample())).collect();
        let seen = Seen { servers, ..Seen::default() };
        let sticking = |tables: &[(&str, Stuck)]| StickTables {
            tables: tables.iter().map(|(name, stuck)| (name.parse().unwrap(), stuck.clone())).collect(),
            ..StickTables::default()
        };
        let stuck = |tables: &[(&str, Stuck)]| {
            let sticking = sticking(tables);
            let has = |name: &&&str| sticking.has(&name.parse().unwrap(), &seen);
            names.iter().filter(has).copied().collect::<Vec<_>>()
        };
        assert!(stuck(&[]).is_empty());
        assert_eq!(stuck(&[("app", to(&[])), ("peers/shared", to(&["web01"]))]), ["api/web01"]);
        assert_eq!(stuck(&[("app", to(&["web02"]))]), ["app/web02"]);
        assert_eq!(stuck(&[("shared", to(&["web01"]))]), ["app/web01", "api/web01"]);
        assert_eq!(stuck(&[("shared", to(&["127.0.0.1:80"]))]), names);
        assert_eq!(stuck(&[("shared", Stuck::Many)]), names);
        assert_eq!(
            stuck(&[("app", Stuck::To { servers: BTreeSet::new(), unnamed: true }), ("api", to(&[]))]),
            ["app/web01", "app/web02"]
        );
    }
}
