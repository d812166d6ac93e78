//! Commands that are not sent to a HAProxy although all other commands are: a problem of one route or server must not
//! stop the others.

use std::collections::{BTreeMap, BTreeSet};

use crate::farm::diff::batch::About;
use crate::farm::diff::wanted_maps::WantedMaps;
use crate::farm::names::InstanceName;
use crate::farm::seen::maps::SeenMaps;
use crate::haproxy::{MapName, ServerRef};

/// Why a command is not sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reason {
    /// The command is sent later; the text names the condition.
    NotYet(String),
    /// The command cannot be sent; the text has the reason.
    Cannot(String),
}

/// The maps and servers of one HAProxy that get no commands.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Withheld {
    /// Maps that stay as they are, and why.
    pub maps: BTreeMap<MapName, Reason>,
    /// Servers that stay as they are, and why.
    pub servers: BTreeMap<ServerRef, Reason>,
}

impl Reason {
    /// The text of the reason, for people.
    pub fn text(&self) -> &str {
        match self {
            Self::NotYet(text) | Self::Cannot(text) => text,
        }
    }
}

impl Withheld {
    /// Whether every command is sent.
    pub fn is_empty(&self) -> bool {
        self.maps.is_empty() && self.servers.is_empty()
    }

    /// Puts off the commands for all of these servers and maps for one reason.
    pub fn put_off(abouts: Vec<About>, reason: &str) -> Self {
        let mut withheld = Self::default();
        for about in abouts {
            let why = Reason::NotYet(reason.to_owned());
            match about {
                About::Map(map) => {
                    withheld.maps.insert(map, why);
                }
                About::Server(server) => {
                    withheld.servers.insert(server, why);
                }
            }
        }
        withheld
    }

    /// Whether a command is put off.
    pub fn waits(&self) -> bool {
        self.maps.values().chain(self.servers.values()).any(|why| matches!(why, Reason::NotYet(_)))
    }

    /// Adds more maps and servers that get no commands.
    pub fn extend(&mut self, more: Self) {
        self.maps.extend(more.maps);
        self.servers.extend(more.servers);
    }

    /// Why one of these maps and servers gets no commands. `Cannot` has priority over `NotYet`.
    pub fn reason<'a>(
        &self,
        maps: impl IntoIterator<Item = &'a MapName>,
        servers: impl IntoIterator<Item = &'a ServerRef>,
    ) -> Option<&Reason> {
        let maps = maps.into_iter().filter_map(|map| self.maps.get(map));
        let servers = servers.into_iter().filter_map(|server| self.servers.get(server));
        maps.chain(servers).max_by_key(|reason| matches!(reason, Reason::Cannot(_)))
    }

    /// The text of every reason, each once, for people; `None` where every command is sent.
    pub fn text(&self) -> Option<String> {
        let all: BTreeSet<&str> = self.maps.values().chain(self.servers.values()).map(Reason::text).collect();
        (!all.is_empty()).then(|| all.into_iter().collect::<Vec<_>>().join("; "))
    }
}

/// The wanted maps that HAProxy does not have.
pub fn missing_maps(instance: &InstanceName, wanted: &WantedMaps, seen: &SeenMaps) -> BTreeMap<MapName, Reason> {
    let missing = wanted.keys().filter(|map| seen.get(*map).is_some_and(|seen| seen.missing));
    missing.map(|map| (map.clone(), Reason::Cannot(format!("HAProxy {instance} has no map {map}")))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::farm::{SeenMap, WantedMap};

    #[test]
    fn only_a_map_that_was_looked_up_can_be_missing() {
        let wanted: WantedMaps =
            ["/a", "/b", "/c"].map(|map| (map.parse().unwrap(), WantedMap::default())).into_iter().collect();
        let seen = [("/a", true), ("/b", false)]
            .map(|(map, missing)| (map.parse().unwrap(), SeenMap { missing, ..SeenMap::default() }));
        let missing = missing_maps(&"edge".parse().unwrap(), &wanted, &seen.into_iter().collect());
        assert_eq!(missing.keys().map(MapName::as_str).collect::<Vec<_>>(), ["/a"]);
    }

    #[test]
    fn a_command_that_cannot_be_sent_has_priority_over_one_that_waits() {
        let maps = [
            ("/a".parse().unwrap(), Reason::Cannot("no map".to_owned())),
            ("/b".parse().unwrap(), Reason::NotYet("a slow disk".to_owned())),
        ];
        let withheld = Withheld { maps: maps.into_iter().collect(), ..Withheld::default() };
        let (a, b, c) = ("/a".parse().unwrap(), "/b".parse().unwrap(), "/c".parse().unwrap());
        assert_eq!(withheld.reason([&a, &b], []).map(Reason::text), Some("no map"));
        assert_eq!(withheld.reason([&b, &c], []).map(Reason::text), Some("a slow disk"));
        assert_eq!(withheld.reason([&c], []), None);
        assert_eq!(withheld.text().as_deref(), Some("a slow disk; no map"));
    }
}
