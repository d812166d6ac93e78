//! The last check before commands are sent: a backend that gets traffic keeps a server in service.
//!
//! The commands come from a look that is some moments old. When they arrive, another HAProxy process may run, whose
//! servers teeter has just set DOWN, so that their checks start again. Or a map may give the traffic to another backend
//! than the store records. Commands that would leave such a backend without servers are put off until the backend has
//! servers in service, or gets no traffic.

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
    /// The commands are sent after a condition, which the text names.
    Until(String),
    /// The traffic was switched to this backend outside teeter, or without a record in the store. These servers are in
    /// the backend.
    TakenOver(BackendName, BTreeSet<ServerRef>),
}

/// The wanted state and the shown state of one HAProxy.
#[derive(Debug, Clone, Copy)]
pub struct Gate<'a> {
    /// The wanted states of the servers.
    pub wanted: &'a Wanted,
    /// The wanted entries of the maps.
    pub maps: &'a WantedMaps,
    /// The state that HAProxy shows.
    pub seen: &'a Seen,
    /// Servers that teeter has set DOWN in this process and that no check has found healthy since.
    pub unchecked: &'a BTreeSet<ServerRef>,
}

impl Gate<'_> {
    /// Removes the steps from a batch that would leave a backend behind one of these maps without servers. These maps
    /// get no commands. If HAProxy has no such map, each backend that the map may lead to counts.
    pub fn keep_behind(&self, batch: &mut Batch, withheld: &BTreeMap<MapName, Reason>) -> BTreeMap<ServerRef, Reason> {
        let mut kept_servers = BTreeMap::new();
        for (map, why) in withheld {
            let seen = self.seen.maps.get(map).filter(|seen| !seen.missing);
            let leads_to = |backend: &&BackendName| {
                seen.is_none_or(|seen| seen.entries.values().any(|value| value.as_deref() == Some(backend.as_str())))
            };
            for backend in self.maps.get(map).iter().flat_map(|wanted| &wanted.backends).filter(leads_to) {
                let kept = self.keep_in(batch, backend);
                kept_servers.extend(kept.into_iter().map(|server| (server, why.clone())));
            }
        }
        kept_servers
    }

    /// Removes the steps from a batch that have to wait, and returns the reason. An operator's hold takes its servers
    /// out without waiting.
    pub fn keep_served(&self, batch: &mut Batch) -> Option<PutOff> {
        if batch.rest.is_empty() {
            return None;
        }
        let too_early = self.put_off_switches(batch);
        let last_servers = self.put_off_outs(batch);
        too_early.or(last_servers)
    }

    /// Puts off switches to backends whose checks have started again and have not passed.
    fn put_off_switches(&self, batch: &mut Batch) -> Option<PutOff> {
        let switched: BTreeSet<&MapName> = batch.rest.iter().filter_map(map_of).collect();
        let too_early: BTreeMap<MapName, BackendName> = switched
            .into_iter()
            .filter_map(|map| Some((map.clone(), self.targets(map).find(|backend| self.waits_for_checks(backend))?)))
            .collect();
        batch.rest.retain(|step| map_of(step).is_none_or(|map| !too_early.contains_key(map)));
        too_early.values().next().map(until_checked)
    }

    /// Puts off steps that take out the last servers of a backend that gets traffic after the switches of the batch.
    fn put_off_outs(&self, batch: &mut Batch) -> Option<PutOff> {
        let switched: BTreeSet<MapName> = batch.rest.iter().filter_map(map_of).cloned().collect();
        let mut why = None;
        let mut waiting = self.awaiting();
        waiting.retain(|backend| self.waits_for_checks(backend));
        for backend in &self.live_after(&switched) | &waiting {
            let kept = self.keep_in(batch, &backend);
            if !kept.is_empty() && why.is_none() {
                why = Some(match waiting.contains(&backend) {
                    true => until_checked(&backend),
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

    /// Removes the steps from a batch that would leave a backend without servers, if a server of the backend is in
    /// service. Returns the servers of the removed steps.
    fn keep_in(&self, batch: &mut Batch, backend: &BackendName) -> BTreeSet<ServerRef> {
        let servers = || self.seen.servers.in_backend(backend);
        let left = servers().any(|(server, current)| self.will_serve(server, current));
        if left || !servers().any(|(_, current)| current.is_usable()) {
            return BTreeSet::new();
        }
        let followed: BTreeSet<&ServerRef> = servers().filter_map(|(_, current)| current.tracked.as_ref()).collect();
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

    /// Backends with servers whose checks have started again and have not passed, or that track such a server.
    fn awaiting(&self) -> BTreeSet<BackendName> {
        if self.unchecked.is_empty() {
            return BTreeSet::new();
        }
        let awaited = self.seen.servers.iter().filter(|(server, current)| self.is_awaited(server, current));
        awaited.map(|(server, _)| server.backend.clone()).collect()
    }

    /// Backends that new values of a map's entries name.
    fn targets(&self, map: &MapName) -> impl Iterator<Item = BackendName> {
        let seen = move |key: &MapKey| self.seen.maps.get(map).and_then(|seen| seen.entries.get(key)?.as_deref());
        let entries = self.maps.get(map).into_iter().flat_map(|wanted| wanted.entries());
        let new = entries.filter_map(move |(key, to)| to.map(|to| to.as_str()).filter(|to| seen(key) != Some(to)));
        new.filter_map(|to| to.parse().ok())
    }

    /// Backends that get traffic through a map after these maps are switched. Entries for clients that may stay on
    /// another side do not count, because the grace of these clients is over then.
    fn live_after(&self, switched: &BTreeSet<MapName>) -> BTreeSet<BackendName> {
        let mut live = BTreeSet::new();
        for (map, seen) in &self.seen.maps {
            let wanted = self.maps.get(map);
            for (key, current) in &seen.entries {
                let to = wanted.and_then(|wanted| wanted.live.get(key)).map(|to| to.as_str());
                let value = match to {
                    Some(to) if switched.contains(map) => Some(to),
                    None if wanted.is_some_and(|wanted| wanted.beside.contains_key(key)) => None,
                    _ => current.as_deref(),
                };
                live.extend(value.and_then(|value| value.parse::<BackendName>().ok()));
            }
        }
        live
    }

    /// Whether every entry that leads to this backend will lead to another backend.
    fn is_switched_elsewhere(&self, backend: &BackendName) -> bool {
        let entries = self
            .seen
            .maps
            .iter()
            .flat_map(|(map, seen)| seen.entries.iter().map(move |(key, current)| (map, key, current)));
        let mut entries = entries.filter(|(_, _, current)| current.as_deref() == Some(backend.as_str()));
        let to = |map, key| self.maps.get(map).and_then(|wanted: &WantedMap| wanted.live.get(key));
        entries.all(|(map, key, _)| to(map, key).is_some_and(|to| to.as_str() != backend.as_str()))
    }

    /// Whether a backend has no server in service only because its checks have started again and have not passed.
    fn waits_for_checks(&self, backend: &BackendName) -> bool {
        let servers = || self.seen.servers.in_backend(backend);
        servers().any(|(server, current)| self.is_awaited(server, current) && self.is_to_be_ready(server, current))
            && !servers().any(|(server, current)| self.will_serve(server, current))
    }

    fn is_awaited(&self, server: &ServerRef, current: &SeenServer) -> bool {
        !current.op.is_up() && self.unchecked.contains(current.tracked.as_ref().unwrap_or(server))
    }

    fn is_to_be_ready(&self, server: &ServerRef, current: &SeenServer) -> bool {
        let state = |server: &ServerRef, current: &SeenServer| {
            self.wanted.get(server).map_or(current.admin.forced(), |wanted| wanted.state)
        };
        let tracked = current.tracked.as_ref().and_then(|server| Some((server, self.seen.servers.get(server)?)));
        let own = state(server, current) == AdminState::Ready;
        own && tracked.is_none_or(|(server, current)| state(server, current) == AdminState::Ready)
    }

    /// Whether a server will take traffic in its wanted state. HAProxy takes a server that leaves maintenance for
    /// healthy.
    fn will_serve(&self, server: &ServerRef, current: &SeenServer) -> bool {
        let weight = self.wanted.get(server).and_then(|wanted| wanted.weight).unwrap_or(current.weight);
        let is_up = current.op.is_up() || (current.admin.in_maint() && !self.is_awaited(server, current));
        weight > 0 && is_up && self.is_to_be_ready(server, current)
    }

    /// Whether a server in service goes out, without an operator's hold.
    fn is_to_go_out(&self, server: &ServerRef) -> bool {
        self.wanted.get(server).is_some_and(|wanted| wanted.state > AdminState::Ready && !wanted.by_operator)
            && self.seen.servers.get(server).is_some_and(SeenServer::is_usable)
    }
}

fn until_checked(backend: &BackendName) -> PutOff {
    PutOff::Until(format!(
        "backend {backend} does not get the traffic yet: HAProxy has not finished the new checks of its servers"
    ))
}

fn map_of(step: &BatchStep) -> Option<&MapName> {
    match &step.about {
        About::Map(map) => Some(map),
        About::Server(_) => None,
    }
}
