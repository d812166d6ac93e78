//! Others write too: telling their changes from one's own, and not fighting over them in a loop.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;

use crate::farm::{Seen, Step, Wanted};
use crate::haproxy::{AdminState, ServerRef};

/// A held server that somebody else has changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Drift {
    pub(super) server: ServerRef,
    /// What teeter had set, and HAProxy had confirmed.
    pub(super) was: AdminState,
    /// What it is now.
    pub(super) now: AdminState,
}

/// What one HAProxy process was last confirmed to have, by server.
#[derive(Debug, Default)]
pub(super) struct Drifts {
    ours: BTreeMap<ServerRef, AdminState>,
    /// What has been found and not been set right yet, so that it is told once.
    told: BTreeMap<ServerRef, AdminState>,
    /// Changes that make a server stricter: they are somebody's wish and are left alone.
    left_alone: BTreeMap<ServerRef, AdminState>,
    /// How often each server was set right, and when last.
    contested: BTreeMap<ServerRef, (u32, Instant)>,
}

impl Drifts {
    /// Compares what is seen with what was last confirmed, and gives what is new.
    pub(super) fn find(&mut self, wanted: &Wanted, seen: &Seen) -> Vec<Drift> {
        self.ours.retain(|server, _| wanted.get(server).is_some_and(|wanted| wanted.held));
        self.left_alone
            .retain(|server, state| wanted.get(server).is_some_and(|wanted| wanted.held && wanted.state < *state));
        let mut drifts = Vec::new();
        for (server, was) in &mut self.ours {
            let Some(now) = seen.servers.get(server).map(|seen| seen.admin.forced()) else { continue };
            if now == *was {
                continue;
            }
            if self.told.insert(server.clone(), now) != Some(now) {
                drifts.push(Drift { server: server.clone(), was: *was, now });
            }
            if now > *was {
                self.left_alone.insert(server.clone(), now);
                *was = now;
            }
        }
        drifts
    }

    /// Leaves out what must not be done, or not again so soon.
    pub(super) fn allow(&mut self, steps: Vec<Step>, seen: &Seen, now: Instant) -> Vec<Step> {
        let Self { ours, left_alone, contested, .. } = self;
        let allowed = |step: &Step| {
            if left_alone.contains_key(&step.server) {
                return false;
            }
            let state = seen.servers.get(&step.server).map(|seen| seen.admin.forced());
            // Somebody has undone what teeter had confirmed: set it right, but not for ever as fast as one can look.
            if ours.get(&step.server).is_some_and(|ours| state.is_some_and(|state| state < *ours)) {
                let (times, last) = contested.entry(step.server.clone()).or_insert((0, now));
                if *times >= AT_ONCE && now.duration_since(*last) < AGAIN {
                    return false;
                }
                *times += 1;
                *last = now;
            }
            true
        };
        steps.into_iter().filter(allowed).collect()
    }

    /// Whether all that differs differs because it is left alone.
    pub(super) fn is_left_alone(&self, steps: &[Step]) -> bool {
        steps.iter().all(|step| self.left_alone.contains_key(&step.server))
    }

    /// Something is about to be sent: what these servers have is not known until it is read back.
    pub(super) fn sending(&mut self, steps: &[Step]) {
        for step in steps {
            self.ours.remove(&step.server);
            self.told.remove(&step.server);
        }
    }

    /// HAProxy has what is wanted.
    pub(super) fn confirmed(&mut self, wanted: &Wanted, seen: &Seen) {
        for (server, _) in wanted.iter().filter(|(_, wanted)| wanted.held) {
            if let Some(now) = seen.servers.get(server) {
                self.ours.insert(server.clone(), now.admin.forced());
            }
        }
    }
}

/// So often a server is set right at once.
const AT_ONCE: u32 = 3;

/// After that, only so often.
const AGAIN: Duration = Duration::from_secs(5);
