//! Stick tables, and `show table`.

use std::fmt::Write as _;

use tokio::time::Instant;

use super::commands::Reply;
use super::setup::Series;
use super::worker::{Backend, Worker};

/// The entry of a client in a stick table.
#[derive(Debug, Clone, Copy)]
pub(super) struct Stuck {
    pub(super) server: usize,
    /// The time at which it expires.
    pub(super) until: Instant,
}

impl Worker {
    /// `show table [NAME]`: every table, the last one of the configuration first, or the entries of one table.
    pub(super) fn show_table(&self, filter: &[&str], now: Instant, out: &mut String) -> Reply {
        let Some(name) = filter.first() else {
            for backend in self.backends.iter().rev().filter(|backend| backend.setup.stick.is_some()) {
                backend.head_of_table(now, out);
            }
            return Ok(());
        };
        let backend = self.backends.iter().find(|backend| backend.setup.name == *name && backend.setup.stick.is_some());
        let backend = backend.ok_or("No such table\n")?;
        // The filter selects entries that have a server, and all of these have one.
        match &filter[1..] {
            [] | ["data.server_id", "gt", "0"] => {}
            [data, ..] if data.starts_with("data.") => {
                return Err("Filter entry #1: Data type not stored in this table\n");
            }
            _ => {
                return Err(
                    "Optional argument only supports \"data.<store_data_type>\" <operator> <value> or key <key>\n",
                );
            }
        }
        backend.head_of_table(now, out);
        let series = self.setup.series;
        for (client, stuck) in backend.table.iter().filter(|(_, stuck)| stuck.until > now) {
            let left = stuck.until.duration_since(now).as_millis();
            let shard = if series >= Series::V3_0 { "shard=0 " } else { "" };
            // HAProxy finds the server again by this name.
            let by = if series == Series::V2_2 { "server_name" } else { "server_key" };
            let server = &backend.servers[stuck.server].setup.name;
            let _ = writeln!(
                out,
                "0x{:x}: key={client} use=0 exp={left} {shard}server_id={} {by}={server}",
                0x7f8e_0000_0000 + client * 0x80,
                stuck.server + 1
            );
        }
        Ok(())
    }
}

impl Backend {
    fn head_of_table(&self, now: Instant, out: &mut String) {
        let used = self.table.values().filter(|stuck| stuck.until > now).count();
        let _ = writeln!(out, "# table: {}, type: string, size:1024, used:{used}", self.setup.name);
    }
}
