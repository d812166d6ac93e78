//! Changes that other programs make in HAProxy: they are told apart from teeter's own, and not corrected in an endless
//! loop.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use crate::farm::{
    About, Baseline, Batch, BatchStep, OnDrift, Reason, Seen, SeenMaps, Wanted, WantedMaps, WantedServer, Withheld,
};
use crate::haproxy::{AdminState, BackendName, MapKey, MapName, MapValue, ServerRef};

/// A change made outside teeter of something that HAProxy had confirmed to be as teeter wants it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Drift {
    /// A held server.
    Server { server: ServerRef, was: AdminState, now: AdminState, then: OnDrift },
    /// A held server was deleted and has been added again. `is` is its state at the first look: at the next one, teeter
    /// may have set it.
    AddedAgain { server: ServerRef, is: Baseline },
    /// One of the last servers of a backend that should be out: the traffic was switched to this backend.
    TakenOver { backend: BackendName, server: ServerRef },
    /// The file of a map; `what` describes the change, for people.
    File { map: MapName, what: String },
    /// An entry of a map that belongs to a route; `None`: there was, or is, no such entry.
    Map { map: MapName, key: MapKey, was: Option<MapValue>, now: Option<String> },
}

/// The states that one HAProxy process was last confirmed to have, and the changes made to them outside teeter.
#[derive(Debug, Default)]
pub(crate) struct Drifts {
    /// The confirmed state of each held server.
    confirmed: BTreeMap<ServerRef, AdminState>,
    /// Changes that were reported and are not corrected yet: each is reported once.
    reported: BTreeMap<ServerRef, AdminState>,
    /// Changes that are not corrected: a stricter state set by an operator, and changes about which the store decides.
    kept: BTreeMap<ServerRef, KeptState>,
    /// Servers that stay in because the traffic was switched to their backend: each is reported once.
    taken_over: BTreeSet<ServerRef>,
    /// Held servers that this process does not have.
    absent: BTreeSet<ServerRef>,
    /// How often each server was corrected, and when last.
    contested: BTreeMap<ServerRef, (u32, Instant)>,
    /// How often each map was corrected, and when last.
    contested_maps: BTreeMap<MapName, (u32, Instant)>,
    /// The maps that this process was last confirmed to have.
    confirmed_maps: Arc<WantedMaps>,
    reported_in_maps: BTreeMap<(MapName, MapKey), Option<String>>,
}

/// A state that stays as it was set outside teeter.
#[derive(Debug, Clone, Copy)]
struct KeptState {
    state: AdminState,
    /// Whether it is less strict than the confirmed state: then HAProxy does not agree with the hold.
    looser: bool,
    /// Whether it stays until exactly this state is wanted. Otherwise it stays until this state or a stricter one is.
    until_wanted: bool,
}

impl KeptState {
    fn stands(self, wanted: &WantedServer) -> bool {
        let waits = if self.until_wanted { wanted.state != self.state } else { wanted.state < self.state };
        wanted.held && waits
    }
}

impl Drifts {
    /// Compares the states of held servers with those last confirmed. Returns the changes that were not reported yet.
    pub(crate) fn find(&mut self, wanted: &Wanted, seen: &Seen) -> Vec<Drift> {
        self.confirmed.retain(|server, _| wanted.get(server).is_some_and(|wanted| wanted.held));
        let mut drifts = self.find_added_again(wanted, seen);
        self.kept.retain(|server, left| wanted.get(server).is_some_and(|wanted| left.stands(wanted)));
        for (server, was) in &mut self.confirmed {
            let Some(now) = seen.servers.get(server).map(|seen| seen.admin.forced()) else { continue };
            if now == *was {
                continue;
            }
            let then = wanted.get(server).map(|wanted| wanted.on_drift).unwrap_or_default();
            if self.reported.insert(server.clone(), now) != Some(now) {
                drifts.push(Drift::Server { server: server.clone(), was: *was, now, then });
            }
            let until_wanted = then != OnDrift::Reassert;
            if until_wanted || now > *was {
                self.kept.insert(server.clone(), KeptState { state: now, looser: now < *was, until_wanted });
                *was = now;
            } else {
                // An earlier, stricter state has ended. The store may record both at once, so it may never be wanted.
                self.kept.remove(server);
            }
        }
        drifts
    }

    /// Finds servers that were deleted and added again. teeter does not change their state until the store has decided
    /// what it means: HAProxy adds servers in maintenance, and an operator sets them ready.
    fn find_added_again(&mut self, wanted: &Wanted, seen: &Seen) -> Vec<Drift> {
        let held: BTreeSet<&ServerRef> =
            wanted.iter().filter(|(_, wanted)| wanted.held).map(|(server, _)| server).collect();
        self.absent.retain(|server| held.contains(server));
        let mut drifts = Vec::new();
        for server in held {
            match seen.servers.get(server) {
                None => {
                    self.confirmed.remove(server);
                    self.absent.insert(server.clone());
                }
                Some(now) if self.absent.remove(server) => {
                    let state = now.admin.forced();
                    self.kept.insert(server.clone(), KeptState { state, looser: false, until_wanted: false });
                    // The program that added the server may change it once more before the next look.
                    self.confirmed.insert(server.clone(), state);
                    drifts.push(Drift::AddedAgain { server: server.clone(), is: now.baseline() });
                }
                Some(_) => {}
            }
        }
        drifts
    }

    /// Returns those of these servers that were not reported yet. They stay in because the traffic was switched to
    /// their backend.
    pub(crate) fn find_taken_over(&mut self, backend: &BackendName, servers: BTreeSet<ServerRef>) -> Vec<Drift> {
        let new = servers.into_iter().filter(|server| self.taken_over.insert(server.clone()));
        new.map(|server| Drift::TakenOver { backend: backend.clone(), server }).collect()
    }

    /// Compares the entries of maps with those last confirmed, if the same entries are still wanted. Returns the
    /// changes that were not reported yet.
    pub(crate) fn find_in_maps(&mut self, wanted: &WantedMaps, seen: &SeenMaps) -> Vec<Drift> {
        let mut drifts = Vec::new();
        let confirmed_maps = Arc::clone(&self.confirmed_maps);
        for (map, wanted) in wanted.iter().filter(|(map, wanted)| confirmed_maps.get(*map) == Some(wanted)) {
            for (key, was) in wanted.entries() {
                let Some(now) = seen.get(map).and_then(|seen| seen.entries.get(key)) else { continue };
                if now.as_deref() == was.map(MapValue::as_str) {
                    continue;
                }
                let place = (map.clone(), key.clone());
                if self.reported_in_maps.insert(place.clone(), now.clone()).as_ref() != Some(now) {
                    drifts.push(Drift::Map { map: place.0, key: place.1, was: was.cloned(), now: now.clone() });
                }
            }
        }
        drifts
    }

    /// Removes steps that must not be sent, or not again so soon. Returns the maps and servers that another program
    /// keeps changing.
    pub(crate) fn allow(&mut self, batch: &mut Batch, maps: &WantedMaps, seen: &Seen, now: Instant) -> Withheld {
        let Self { confirmed, kept, contested, contested_maps, confirmed_maps, .. } = self;
        let (mut refused, mut later) = (BTreeSet::new(), Withheld::default());
        let keeps =
            |what: String| Reason::NotYet(format!("another program keeps changing {what}, which teeter has set"));
        for step in &batch.rest {
            if let About::Map(map) = &step.about
                && confirmed_maps.get(map) == maps.get(map)
                && !may_correct(contested_maps, map, now)
            {
                later.maps.insert(map.clone(), keeps(format!("entries of map {map}")));
            }
        }
        for server in batch.incoming.iter().chain(&batch.repeated).chain(&batch.rest).filter_map(BatchStep::server) {
            let state = seen.servers.get(server).map(|seen| seen.admin.forced());
            // A confirmed state was undone outside teeter: correct it, but not at the rate of looks for ever.
            let undone = confirmed.get(server).is_some_and(|confirmed| state.is_some_and(|state| state < *confirmed));
            if kept.contains_key(server) {
                refused.insert(server.clone());
            } else if undone && !may_correct(contested, server, now) {
                later.servers.insert(server.clone(), keeps(server.to_string()));
            }
        }
        batch.retain(|step| match &step.about {
            About::Server(server) => !refused.contains(server) && !later.servers.contains_key(server),
            About::Map(map) => !later.maps.contains_key(map),
        });
        later
    }

    /// Whether every difference is a stricter state that was set outside teeter, and stays.
    pub(crate) fn keeps_all(&self, batch: &Batch) -> bool {
        let mut steps = batch.incoming.iter().chain(&batch.rest);
        steps.all(|step| step.server().and_then(|server| self.kept.get(server)).is_some_and(|left| !left.looser))
    }

    /// Whether there is a change about which the store has not decided yet.
    pub(crate) fn is_undecided(&self) -> bool {
        self.kept.values().any(|left| left.looser)
    }

    /// Commands for these servers are about to be sent: their states are unknown until they are read back.
    pub(crate) fn note_sent(&mut self, steps: &[BatchStep]) {
        for server in steps.iter().filter_map(BatchStep::server) {
            self.confirmed.remove(server);
            self.reported.remove(server);
        }
    }

    /// HAProxy has been read back and agrees. Servers and maps that were left out keep their last confirmed state.
    pub(crate) fn confirm(&mut self, wanted: &Wanted, maps: &Arc<WantedMaps>, withheld: &Withheld, seen: &Seen) {
        self.confirmed_maps = Arc::clone(maps);
        self.taken_over.clear();
        self.reported_in_maps.retain(|(map, _), _| withheld.maps.contains_key(map));
        let is_sent = |server: &ServerRef| !withheld.servers.contains_key(server);
        for (server, _) in wanted.iter().filter(|(server, wanted)| wanted.held && is_sent(server)) {
            if let Some(now) = seen.servers.get(server) {
                self.confirmed.insert(server.clone(), now.admin.forced());
            }
        }
    }
}

/// Whether a server or map that is changed outside teeter again and again is corrected once more now.
fn may_correct<K: Ord + Clone>(contested: &mut BTreeMap<K, (u32, Instant)>, what: &K, now: Instant) -> bool {
    let (times, last) = contested.entry(what.clone()).or_insert((0, now));
    if *times >= AT_ONCE && now.duration_since(*last) < AGAIN {
        return false;
    }
    *times += 1;
    *last = now;
    true
}

/// The number of corrections that are made without delay.
const AT_ONCE: u32 = 3;

/// The time between two later corrections.
const AGAIN: Duration = Duration::from_secs(5);
