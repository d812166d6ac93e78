//! Selectors: how people name servers. `app/web01`, `web01`, with shell globs, `farm:web`, `farm:web/a`, `host:10.0.0.7`;
//! and in one HAProxy only, as tables show it: `lb1:app/web01`, `lb1:web01`, `lb[12]:app/*`.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::farm::layout::lines::{Line, Lines};
use crate::farm::layout::{Farm, FarmError};
use crate::farm::model::hold::Hold;
use crate::farm::names::{Entry, FarmName, GroupName, InstanceName, MemberName};
use crate::farm::seen::in_use::left_aside;
use crate::farm::seen::{Seen, SeenServer};
use crate::farm::select::host::Host;
use crate::farm::select::pattern::Pattern;
use crate::haproxy::{BackendName, ServerRef};

/// One selector, as typed.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Selector {
    text: String,
    meaning: Meaning,
    within: Option<Within>,
}

#[derive(Debug, Clone)]
enum Meaning {
    Farm(FarmName, Option<GroupName>),
    Host(Host),
    Line(Pattern, Pattern),
    Member(Pattern),
}

/// The same text read as `HAPROXY:REST`. HAProxy lets names of servers have colons in them, too: this reading counts where
/// no server has the whole name.
#[derive(Debug, Clone)]
struct Within {
    haproxy: Pattern,
    meaning: Meaning,
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
        let whole = |meaning| Self { text: text.to_owned(), meaning, within: None };
        if let Some(farm) = text.strip_prefix("farm:") {
            let (farm, group) = farm.split_once('/').map_or((farm, None), |(farm, group)| (farm, Some(group)));
            let farm = farm.parse().map_err(|error| malformed(format!("{error}")))?;
            let group = group.map(str::parse).transpose().map_err(|error| malformed(format!("{error}")))?;
            return Ok(whole(Meaning::Farm(farm, group)));
        }
        if let Some(host) = text.strip_prefix("host:") {
            return host.parse::<Host>().map(Self::from).map_err(|error| malformed(format!("{error}")));
        }
        let within = text.split_once(':').and_then(|(haproxy, rest)| {
            Some(Within { haproxy: Pattern::new(haproxy).ok()?, meaning: Meaning::lines(rest).ok()? })
        });
        match (Meaning::lines(text), within) {
            (Ok(meaning), within) => Ok(Self { within, ..whole(meaning) }),
            (Err(problem), _) => Err(malformed(problem)),
        }
    }
}

impl Meaning {
    /// Lines by their names.
    fn lines(text: &str) -> Result<Self, String> {
        Ok(match text.split_once('/') {
            Some((backend, server)) => Self::Line(Pattern::new(backend)?, Pattern::new(server)?),
            None => Self::Member(Pattern::new(text)?),
        })
    }

    /// Whether it is about a line of this name. A farm and a host are about none by its name.
    fn matches(&self, server: &ServerRef) -> bool {
        match self {
            Self::Line(backend, name) => {
                backend.is_match(server.backend.as_str()) && name.is_match(server.server.as_str())
            }
            Self::Member(name) => name.is_match(server.server.as_str()),
            Self::Farm(..) | Self::Host(_) => false,
        }
    }

    /// The lines that this means: by their own names, and by those of members that farms have made of them. Only globs and
    /// hosts are compared with all there are.
    fn among<'a>(&self, lines: &Lines<'a>) -> Vec<Line<'a>> {
        match self {
            Self::Line(Pattern::Name(backend), Pattern::Name(server)) => {
                format!("{backend}/{server}").parse().map(|name| lines.of_name(&name)).unwrap_or_default()
            }
            Self::Member(Pattern::Name(name)) => {
                let member: Option<MemberName> = name.parse().ok();
                let members = member.and_then(|member| lines.by_member().get(&member));
                let all = lines.by_server().get(name.as_str()).into_iter().chain(members);
                all.flatten().copied().collect()
            }
            Self::Member(glob) => {
                let servers = lines.by_server().iter().filter(|(name, _)| glob.is_match(name));
                let members = lines.by_member().iter().filter(|(name, _)| glob.is_match(name.as_str()));
                servers.map(|(_, all)| all).chain(members.map(|(_, all)| all)).flatten().copied().collect()
            }
            _ => lines.all().filter(|line| self.picks(line.name, line.server)).collect(),
        }
    }

    fn picks(&self, name: &ServerRef, server: &SeenServer) -> bool {
        match self {
            Self::Host(host) => host.has(server),
            other => other.matches(name),
        }
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

    /// Whether it is the name of one line, `BACKEND/SERVER`, and no pattern that may match others.
    pub fn is_one_line(&self) -> bool {
        self.is_pattern() && self.text.contains('/') && !self.text.contains(['*', '?', '[', '{'])
    }

    /// Whether this text is more than a name: it has to be compared with every server, or stands for a farm.
    pub fn is_wide(text: &str) -> bool {
        text.contains(['*', '?', '[', '{']) || text.starts_with("farm:") || text.starts_with("host:")
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

    /// Whether it may mean this line of some HAProxy, in any reading. Farms are resolved by [`Selector::resolve`].
    pub fn picks(&self, name: &ServerRef, server: &SeenServer) -> bool {
        self.readings().any(|meaning| meaning.picks(name, server))
    }

    /// Whether it may mean this line by its name, in any reading. A farm and a host mean none so.
    pub fn may_name(&self, entry: &Entry) -> bool {
        let here =
            |within: &Within| within.haproxy.is_match(entry.instance.as_str()) && within.meaning.matches(&entry.server);
        self.meaning.matches(&entry.server) || self.within.as_ref().is_some_and(here)
    }

    /// Whether it means this server line by name, in whatever HAProxy. A farm and a host mean none so.
    pub fn matches(&self, server: &ServerRef) -> bool {
        self.meaning.matches(server)
    }

    /// The HAProxys among `all` that it is about: those before its colon, where that is no part of a server's name.
    pub fn within(&self, all: &BTreeSet<InstanceName>, seen: &BTreeMap<InstanceName, &Seen>) -> BTreeSet<InstanceName> {
        let Some(within) = &self.within else { return all.clone() };
        let named: BTreeSet<_> = all.iter().filter(|name| within.haproxy.is_match(name.as_str())).cloned().collect();
        let is_name = || seen.values().flat_map(|seen| seen.servers.keys()).any(|name| self.meaning.matches(name));
        if named.is_empty() || is_name() { all.clone() } else { named }
    }

    fn readings(&self) -> impl Iterator<Item = &Meaning> {
        std::iter::once(&self.meaning).chain(self.within.as_ref().map(|within| &within.meaning))
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
        let of = |meaning: &'_ Meaning| match meaning {
            Meaning::Line(backend, _) => Some(backend.clone()),
            Meaning::Member(_) | Meaning::Farm(..) | Meaning::Host(_) => None,
        };
        let globs: Vec<Pattern> = match &self.meaning {
            Meaning::Line(..) => self.readings().filter_map(of).collect(),
            Meaning::Member(_) | Meaning::Host(_) => return None,
            Meaning::Farm(farm, _) => {
                let members = farms.get(farm).into_iter().flat_map(|farm| farm.settings.members.iter());
                members.filter_map(|member| of(&member.meaning)).collect()
            }
        };
        Some(known.filter(|backend| globs.iter().any(|glob| glob.is_match(backend.as_str()))).cloned().collect())
    }

    /// Finds the lines that it names for a hold that has been there before them. A group of a farm is fixed: its servers
    /// are those that are held, and those that its own patterns name, however the halves fall by now.
    pub(in crate::farm) fn named_later(
        &self,
        hold: &Hold,
        farms: &BTreeMap<FarmName, Farm>,
        seen: &BTreeMap<InstanceName, &Seen>,
    ) -> BTreeSet<Entry> {
        let Meaning::Farm(farm, group) = &self.meaning else { return self.resolve(farms, seen).unwrap_or_default() };
        let Some(farm) = farms.get(farm) else { return BTreeSet::new() };
        let member = |server: &ServerRef| farm.settings.members.of(server);
        let held: BTreeSet<MemberName> = hold.entries.iter().filter_map(|entry| member(&entry.server)).collect();
        let by_group = |member: &MemberName| {
            let patterns = group.as_ref().and_then(|group| farm.settings.groups.get(group));
            group.is_none() || patterns.is_some_and(|all| all.iter().any(|pattern| pattern.names(member)))
        };
        let named = |server: &ServerRef| {
            member(server)
                .is_some_and(|member| held.contains(&member) || (hold.owner.run().is_none() && by_group(&member)))
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
        self.find(&Lines::new(farms, seen))
    }

    /// The same for one of many selectors.
    ///
    /// # Errors
    /// As [`Selector::resolve`].
    pub fn find(&self, lines: &Lines<'_>) -> Result<BTreeSet<Entry>, SelectError> {
        let (farms, seen) = (lines.farms, lines.seen);
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
        let found: BTreeSet<Entry> = self.meaning.among(lines).into_iter().map(Line::entry).collect();
        if !found.is_empty() {
            return Ok(found);
        }
        if let Some(Within { haproxy, meaning }) = &self.within {
            let here: BTreeSet<_> = seen.keys().filter(|name| haproxy.is_match(name.as_str())).collect();
            let found = meaning.among(lines).into_iter().filter(|line| here.contains(line.instance));
            let found: BTreeSet<Entry> = found.map(Line::entry).collect();
            if !found.is_empty() {
                return Ok(found);
            }
        }
        let aside = left_aside(seen, |name, server| self.picks(name, server)).join("; ");
        Err(nothing(if aside.is_empty() { self.hint(farms, seen) } else { format!(" that takes orders: {aside}") }))
    }

    /// What to type instead, where nothing has that name.
    fn hint(&self, farms: &BTreeMap<FarmName, Farm>, seen: &BTreeMap<InstanceName, &Seen>) -> String {
        let is_backend = |name: &str| {
            let mut lines = seen.values().flat_map(|seen| seen.servers.keys());
            lines.any(|line| line.backend.as_str() == name)
        };
        let text = self.text.as_str();
        let within = || Some((text.split_once(':')?.1, self.within.as_ref()?));
        match &self.meaning {
            Meaning::Host(_) => "; no server of HAProxy has that address".to_owned(),
            Meaning::Member(_) if is_backend(text) => {
                format!(": it is a backend, and its servers are {text}/*")
            }
            Meaning::Member(_) if farms.keys().any(|farm| farm.as_str() == text) => {
                format!(": it is a farm, and its servers are farm:{text}")
            }
            Meaning::Member(_) if seen.keys().any(|name| name.as_str() == text) => {
                format!(": it is a HAProxy, and its servers are {text}:*")
            }
            _ => match within() {
                Some((rest, within)) if !seen.keys().any(|name| within.haproxy.is_match(name.as_str())) => {
                    let known = seen.keys().map(InstanceName::as_str).collect::<Vec<_>>().join(", ");
                    format!(
                        ": the HAProxys are {known}, and {rest} without the name of one is looked for in all of them"
                    )
                }
                Some((rest, _)) if is_backend(rest) => format!(": {rest} is a backend, and its servers are {text}/*"),
                _ => "; `teeter status` lists every server".to_owned(),
            },
        }
    }
}

impl From<Host> for Selector {
    fn from(host: Host) -> Self {
        Self { text: format!("host:{host}"), meaning: Meaning::Host(host), within: None }
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

    /// What `HAPROXY:BACKEND/SERVER` lines a selector means among those that are there.
    fn meant(text: &str, lines: &[&str]) -> Result<Vec<String>, String> {
        let mut seen: BTreeMap<InstanceName, Seen> = BTreeMap::new();
        for line in lines {
            let Entry { instance, server } = line.to_string().try_into().unwrap();
            seen.entry(instance).or_default().servers.insert(server, SeenServer::sample());
        }
        let seen = seen.iter().map(|(name, seen)| (name.clone(), seen)).collect();
        let found = text.parse::<Selector>().unwrap().resolve(&BTreeMap::new(), &seen);
        let found = found.map_err(|error| error.to_string())?;
        Ok(found.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn a_line_is_named_as_tables_show_it() {
        let lines = ["lb1:app/w1", "lb1:api/w1", "lb2:app/w1", "lb3:app/w2"];
        for (text, found) in [
            ("lb1:app/w1", &["lb1:app/w1"][..]),
            ("lb1:w1", &["lb1:api/w1", "lb1:app/w1"]),
            ("*:app/w1", &["lb1:app/w1", "lb2:app/w1"]),
            ("lb[23]:app/*", &["lb2:app/w1", "lb3:app/w2"]),
            ("{lb1,lb3}:w*", &["lb1:api/w1", "lb1:app/w1", "lb3:app/w2"]),
            ("app/w1", &["lb1:app/w1", "lb2:app/w1"]),
        ] {
            assert_eq!(meant(text, &lines).unwrap(), found, "{text}");
        }
        // A server that has the whole name comes first.
        let lines = ["lb1:app/lb2:w1", "lb2:app/w1", "lb2:lb1:app/w1"];
        assert_eq!(meant("lb2:w1", &lines).unwrap(), ["lb1:app/lb2:w1"]);
        assert_eq!(meant("lb1:app/w1", &lines).unwrap(), ["lb2:lb1:app/w1"]);
        assert_eq!(meant("lb1:app/lb2:w1", &lines).unwrap(), ["lb1:app/lb2:w1"]);
    }

    #[test]
    fn what_names_no_server_says_what_would() {
        let lines = ["lb1:app/w1", "lb2:app/w1"];
        for (text, says) in [
            ("app", "it is a backend, and its servers are app/*"),
            ("lb2:app", "app is a backend, and its servers are lb2:app/*"),
            ("lb1", "it is a HAProxy, and its servers are lb1:*"),
            ("lb9:app/w1", "the HAProxys are lb1, lb2"),
            ("lb1:app/w9", "`teeter status` lists every server"),
            ("nobody", "`teeter status` lists every server"),
        ] {
            let error = meant(text, &lines).unwrap_err();
            assert!(error.starts_with(&format!("nothing matches {text:?}")) && error.contains(says), "{error}");
        }
    }
}
