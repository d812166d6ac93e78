//! What one HAProxy is not told while it is told everything else: the trouble of one route or of one server is not that
//! of others.

use std::collections::{BTreeMap, BTreeSet};

use crate::farm::diff::batch::About;
use crate::farm::diff::wanted_maps::WantedMaps;
use crate::farm::names::InstanceName;
use crate::farm::seen::maps::SeenMaps;
use crate::haproxy::{MapName, ServerRef};

/// Why something is not told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reason {
    /// It is told later, and what that waits for.
    NotYet(String),
    /// It cannot be told, and why.
    Cannot(String),
}

/// What one HAProxy is not told.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Untold {
    /// Maps that are left as they are.
    pub maps: BTreeMap<MapName, Reason>,
    /// Servers that are left as they are.
    pub servers: BTreeMap<ServerRef, Reason>,
}

impl Reason {
    /// The reason, for people.
    pub fn words(&self) -> &str {
        match self {
            Self::NotYet(words) | Self::Cannot(words) => words,
        }
    }
}

impl Untold {
    /// Whether everything is told.
    pub fn is_empty(&self) -> bool {
        self.maps.is_empty() && self.servers.is_empty()
    }

    /// What is all put off for this reason.
    pub fn later(abouts: Vec<About>, words: &str) -> Self {
        let mut untold = Self::default();
        for about in abouts {
            let why = Reason::NotYet(words.to_owned());
            match about {
                About::Map(map) => drop(untold.maps.insert(map, why)),
                About::Server(server) => drop(untold.servers.insert(server, why)),
            }
        }
        untold
    }

    /// Whether anything is told later.
    pub fn waits(&self) -> bool {
        self.maps.values().chain(self.servers.values()).any(|why| matches!(why, Reason::NotYet(_)))
    }

    /// Adds what is not told, either.
    pub fn extend(&mut self, more: Self) {
        self.maps.extend(more.maps);
        self.servers.extend(more.servers);
    }

    /// What is not told of these maps and servers; what cannot be told comes before what is told later.
    pub fn of<'a>(
        &self,
        maps: impl IntoIterator<Item = &'a MapName>,
        servers: impl IntoIterator<Item = &'a ServerRef>,
    ) -> Option<&Reason> {
        let maps = maps.into_iter().filter_map(|map| self.maps.get(map));
        let servers = servers.into_iter().filter_map(|server| self.servers.get(server));
        maps.chain(servers).max_by_key(|reason| matches!(reason, Reason::Cannot(_)))
    }

    /// Every reason once, for people.
    pub fn words(&self) -> Option<String> {
        let all: BTreeSet<&str> = self.maps.values().chain(self.servers.values()).map(Reason::words).collect();
        (!all.is_empty()).then(|| all.into_iter().collect::<Vec<_>>().join("; "))
    }
}

/// The maps that a HAProxy should have entries in, and does not have.
pub fn lacking(instance: &InstanceName, wanted: &WantedMaps, seen: &SeenMaps) -> BTreeMap<MapName, Reason> {
    let missing = wanted.keys().filter(|map| seen.get(*map).is_some_and(|seen| seen.missing));
    missing.map(|map| (map.clone(), Reason::Cannot(format!("HAProxy {instance} has no map {map}")))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::farm::{SeenMap, WantedMap};

    #[test]
    fn a_map_that_haproxy_does_not_have_is_told_from_one_that_nobody_has_asked_for() {
        let wanted: WantedMaps =
            ["/a", "/b", "/c"].map(|map| (map.parse().unwrap(), WantedMap::default())).into_iter().collect();
        let seen = [("/a", true), ("/b", false)]
            .map(|(map, missing)| (map.parse().unwrap(), SeenMap { missing, ..SeenMap::default() }));
        let lacking = lacking(&"edge".parse().unwrap(), &wanted, &seen.into_iter().collect());
        assert_eq!(lacking.keys().map(MapName::as_str).collect::<Vec<_>>(), ["/a"]);
    }

    #[test]
    fn what_cannot_be_told_comes_before_what_is_told_later() {
        let maps = [
            ("/a".parse().unwrap(), Reason::Cannot("no map".to_owned())),
            ("/b".parse().unwrap(), Reason::NotYet("a slow disk".to_owned())),
        ];
        let untold = Untold { maps: maps.into_iter().collect(), ..Untold::default() };
        let (a, b, c) = ("/a".parse().unwrap(), "/b".parse().unwrap(), "/c".parse().unwrap());
        assert_eq!(untold.of([&a, &b], []).map(Reason::words), Some("no map"));
        assert_eq!(untold.of([&b, &c], []).map(Reason::words), Some("a slow disk"));
        assert_eq!(untold.of([&c], []), None);
        assert_eq!(untold.words().as_deref(), Some("a slow disk; no map"));
    }
}
