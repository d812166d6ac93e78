//! Selectors: how people name servers. `app/web01`, `web01`, with shell globs, `farm:web`, `farm:web/a`, `host:10.0.0.7`.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;

use globset::{Glob, GlobMatcher};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::hold::Hold;
use super::host::Host;
use super::in_use::left_aside;
use super::layout::{Farm, FarmError};
use super::names::{Entry, FarmName, GroupName, InstanceName, MemberName};
use super::seen::{Seen, SeenServer};
use crate::haproxy::{BackendName, ServerRef};

/// One selector, as typed.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Selector {
    text: String,
    meaning: Meaning,
}

#[derive(Debug, Clone)]
enum Meaning {
    Farm(FarmName, Option<GroupName>),
    Host(Host),
    Line(GlobMatcher, GlobMatcher),
    Member(GlobMatcher),
}

/// A selector that cannot be understood or that names nothing.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum SelectError {
    /// Not a selector.
    #[error("{text:?} names no server: {problem}")]
    Malformed {
        /// The beginning of what was typed.
        text: String,
        /// What is wrong with it.
        problem: String,
    },
    /// Well formed, but nothing has that name.
    #[error("nothing matches {text:?}{hint}")]
    NothingMatched {
        /// The selector.
        text: String,
        /// The nearest names, or where to look.
        hint: String,
    },
    /// The farm it names is not as configured.
    #[error(transparent)]
    Farm(#[from] FarmError),
}

impl FromStr for Selector {
    type Err = SelectError;

    fn from_str(text: &str) -> Result<Self, SelectError> {
        let malformed = |problem: String| SelectError::Malformed { text: text.chars().take(40).collect(), problem };
        if text.is_empty() || text.len() > LONGEST {
            return Err(malformed(format!("a selector has 1 to {LONGEST} characters")));
        }
        if let Some(farm) = text.strip_prefix("farm:") {
            let (farm, group) = farm.split_once('/').map_or((farm, None), |(farm, group)| (farm, Some(group)));
            let farm = farm.parse().map_err(|error| malformed(format!("{error}")))?;
            let group = group.map(str::parse).transpose().map_err(|error| malformed(format!("{error}")))?;
            return Ok(Self { text: text.to_owned(), meaning: Meaning::Farm(farm, group) });
        }
        if let Some(host) = text.strip_prefix("host:") {
            return host.parse::<Host>().map(Self::from).map_err(|error| malformed(format!("{error}")));
        }
        let allowed = |c: char| c.is_ascii_alphanumeric() || "_:.-*?[]!^{},".contains(c);
        let glob = |part: &str| {
            if part.is_empty() || !part.chars().all(allowed) {
                return Err(malformed(
                    "use BACKEND/SERVER or SERVER, with shell globs, farm:FARM, farm:FARM/GROUP or host:ADDRESS".into(),
                ));
            }
            Glob::new(part).map(|glob| glob.compile_matcher()).map_err(|error| malformed(error.kind().to_string()))
        };
        let meaning = match text.split_once('/') {
            Some((backend, server)) => Meaning::Line(glob(backend)?, glob(server)?),
            None => Meaning::Member(glob(text)?),
        };
        Ok(Self { text: text.to_owned(), meaning })
    }
}

impl Selector {
    /// What was typed; a host as its address is usually written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether it says by itself whose name it is about, and in which backends: a pattern, neither a farm nor a host.
    pub fn is_pattern(&self) -> bool {
        matches!(self.meaning, Meaning::Line(..) | Meaning::Member(_))
    }

    /// The farm, where it is one or a group of one.
    pub fn farm(&self) -> Option<&FarmName> {
        match &self.meaning {
            Meaning::Farm(farm, _) => Some(farm),
            _ => None,
        }
    }

    /// The host, where it is one.
    pub fn host(&self) -> Option<Host> {
        match self.meaning {
            Meaning::Host(host) => Some(host),
            _ => None,
        }
    }

    /// Whether it picks this line as HAProxy has it. Farms are resolved by [`Selector::resolve`].
    pub fn picks(&self, name: &ServerRef, server: &SeenServer) -> bool {
        self.host().map_or_else(|| self.matches(name), |host| host.has(server))
    }

    /// Whether it picks this server line by name. A farm and a host pick none so.
    pub fn matches(&self, server: &ServerRef) -> bool {
        match &self.meaning {
            Meaning::Line(backend, name) => {
                backend.is_match(server.backend.as_str()) && name.is_match(server.server.as_str())
            }
            Meaning::Member(name) => name.is_match(server.server.as_str()),
            Meaning::Farm(..) | Meaning::Host(_) => false,
        }
    }

    /// Whether it is the name of this member, or a glob that matches it.
    pub fn names(&self, member: &MemberName) -> bool {
        matches!(&self.meaning, Meaning::Member(name) if name.is_match(member.as_str()))
    }

    /// Those of `known` that servers which it names may stand in; `None` where they may stand in any.
    pub fn backends<'a>(
        &self,
        farms: &BTreeMap<FarmName, Farm>,
        known: impl Iterator<Item = &'a BackendName>,
    ) -> Option<BTreeSet<BackendName>> {
        let of = |selector: &'_ Self| match &selector.meaning {
            Meaning::Line(backend, _) => Some(backend.clone()),
            Meaning::Member(_) | Meaning::Farm(..) | Meaning::Host(_) => None,
        };
        let globs: Vec<GlobMatcher> = match &self.meaning {
            Meaning::Line(..) => of(self).into_iter().collect(),
            Meaning::Member(_) | Meaning::Host(_) => return None,
            Meaning::Farm(farm, _) => {
                farms.get(farm).into_iter().flat_map(|farm| farm.settings.members.iter()).filter_map(of).collect()
            }
        };
        Some(known.filter(|backend| globs.iter().any(|glob| glob.is_match(backend.as_str()))).cloned().collect())
    }

    /// Finds the lines that it names for a hold that has been there before them. A group of a farm is fixed: its servers
    /// are those that are held, and those that its own patterns name, however the halves fall by now.
    pub(super) fn named_later(
        &self,
        hold: &Hold,
        farms: &BTreeMap<FarmName, Farm>,
        seen: &BTreeMap<InstanceName, &Seen>,
    ) -> BTreeSet<Entry> {
        let Meaning::Farm(farm, group) = &self.meaning else { return self.resolve(farms, seen).unwrap_or_default() };
        let Some(farm) = farms.get(farm) else { return BTreeSet::new() };
        let held = hold.members();
        let by_group = |server: &ServerRef| {
            let patterns = group.as_ref().and_then(|group| farm.settings.groups.get(group));
            group.is_none() || patterns.is_some_and(|all| all.iter().any(|pattern| pattern.matches(server)))
        };
        let named = |server: &ServerRef| {
            let known = held.contains(&server.server);
            farm.has(server) && (known || (hold.owner.run().is_none() && by_group(server)))
        };
        let lines = seen.iter().flat_map(|(name, seen)| seen.servers.keys().map(move |server| (name, server)));
        let lines = lines.filter(|(_, server)| named(server));
        lines.map(|(name, server)| Entry { instance: name.clone(), server: server.clone() }).collect()
    }

    /// Finds every server line that it names.
    ///
    /// # Errors
    /// Nothing has that name, or the farm it names cannot be laid out.
    pub fn resolve(
        &self,
        farms: &BTreeMap<FarmName, Farm>,
        seen: &BTreeMap<InstanceName, &Seen>,
    ) -> Result<BTreeSet<Entry>, SelectError> {
        let nothing = |hint: String| SelectError::NothingMatched { text: self.text.clone(), hint };
        if let Meaning::Farm(farm, group) = &self.meaning {
            let known = || farms.keys().map(FarmName::as_str).collect::<Vec<_>>().join(", ");
            let farm = farms.get(farm).ok_or_else(|| match farms.len() {
                0 => nothing(": no farm is configured".into()),
                _ => nothing(format!(": the farms are {}", known())),
            })?;
            let layout = farm.layout(seen)?;
            let Some(group) = group else { return Ok(layout.entries()) };
            return layout.group(group).ok_or_else(|| {
                let groups = layout.groups.keys().map(GroupName::as_str).collect::<Vec<_>>();
                nothing(format!(": the groups of {} are {}", farm.name, groups.join(", ")))
            });
        }
        let lines = |seen: &Seen| {
            let picked = seen.servers.iter().filter(|(name, server)| self.picks(name, server));
            let picked = picked.filter(|(name, _)| !seen.is_disabled(&name.backend));
            picked.map(|(name, _)| name.clone()).collect::<Vec<_>>()
        };
        let found: BTreeSet<Entry> = seen
            .iter()
            .flat_map(|(instance, seen)| {
                lines(seen).into_iter().map(|server| Entry { instance: instance.clone(), server })
            })
            .collect();
        let found = if found.is_empty() || matches!(self.meaning, Meaning::Member(_)) {
            let named = |server: &ServerRef| {
                farms.values().any(|farm| farm.settings.members.of(server).is_some_and(|member| self.names(&member)))
            };
            let of = |(name, seen): (&InstanceName, &&Seen)| {
                let lines = seen.servers.keys().filter(|server| !seen.is_disabled(&server.backend) && named(server));
                lines.map(|server| Entry { instance: name.clone(), server: server.clone() }).collect::<Vec<_>>()
            };
            seen.iter().flat_map(of).chain(found).collect()
        } else {
            found
        };
        let aside = || left_aside(seen, |name, server| self.picks(name, server)).join("; ");
        match (found.is_empty(), &self.meaning) {
            (false, _) => Ok(found),
            (true, _) if !aside().is_empty() => Err(nothing(format!(" that takes orders: {}", aside()))),
            (true, Meaning::Host(_)) => Err(nothing("; no server of HAProxy has that address".into())),
            (true, _) => Err(nothing("; `teeter status` lists every server".into())),
        }
    }
}

impl From<Host> for Selector {
    fn from(host: Host) -> Self {
        Self { text: format!("host:{host}"), meaning: Meaning::Host(host) }
    }
}

impl TryFrom<String> for Selector {
    type Error = SelectError;

    fn try_from(text: String) -> Result<Self, SelectError> {
        text.parse()
    }
}

impl From<Selector> for String {
    fn from(selector: Selector) -> String {
        selector.text
    }
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.text)
    }
}

impl PartialEq for Selector {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

/// Two names of HAProxy's longest configuration line would not be longer.
const LONGEST: usize = 2048;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn globs_match_in_either_part() {
        let server: ServerRef = "app/web01".parse().unwrap();
        for text in ["app/web01", "web01", "*/web0[1-4]", "app/*", "web0?", "a*/w*", "{app,api}/web01"] {
            assert!(text.parse::<Selector>().unwrap().matches(&server), "{text}");
        }
        for text in ["api/web01", "web02", "web", "app/web0", "farm:web"] {
            assert!(!text.parse::<Selector>().unwrap().matches(&server), "{text}");
        }
    }

    #[test]
    fn what_could_be_a_command_is_malformed() {
        let long = "w".repeat(10_000);
        for text in [
            "",
            "web01;shutdown sessions",
            "a b",
            "a\nb",
            "/",
            "a/",
            "a/b/c",
            "farm:",
            "farm:a b",
            "[",
            &long,
            "host:",
            "host:web01",
        ] {
            assert!(matches!(text.parse::<Selector>(), Err(SelectError::Malformed { .. })), "{text:?}");
        }
    }
}
