//! The last check before commands are sent: a backend that gets traffic keeps a server in service.
//!
//! The wanted state comes from a look that is some moments old. When the commands arrive, another HAProxy process may
//! be there whose servers teeter has just set DOWN, so that their checks start anew. Or a map may lead to a backend
//! that the store does not know to get traffic. Commands that would leave such a backend without servers are put off
//! until that has changed.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use crate::farm::diff::batch::{About, Batch, BatchStep};
use crate::farm::diff::wanted::Wanted;
use crate::farm::diff::wanted_maps::{WantedMap, WantedMaps};
use crate::farm::diff::withheld::Reason;
use crate::farm::seen::server::SeenServer;
use crate::farm::seen::snapshot::Seen;
use crate::haproxy::{AdminState, BackendName, MapKey, MapName, ServerRef};

/// Why commands are delayed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PutOff {
    /// It is sent after a condition, which the text names.
    Until(String),
    /// The traffic was switched to a backend outside teeter, or the store does not know about it. These servers are in
    /// that backend.
    TakenOver(BackendName, BTreeSet<ServerRef>),
}

/// The wanted state of one HAProxy, and the state that it shows.
#[derive(Debug, Clone, Copy)]
pub struct Gate<'a> {
    /// The wanted states of its servers.
    pub wanted: &'a Wanted,
    /// The wanted entries of its maps.
    pub maps: &'a WantedMaps,
    /// The state that it shows.
    pub seen: &'a Seen,
    /// Servers that teeter has set DOWN in this process and that no check has found healthy since.
    pub unchecked: &'a BTreeSet<ServerRef>,
}

impl Gate<'_> {
    /// Takes steps out of a batch that would empty a backend behind one of these maps, which are not changed. Where a
    /// map is missing in HAProxy, each backend that it may lead to counts.
    pub fn keep_behind(&self, batch: &mut Batch, withheld: &BTreeMap<MapName, Reason>) -> BTreeMap<ServerRef, Reason> {
        let mut kept_servers = BTreeMap::new();
        for (map, why) in withheld {
            let seen = self.seen.maps.get(map).filter(|seen| !seen.missing);
            let leads_to = |backend: &&BackendName| {
                seen.is_none_or(|seen| seen.entries.values().any(|to| to.as_deref() == Some(backend.as_str())))
            };
            for backend in self.maps.get(map).iter().flat_map(|wanted| &wanted.backends).filter(leads_to) {
                let kept = self.keep_in(batch, backend);
                kept_servers.extend(kept.into_iter().map(|server| (server, why.clone())));
            }
        }
        kept_servers
    }

    /// Takes steps out of a batch that have to wait, and returns the reason. Servers that an operator takes out by name
    /// are not kept.
    pub fn keep_served(&self, batch: &mut Batch) -> Option<PutOff> {
        if batch.rest.is_empty() {
            return None;
        }
        let too_early = self.put_off_switches(batch);
        let emptied = self.put_off_outs(batch);
        too_early.or(emptied)
    }

    /// Puts off switches to backends whose servers are still being checked anew.
    fn put_off_switches(&self, batch: &mut Batch) -> Option<PutOff> {
        let switched: BTreeSet<&MapName> = batch.rest.iter().filter_map(map_of).collect();
        let too_early: BTreeMap<MapName, BackendName> = switched
            .into_iter()
            .filter_map(|map| Some((map.clone(), self.targets(map).find(|backend| self.waits_for_checks(backend))?)))
            .collect();
        batch.rest.retain(|step| map_of(step).is_none_or(|map| !too_early.contains_key(map)));
        too_early.values().next().map(checking)
    }

    /// Puts off steps that take out the last servers of a backend that gets traffic after the switches of the batch.
    fn put_off_outs(&self, batch: &mut Batch) -> Option<PutOff> {
        let switched: BTreeSet<MapName> = batch.rest.iter().filter_map(map_of).cloned().collect();
        let mut why = None;
        let mut checked = self.awaiting();
        checked.retain(|backend| self.waits_for_checks(backend));
        for backend in &self.live_after(&switched) | &checked {
            let kept = self.keep_in(batch, &backend);
            if !kept.is_empty() && why.is_none() {
                why = Some(match checked.contains(&backend) {
                    true => checking(&backend),
                    false if self.is_switched_elsewhere(&backend) => PutOff::Until(format!(
                        "the last servers of backend {backend} are not taken out while a change of a map \
                         outside teeter gives it the traffic"
                    )),
                    false => PutOff::TakenOver(backend, kept),
                });
            }
        }
        why
    }

    /// Takes steps out of a batch that would empty a backend in which a server serves now. Returns their servers.
    fn keep_in(&self, batch: &mut Batch, backend: &BackendName) -> BTreeSet<ServerRef> {
        let servers = || self.seen.servers.in_backend(backend);
        let left = servers().any(|(server, now)| self.will_serve(server, now));
        if left || !servers().any(|(_, now)| now.is_usable()) {
            return BTreeSet::new();
        }
        let followed: BTreeSet<&ServerRef> = servers().filter_map(|(_, now)| now.tracked.as_ref()).collect();
        let stands_in = |server: &ServerRef| server.backend == *backend || followed.contains(server);
        let (mut kept, rest) = (BTreeSet::new(), std::mem::take(&mut batch.rest));
        for step in rest {
            match step.server().filter(|server| stands_in(server) && self.is_to_go_out(server)) {
                Some(server) => {
                    kept.insert(server.clone());
                }
                None => batch.rest.push(step),
            }
        }
        kept
    }

    /// Backends with servers that are still being checked anew, or that track such a server.
    fn awaiting(&self) -> BTreeSet<BackendName> {
        if self.unchecked.is_empty() {
            return BTreeSet::new();
        }
        let awaited = self.seen.servers.iter().filter(|(server, now)| self.is_awaited(server, now));
        awaited.map(|(server, _)| server.backend.clone()).collect()
    }

    /// Backends that a map is about to lead to.
    fn targets(&self, map: &MapName) -> impl Iterator<Item = BackendName> {
        let seen = move |key: &MapKey| self.seen.maps.get(map).and_then(|seen| seen.entries.get(key)?.as_deref());
        let entries = self.maps.get(map).into_iter().flat_map(|wanted| wanted.entries());
        let new = entries.filter_map(move |(key, to)| to.map(|to| to.as_str()).filter(|to| seen(key) != Some(to)));
        new.filter_map(|to| to.parse().ok())
    }

    /// Backends that get traffic through a map once these maps are switched. Entries for clients that may stay on
    /// another side do not count, because their grace is over by then.
    fn live_after(&self, switched: &BTreeSet<MapName>) -> BTreeSet<BackendName> {
        let mut live = BTreeSet::new();
        for (map, seen) in &self.seen.maps {
            let wanted = self.maps.get(map);
            for (key, now) in &seen.entries {
                let to = wanted.and_then(|wanted| wanted.live.get(key)).map(|to| to.as_str());
                let value = match to {
                    Some(to) if switched.contains(map) => Some(to),
                    None if wanted.is_some_and(|wanted| wanted.beside.contains_key(key)) => None,
                    _ => now.as_deref(),
                };
                live.extend(value.and_then(|value| value.parse::<BackendName>().ok()));
            }
        }
        live
    }

    /// Whether every entry that leads to a backend will lead to another one.
    fn is_switched_elsewhere(&self, backend: &BackendName) -> bool {
        let led =
            self.seen.maps.iter().flat_map(|(map, seen)| seen.entries.iter().map(move |(key, now)| (map, key, now)));
        let mut led = led.filter(|(_, _, now)| now.as_deref() == Some(backend.as_str()));
        let to = |map, key| self.maps.get(map).and_then(|wanted: &WantedMap| wanted.live.get(key));
        led.all(|(map, key, _)| to(map, key).is_some_and(|to| to.as_str() != backend.as_str()))
    }

    /// Whether a backend has no server only because its servers are still being checked anew.
    fn waits_for_checks(&self, backend: &BackendName) -> bool {
        let servers = || self.seen.servers.in_backend(backend);
        servers().any(|(server, now)| self.is_awaited(server, now) && self.is_to_be_ready(server, now))
            && !servers().any(|(server, now)| self.will_serve(server, now))
    }

    fn is_awaited(&self, server: &ServerRef, now: &SeenServer) -> bool {
        !now.op.is_up() && self.unchecked.contains(now.tracked.as_ref().unwrap_or(server))
    }

    fn is_to_be_ready(&self, server: &ServerRef, now: &SeenServer) -> bool {
        let state = |server: &ServerRef, now: &SeenServer| {
            self.wanted.get(server).map_or(now.admin.forced(), |wanted| wanted.state)
        };
        let tracked = now.tracked.as_ref().and_then(|server| Some((server, self.seen.servers.get(server)?)));
        let own = state(server, now) == AdminState::Ready;
        own && tracked.is_none_or(|(server, now)| state(server, now) == AdminState::Ready)
    }

    /// Whether a server takes traffic once it has its wanted state. HAProxy takes a server that leaves maintenance for
    /// healthy.
    fn will_serve(&self, server: &ServerRef, now: &SeenServer) -> bool {
        let weight = self.wanted.get(server).and_then(|wanted| wanted.weight).unwrap_or(now.weight);
        let is_up = now.op.is_up() || (now.admin.in_maint() && !self.is_awaited(server, now));
        weight > 0 && is_up && self.is_to_be_ready(server, now)
    }

    /// Whether a server in service goes out, and no operator asked for that.
    fn is_to_go_out(&self, server: &ServerRef) -> bool {
        self.wanted.get(server).is_some_and(|wanted| wanted.state > AdminState::Ready && !wanted.asked)
            && self.seen.servers.get(server).is_some_and(SeenServer::is_usable)
    }
}

fn checking(backend: &BackendName) -> PutOff {
    PutOff::Until(format!("backend {backend} does not get the traffic yet: HAProxy is still checking its servers anew"))
}

fn map_of(step: &BatchStep) -> Option<&MapName> {
    match &step.about {
        About::Map(map) => Some(map),
        About::Server(_) => None,
    }
}
