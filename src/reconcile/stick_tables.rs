//! Which servers clients stick to by a stick table. A cookie is seen in the counters of a server; a table is asked.
//!
//! HAProxy does not say which backend sticks by which table: each may name another one's, or one that peers share. So a
//! backend that has a table with servers in it is taken to use that one, and any other is taken to use all that are there.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::order::Draining;
use crate::farm::{Seen, SeenServer};
use crate::haproxy::commands::{Info, ShowStuck, ShowTables, Stuck};
use crate::haproxy::{Client, CommandError, Error, Line, ServerRef, TableName};

/// What is remembered of one HAProxy process between two looks.
#[derive(Debug, Default)]
pub(super) struct StickTables {
    /// The tables with entries for servers, and when they were asked.
    tables: BTreeMap<TableName, Stuck>,
    asked: Option<Instant>,
    /// Tables that never have such entries.
    without: BTreeSet<TableName>,
}

impl StickTables {
    /// Where nothing is in flight on servers whose clients may stay, notes in `seen` to which of them clients stick by a
    /// table. `false`: another process answered.
    pub(super) async fn ask(
        &mut self,
        (client, process): (&Client, &Info),
        draining: &[Draining],
        seen: &mut Arc<Seen>,
        now: Instant,
    ) -> Result<bool, Error> {
        let quiet = |server: &ServerRef| {
            seen.servers.get(server).is_none_or(|now| !now.load.sticky && now.load.in_flight() == 0)
        };
        let due = |draining: &&Draining| draining.sticks && draining.servers.iter().all(quiet);
        let due: Vec<&Draining> = draining.iter().filter(due).collect();
        // That clients stick may be known for a moment; that none does is only known now.
        let lately = self.asked.is_some_and(|at| now.duration_since(at) < AGAIN);
        let known = |draining: &&Draining| lately && draining.servers.iter().any(|server| self.has(server, seen));
        if !due.iter().all(known) {
            let Some(tables) = self.read(client, process).await? else { return Ok(false) };
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

    async fn read(&mut self, client: &Client, process: &Info) -> Result<Option<BTreeMap<TableName, Stuck>>, Error> {
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
                // One without servers in it, or one that is gone.
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

/// An entry names a server by its name, by its address where the backend has `srvkey addr`, or not at all, where a peer
/// that knows no names has sent it.
fn has(stuck: &Stuck, server: &ServerRef, now: &SeenServer) -> bool {
    match stuck {
        Stuck::Many => true,
        Stuck::To { servers, unnamed } => {
            let address = format!("{}:{}", now.address, now.port);
            *unnamed || servers.contains(server.server.as_str()) || servers.contains(&address)
        }
    }
}

/// While clients stick, tables are asked no more often than this.
const AGAIN: Duration = Duration::from_millis(500);

/// The most that is read of a table, in bytes: some ten thousand entries. In a longer one, clients are taken to stick to
/// every server.
const LONGEST_TABLE: usize = 1 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    fn to(servers: &[&str]) -> Stuck {
        Stuck::To { servers: servers.iter().map(ToString::to_string).collect(), unnamed: false }
    }

    #[test]
    fn a_backend_has_its_own_table_or_any() {
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
        assert_eq!(stuck(&[("app", to(&[])), ("mine/shared", to(&["web01"]))]), ["api/web01"]);
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
