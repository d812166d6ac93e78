//! Others write too: telling their changes from one's own, and not fighting over them in a loop.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::farm::{
    About, Baseline, Batch, BatchStep, OnDrift, Reason, Seen, SeenMaps, Untold, Wanted, WantedMaps, WantedServer,
};
use crate::haproxy::{AdminState, BackendName, MapKey, MapName, MapValue, ServerRef};

/// A change made outside teeter of something that HAProxy had confirmed to be as teeter wants it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Drift {
    /// A held server.
    Server { server: ServerRef, was: AdminState, now: AdminState, then: OnDrift },
    /// A held server that was deleted is there again, and was this when it was first seen: the next look may find it as
    /// teeter has set it since.
    Again { server: ServerRef, is: Baseline },
    /// The last servers of a backend that is to be out, and that the traffic was turned to.
    Live { backend: BackendName, server: ServerRef },
    /// The file of a map.
    File { map: MapName, what: String },
    /// An entry of a map that a route is made of.
    Map { map: MapName, key: MapKey, was: Option<MapValue>, now: Option<String> },
}

/// What one HAProxy process was last confirmed to have, by server.
#[derive(Debug, Default)]
pub(crate) struct Drifts {
    ours: BTreeMap<ServerRef, AdminState>,
    /// What has been found and not been set right yet, so that it is told once.
    told: BTreeMap<ServerRef, AdminState>,
    /// Changes that are not corrected: a stricter state set by an operator, and changes about which the store decides.
    left_alone: BTreeMap<ServerRef, Left>,
    /// Servers that stay in because the traffic was turned to them, so that it is told once.
    live: BTreeSet<ServerRef>,
    /// Held servers that this process does not have.
    absent: BTreeSet<ServerRef>,
    /// How often each server was set right, and when last.
    contested: BTreeMap<ServerRef, (u32, Instant)>,
    /// The same for maps.
    contested_maps: BTreeMap<MapName, (u32, Instant)>,
    /// The maps that this process was last confirmed to have.
    turned: Arc<WantedMaps>,
    told_in_maps: BTreeMap<(MapName, MapKey), Option<String>>,
}

/// A state that stays as it was set outside teeter.
#[derive(Debug, Clone, Copy)]
struct Left {
    state: AdminState,
    /// Whether it is less strict than what was confirmed: then HAProxy does not agree with the hold.
    looser: bool,
    /// Until when: until that is wanted, or, for what is stricter, until no less is wanted.
    until_wanted: bool,
}

impl Left {
    fn stands(self, wanted: &WantedServer) -> bool {
        let waits = if self.until_wanted { wanted.state != self.state } else { wanted.state < self.state };
        wanted.held && waits
    }
}

impl Drifts {
    /// Compares what is seen with what was last confirmed, and gives what is new.
    pub(crate) fn find(&mut self, wanted: &Wanted, seen: &Seen) -> Vec<Drift> {
        self.ours.retain(|server, _| wanted.get(server).is_some_and(|wanted| wanted.held));
        let mut drifts = self.come_back(wanted, seen);
        self.left_alone.retain(|server, left| wanted.get(server).is_some_and(|wanted| left.stands(wanted)));
        for (server, was) in &mut self.ours {
            let Some(now) = seen.servers.get(server).map(|seen| seen.admin.forced()) else { continue };
            if now == *was {
                continue;
            }
            let then = wanted.get(server).map(|wanted| wanted.on_drift).unwrap_or_default();
            if self.told.insert(server.clone(), now) != Some(now) {
                drifts.push(Drift::Server { server: server.clone(), was: *was, now, then });
            }
            let until_wanted = then != OnDrift::Reassert;
            if until_wanted || now > *was {
                self.left_alone.insert(server.clone(), Left { state: now, looser: now < *was, until_wanted });
                *was = now;
            } else {
                // A stricter state before this one is over. The store may record both at once, so it may never be wanted.
                self.left_alone.remove(server);
            }
        }
        drifts
    }

    /// Finds servers that were deleted and added again. As they are they are left alone until it is known what that
    /// means: HAProxy adds servers in maintenance; an operator sets them ready.
    fn come_back(&mut self, wanted: &Wanted, seen: &Seen) -> Vec<Drift> {
        let held: BTreeSet<&ServerRef> =
            wanted.iter().filter(|(_, wanted)| wanted.held).map(|(server, _)| server).collect();
        self.absent.retain(|server| held.contains(server));
        let mut drifts = Vec::new();
        for server in held {
            match seen.servers.get(server) {
                None => {
                    self.ours.remove(server);
                    self.absent.insert(server.clone());
                }
                Some(now) if self.absent.remove(server) => {
                    let state = now.admin.forced();
                    self.left_alone.insert(server.clone(), Left { state, looser: false, until_wanted: false });
                    // The program that added it may set it once more before the next look.
                    self.ours.insert(server.clone(), state);
                    drifts.push(Drift::Again { server: server.clone(), is: now.baseline() });
                }
                Some(_) => {}
            }
        }
        drifts
    }

    /// Gives what is new of servers that stay in because the traffic was turned to their backend.
    pub(crate) fn live(&mut self, backend: &BackendName, servers: BTreeSet<ServerRef>) -> Vec<Drift> {
        let new = servers.into_iter().filter(|server| self.live.insert(server.clone()));
        new.map(|server| Drift::Live { backend: backend.clone(), server }).collect()
    }

    /// The same for maps, where what is wanted is what was confirmed.
    pub(crate) fn find_in_maps(&mut self, wanted: &WantedMaps, seen: &SeenMaps) -> Vec<Drift> {
        let mut drifts = Vec::new();
        let turned = Arc::clone(&self.turned);
        for (map, wanted) in wanted.iter().filter(|(map, wanted)| turned.get(*map) == Some(wanted)) {
            for (key, was) in wanted.entries() {
                let Some(now) = seen.get(map).and_then(|seen| seen.entries.get(key)) else { continue };
                if now.as_deref() == was.map(MapValue::as_str) {
                    continue;
                }
                let place = (map.clone(), key.clone());
                if self.told_in_maps.insert(place.clone(), now.clone()).as_ref() != Some(now) {
                    drifts.push(Drift::Map { map: place.0, key: place.1, was: was.cloned(), now: now.clone() });
                }
            }
        }
        drifts
    }

    /// Removes steps that must not be sent, or not again so soon. Returns what is changed outside teeter again and again.
    pub(crate) fn allow(&mut self, batch: &mut Batch, maps: &WantedMaps, seen: &Seen, now: Instant) -> Untold {
        let Self { ours, left_alone, contested, contested_maps, turned, .. } = self;
        let (mut refused, mut later) = (BTreeSet::new(), Untold::default());
        let keeps =
            |what: String| Reason::NotYet(format!("another program keeps changing {what}, which teeter has set"));
        for step in &batch.rest {
            if let About::Map(map) = &step.about
                && turned.get(map) == maps.get(map)
                && !again(contested_maps, map, now)
            {
                later.maps.insert(map.clone(), keeps(format!("entries of map {map}")));
            }
        }
        for server in batch.incoming.iter().chain(&batch.repeated).chain(&batch.rest).filter_map(BatchStep::server) {
            let state = seen.servers.get(server).map(|seen| seen.admin.forced());
            // A confirmed state was undone outside teeter: correct it, but not at the rate of looks for ever.
            let undone = ours.get(server).is_some_and(|ours| state.is_some_and(|state| state < *ours));
            if left_alone.contains_key(server) {
                refused.insert(server.clone());
            } else if undone && !again(contested, server, now) {
                later.servers.insert(server.clone(), keeps(server.to_string()));
            }
        }
        batch.retain(|step| match &step.about {
            About::Server(server) => !refused.contains(server) && !later.servers.contains_key(server),
            About::Map(map) => !later.maps.contains_key(map),
        });
        later
    }

    /// Whether every difference is a stricter state set outside teeter, which stays.
    pub(crate) fn is_left_alone(&self, batch: &Batch) -> bool {
        let mut steps = batch.incoming.iter().chain(&batch.rest);
        steps.all(|step| step.server().and_then(|server| self.left_alone.get(server)).is_some_and(|left| !left.looser))
    }

    /// Whether the store has yet to say what becomes of a change.
    pub(crate) fn is_undecided(&self) -> bool {
        self.left_alone.values().any(|left| left.looser)
    }

    /// Something is about to be sent: what these servers have is not known until it is read back.
    pub(crate) fn sending(&mut self, steps: &[BatchStep]) {
        for server in steps.iter().filter_map(BatchStep::server) {
            self.ours.remove(server);
            self.told.remove(server);
        }
    }

    /// HAProxy has what is wanted, but for what it is not told: that stays as it was confirmed before.
    pub(crate) fn confirmed(&mut self, wanted: &Wanted, maps: &Arc<WantedMaps>, untold: &Untold, seen: &Seen) {
        self.turned = Arc::clone(maps);
        self.live.clear();
        self.told_in_maps.retain(|(map, _), _| untold.maps.contains_key(map));
        let told = |server: &ServerRef| !untold.servers.contains_key(server);
        for (server, _) in wanted.iter().filter(|(server, wanted)| wanted.held && told(server)) {
            if let Some(now) = seen.servers.get(server) {
                self.ours.insert(server.clone(), now.admin.forced());
            }
        }
    }
}

/// Whether a state that is changed outside teeter again and again is corrected once more now.
fn again<K: Ord + Clone>(contested: &mut BTreeMap<K, (u32, Instant)>, what: &K, now: Instant) -> bool {
    let (times, last) = contested.entry(what.clone()).or_insert((0, now));
    if *times >= AT_ONCE && now.duration_since(*last) < AGAIN {
        return false;
    }
    *times += 1;
    *last = now;
    true
}

/// So often something is set right at once.
const AT_ONCE: u32 = 3;

/// After that, only so often.
const AGAIN: Duration = Duration::from_secs(5);
