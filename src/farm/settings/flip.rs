//! The settings of a flip: how a farm's traffic is switched from one group to another.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::farm::settings::route_key::{RouteKey, SHARE, TRIAL};

/// `[farm.NAME.flip]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct FlipSettings {
    /// The mode. Where unset, it follows from `route`.
    pub mode: Option<FlipMode>,
    /// Which group is changed first, where servers are changed one after the other.
    pub order: FlipOrder,
    /// What happens to clients that have a session on the side that goes out.
    pub sticky: Option<Sticky>,
    /// The keys of a HAProxy map whose values name the backend that gets the traffic.
    #[serde(deserialize_with = "one_or_many")]
    pub route: Vec<RouteKey>,
    /// Whether teeter also writes the map's file, so that a reload does not switch the traffic back.
    pub write_map: bool,
}

impl Default for FlipSettings {
    fn default() -> Self {
        Self { mode: None, order: FlipOrder::default(), sticky: None, route: Vec::new(), write_map: true }
    }
}

/// How traffic is switched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FlipMode {
    /// By the states of servers, with one command after the other.
    Servers,
    /// By an entry of a map, for all clients at once.
    Route,
}

/// Which group is changed first, where servers are changed one after the other.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FlipOrder {
    /// The group that comes in: for a moment both groups serve.
    #[default]
    Overlap,
    /// The group that goes out: for a moment no server serves, and requests get a 503.
    Gap,
}

/// What happens to clients that have a session on the side that goes out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Sticky {
    /// These clients move at the flip like all other clients.
    Break,
    /// These clients may stay on their server until the grace ends.
    Honour,
    /// These clients keep the version that they started with until the grace ends.
    Pin,
}

impl FlipSettings {
    /// What happens to sticky clients. By default they may stay on their server, unless a route takes the traffic from
    /// their whole backend.
    pub fn sticky(&self) -> Sticky {
        self.sticky.unwrap_or(if self.route.is_empty() { Sticky::Honour } else { Sticky::Break })
    }

    /// Checks the settings as far as possible without HAProxy. `groups` has the groups of the configuration.
    ///
    /// # Errors
    /// The key under `flip` that the operator has to change, and the problem.
    pub(in crate::farm) fn check(&self, groups: &BTreeSet<&str>) -> Result<(), (&'static str, String)> {
        match self.mode {
            Some(FlipMode::Route) if self.route.is_empty() => {
                return Err((
                    "mode",
                    "flip.mode is route, and there is no route: add route = { map, key, all, … }".to_owned(),
                ));
            }
            Some(FlipMode::Servers) if !self.route.is_empty() => {
                return Err(("mode", "flip.mode is servers, and there is a route: remove one of both".to_owned()));
            }
            _ => {}
        }
        if self.sticky == Some(Sticky::Pin) && self.route.is_empty() {
            return Err((
                "sticky",
                "flip.sticky = pin needs a route: without a map, clients have no version".to_owned(),
            ));
        }
        if self.order == FlipOrder::Gap && !self.route.is_empty() {
            return Err(("order", "a route switches all traffic at once: remove flip.order".to_owned()));
        }
        let mut keys = BTreeSet::new();
        for route in &self.route {
            let problem = |problem: String| Err(("route", problem));
            if route.map.as_str().starts_with('#') {
                return problem(format!(
                    "map {} is a number, which a reload may give to another map: write the path as in haproxy.cfg",
                    route.map
                ));
            }
            if route.map.as_str().starts_with('@') || route.key.as_str().starts_with(['#', '@']) {
                return problem(format!("{} {} is not a map and a key", route.map, route.key));
            }
            if self.write_map && route.file().is_some_and(|file| !file.starts_with('/')) {
                return problem(format!(
                    "map {} is not an absolute path, so its file is not known: write an absolute path in haproxy.cfg \
                     and here, or set write_map = false",
                    route.map
                ));
            }
            if route.map != self.route[0].map {
                return problem(format!(
                    "the keys are in two maps, {} and {}, which HAProxy cannot change at once: put them into one file",
                    self.route[0].map, route.map
                ));
            }
            if let Some(group) = route.groups.keys().find(|group| [SHARE, TRIAL].contains(&group.as_str())) {
                return problem(format!("group {group} has the name of an entry that canary deploys use"));
            }
            if !keys.insert(&route.key) {
                return problem(format!("key {} appears twice", route.key));
            }
            if let Some(group) = groups.iter().find(|group| !route.groups.keys().any(|name| name.as_str() == **group)) {
                return problem(format!("group {group} has no backend: add {group} = \"BACKEND\""));
            }
            if let Some(group) = route.groups.keys().find(|group| !groups.contains(group.as_str())) {
                return problem(format!("{group} is not a group of the farm; its groups are {}", list(groups)));
            }
            let mut backends = BTreeSet::new();
            if let Some((_, twice)) = route.backends().find(|(_, backend)| !backends.insert(*backend)) {
                return problem(format!("backend {twice} belongs to two sides"));
            }
        }
        Ok(())
    }
}

/// The names in one line.
fn list(names: &BTreeSet<&str>) -> String {
    names.iter().copied().collect::<Vec<_>>().join(", ")
}

fn one_or_many<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Vec<RouteKey>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum OneOrMany {
        One(RouteKey),
        Many(Vec<RouteKey>),
    }
    OneOrMany::deserialize(deserializer)
        .map(|routes| match routes {
            OneOrMany::One(route) => vec![route],
            OneOrMany::Many(routes) => routes,
        })
        .map_err(|_| {
            serde::de::Error::custom(
                "a route is { map = \"/path\", key = \"…\", all = \"BACKEND\", GROUP = \
            \"BACKEND\", … }, or a list of such tables",
            )
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(toml: &str) -> (&'static str, String) {
        let settings: FlipSettings = toml::from_str(toml).unwrap();
        settings.check(&BTreeSet::from(["a", "b"])).unwrap_err()
    }

    #[test]
    fn one_route_or_several() {
        let single: FlipSettings =
            toml::from_str("route = { map = \"/m\", key = \"web\", all = \"w\", a = \"wa\", b = \"wb\" }").unwrap();
        assert_eq!(single.route[0].side("wb").unwrap().to_string(), "b");
        assert_eq!(single.sticky(), Sticky::Break);
        let several: FlipSettings = toml::from_str(
            "route = [{ map = \"/m\", key = \"web\", a = \"wa\", b = \"wb\" }, { map = \"/m\", key = \"ws\", a = \
             \"sa\", b = \"sb\" }]",
        )
        .unwrap();
        assert!(several.check(&BTreeSet::from(["a", "b"])).is_ok());
        assert_eq!(several.route.len(), 2);
    }

    #[test]
    fn contradictory_flip_settings_are_refused_with_their_key() {
        let route = |inner: &str| format!("route = {{ {inner} }}");
        for (toml, key, text) in [
            (route("map = \"#3\", key = \"web\", a = \"wa\", b = \"wb\""), "route", "is a number"),
            (route("map = \"maps/m\", key = \"web\", a = \"wa\", b = \"wb\""), "route", "not an absolute path"),
            (route("map = \"/m\", key = \"web\", a = \"wa\""), "route", "group b has no backend"),
            (route("map = \"/m\", key = \"web\", a = \"x\", b = \"y\", c = \"z\""), "route", "c is not a group"),
            (route("map = \"/m\", key = \"web\", a = \"x\", b = \"x\""), "route", "belongs to two sides"),
            ("mode = \"route\"".to_owned(), "mode", "there is no route"),
            ("sticky = \"pin\"".to_owned(), "sticky", "needs a route"),
        ] {
            let (at, problem) = problem(&toml);
            assert_eq!(at, key, "{toml}");
            assert!(problem.contains(text), "{toml}: {problem}");
        }
    }
}
