//! The last question about servers that seem empty: has HAProxy given one of them a request that no counter has?

use std::collections::BTreeSet;
use std::sync::Arc;

use super::look::assigned;
use super::old_workers::OldWorkers;
use super::order::Draining;
use crate::farm::Seen;
use crate::haproxy::commands::Info;
use crate::haproxy::{Client, Error, ServerRef};

/// What is remembered of one HAProxy between two looks.
#[derive(Debug, Default)]
pub(super) struct SessionListCheck {
    /// Draining servers on which nothing was in flight then.
    quiet: BTreeSet<ServerRef>,
}

impl SessionListCheck {
    /// Where all servers of a hold have been without requests in two looks, asks for the list of sessions and notes in
    /// `seen` what it says of them. `false`: another process answered.
    pub(super) async fn ask(
        &mut self,
        (client, process): (&Client, &Info),
        old: &OldWorkers,
        draining: &[Draining],
        seen: &mut Arc<Seen>,
    ) -> Result<bool, Error> {
        let quiet = quiet(draining, seen);
        let before = std::mem::take(&mut self.quiet);
        let due = draining.iter().any(|draining| {
            let ready = |server| quiet.contains(server) && before.contains(server);
            draining.last && draining.servers.iter().all(ready) && !(draining.idle && keeps_idle(draining, seen))
        });
        if !due || process.sessions > SESSIONS_LISTED {
            self.quiet = quiet;
            return Ok(true);
        }
        let Some(mut requests) = assigned(client, process).await? else { return Ok(false) };
        for (server, more) in old.assigned().await? {
            *requests.entry(server).or_default() += more;
        }
        let seen = Arc::make_mut(seen);
        for server in quiet {
            let Some(now) = seen.servers.get_mut(&server) else { continue };
            now.load.assigned = Some(requests.get(&server).copied().unwrap_or_default());
            if now.load.in_flight() == 0 {
                self.quiet.insert(server);
            }
        }
        Ok(true)
    }
}

/// Draining servers on which nothing is in flight.
fn quiet(draining: &[Draining], seen: &Seen) -> BTreeSet<ServerRef> {
    let is_quiet = |server: &&ServerRef| seen.servers.get(server).is_some_and(|it| it.load.in_flight() == 0);
    draining.iter().flat_map(|draining| &draining.servers).filter(is_quiet).cloned().collect()
}

fn keeps_idle(draining: &Draining, seen: &Seen) -> bool {
    draining.servers.iter().filter_map(|server| seen.servers.get(server)).any(|it| it.load.idle > 0)
}

/// HAProxy's list of sessions has about 250 bytes for each, and every thread stands still while a piece of it is made.
/// Where there are more, time has to tell what the list would.
const SESSIONS_LISTED: u64 = 10_000;
