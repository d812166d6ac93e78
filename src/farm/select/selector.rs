//! Selectors, by which operators name servers: `app/web01`, `web01`, shell globs, `farm:web`, `farm:web/a`,
//! `host:10.0.0.7`; and in one HAProxy only, as in the tables of `teeter status`: `lb1:app/web01`, `lb1:web01`,
//! `lb[12]:app/*`.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::farm::names::{Entry, FarmName, GroupName, MemberName};
use crate::farm::seen::server::SeenServer;
use crate::farm::select::error::SelectError;
use crate::farm::select::host::Host;
use crate::farm::select::pattern::Pattern;
use crate::haproxy::ServerRef;

/// One selector as it was typed.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Selector {
    pub(in crate::farm) text: String,
    pub(in crate::farm) meaning: Meaning,
    pub(in crate::farm) within: Option<Within>,
}

#[derive(Debug, Clone)]
pub(in crate::farm) enum Meaning {
    Farm(FarmName, Option<GroupName>),
    Host(Host),
    Line(Pattern, Pattern),
    Member(Pattern),
}

/// The text read as `HAPROXY:REST`. HAProxy permits colons in the names of servers, so this reading counts only when no
/// server has the whole text as its name.
#[derive(Debug, Clone)]
pub(in crate::farm) struct Within {
    pub(in crate::farm) haproxy: Pattern,
    pub(in crate::farm) meaning: Meaning,
}

impl FromStr for Selector {
    type Err = SelectError;

    fn from_str(text: &str) -> Result<Self, SelectError> {
        let malformed = |problem: String| SelectError::Malformed { text: text.chars().take(40).collect(), problem };
        if text.is_empty() || text.len() > LONGEST {
            return Err(malformed(format!("a selector has 1 to {LONGEST} characters")));
        }
        let selector = |meaning| Self { text: text.to_owned(), meaning, within: None };
        if let Some(farm) = text.strip_prefix("farm:") {
            let (farm, group) = farm.split_once('/').map_or((farm, None), |(farm, group)| (farm, Some(group)));
            let farm = farm.parse().map_err(|error| malformed(format!("{error}")))?;
            let group = group.map(str::parse).transpose().map_err(|error| malformed(format!("{error}")))?;
            return Ok(selector(Meaning::Farm(farm, group)));
        }
        if let Some(host) = text.strip_prefix("host:") {
            return host.parse::<Host>().map(Self::from).map_err(|error| malformed(format!("{error}")));
        }
        let within = text.split_once(':').and_then(|(haproxy, rest)| {
            Some(Within { haproxy: Pattern::new(haproxy).ok()?, meaning: Meaning::lines(rest).ok()? })
        });
        match (Meaning::lines(text), within) {
            (Ok(meaning), within) => Ok(Self { within, ..selector(meaning) }),
            (Err(problem), _) => Err(malformed(problem)),
        }
    }
}

impl Meaning {
    /// Reads a selector of server lines by name.
    fn lines(text: &str) -> Result<Self, String> {
        Ok(match text.split_once('/') {
            Some((backend, server)) => Self::Line(Pattern::new(backend)?, Pattern::new(server)?),
            None => Self::Member(Pattern::new(text)?),
        })
    }

    /// Whether this meaning includes a line of this name. A farm or a host includes no line by its name.
    pub(in crate::farm) fn matches(&self, server: &ServerRef) -> bool {
        match self {
            Self::Line(backend, name) => {
                backend.is_match(server.backend.as_str()) && name.is_match(server.server.as_str())
            }
            Self::Member(name) => name.is_match(server.server.as_str()),
            Self::Farm(..) | Self::Host(_) => false,
        }
    }

    pub(in crate::farm) fn picks(&self, name: &ServerRef, server: &SeenServer) -> bool {
        match self {
            Self::Host(host) => host.has(server),
            other => other.matches(name),
        }
    }
}

impl Selector {
    /// The text that was typed. For a host: the address in its usual spelling.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether the selector is a name or glob of server lines or members, and not a farm or a host.
    pub fn is_pattern(&self) -> bool {
        matches!(self.meaning, Meaning::Line(..) | Meaning::Member(_))
    }

    /// Whether the selector names exactly one line, `BACKEND/SERVER`, without a glob.
    pub fn is_one_line(&self) -> bool {
        self.is_pattern() && self.text.contains('/') && !self.text.contains(['*', '?', '[', '{'])
    }

    /// Whether this text is more than a plain name: a glob or host is compared with every server, and a farm has many
    /// servers.
    pub fn is_wide(text: &str) -> bool {
        text.contains(['*', '?', '[', '{']) || text.starts_with("farm:") || text.starts_with("host:")
    }

    /// The farm, if the selector is a farm or one of its groups; otherwise `None`.
    pub fn farm(&self) -> Option<&FarmName> {
        match &self.meaning {
            Meaning::Farm(farm, _) => Some(farm),
            _ => None,
        }
    }

    /// The host, if the selector is a host; otherwise `None`.
    pub fn host(&self) -> Option<Host> {
        match self.meaning {
            Meaning::Host(host) => Some(host),
            _ => None,
        }
    }

    /// Whether one of the selector's readings may mean this line. [`Selector::resolve`] handles farms, which match
    /// nothing here.
    pub fn picks(&self, name: &ServerRef, server: &SeenServer) -> bool {
        self.readings().any(|meaning| meaning.picks(name, server))
    }

    /// Whether one of the selector's readings may mean this line by its name. Farms and hosts match nothing here.
    pub fn may_name(&self, entry: &Entry) -> bool {
        let in_haproxy =
            |within: &Within| within.haproxy.is_match(entry.instance.as_str()) && within.meaning.matches(&entry.server);
        self.meaning.matches(&entry.server) || self.within.as_ref().is_some_and(in_haproxy)
    }

    /// Whether the selector means this server line by name, in any HAProxy. Farms and hosts match nothing here.
    pub fn matches(&self, server: &ServerRef) -> bool {
        self.meaning.matches(server)
    }

    pub(in crate::farm) fn readings(&self) -> impl Iterator<Item = &Meaning> {
        std::iter::once(&self.meaning).chain(self.within.as_ref().map(|within| &within.meaning))
    }

    /// Whether the selector is the name of this member, or a glob that matches the name.
    pub fn names(&self, member: &MemberName) -> bool {
        matches!(&self.meaning, Meaning::Member(name) if name.is_match(member.as_str()))
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

/// The greatest length of a selector, in bytes: a configuration line of HAProxy has no room for longer names.
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
    fn a_text_that_could_carry_a_command_is_malformed() {
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
