//! The last check of a drain: the list of sessions may show a request on a server that no counter shows.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::look::{ExpectedProcess, assigned};
use super::old_workers::OldWorkers;
use super::order::Draining;
use crate::farm::Seen;
use crate::haproxy::{Error, ServerRef};

/// The check of the list of sessions of one HAProxy.
#[derive(Debug, Default)]
pub(super) struct SessionListCheck {
    /// Draining servers on which nothing was in flight at the last look.
    quiet: BTreeSet<ServerRef>,
}

impl SessionListCheck {
    /// Reads the list of sessions if all servers of a hold had no requests in two looks, and adds its numbers to
    /// `seen`. `false`: another process answered.
    pub(super) async fn ask(
        &mut self,
        expected: ExpectedProcess<'_>,
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
        if !due || expected.process.sessions > SESSIONS_LISTED {
            self.quiet = quiet;
            return Ok(true);
        }
        let Some(mut requests) = assigned(expected).await? else { return Ok(false) };
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
    let is_quiet = |server: &&ServerRef| seen.servers.get(server).is_some_and(|now| now.load.in_flight() == 0);
    draining.iter().flat_map(|draining| &draining.servers).filter(is_quiet).cloned().collect()
}

fn keeps_idle(draining: &Draining, seen: &Seen) -> bool {
    draining.servers.iter().filter_map(|server| seen.servers.get(server)).any(|now| now.load.idle > 0)
}

/// With more sessions the list is not read, and the drain relies on the time that passes without requests. The list has
/// about 250 bytes for each session, and stops every thread of HAProxy while a piece of it is made.
const SESSIONS_LISTED: u64 = 10_000;
