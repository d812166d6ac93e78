//! What the configuration says about a farm, and how that falls on the servers that HAProxy has.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::hold::OnDeadline;
use super::names::{Entry, FarmName, GroupName, InstanceName, MemberName};
use super::seen::Seen;
use super::select::Selector;
use super::span::Span;

/// `[farm.NAME]`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FarmSettings {
    /// Patterns of `backend/server`: every line that one of them matches belongs to the member of its server name.
    pub members: Vec<Selector>,
    /// Which members are taken out together, by server name or glob.
    #[serde(default)]
    pub groups: BTreeMap<GroupName, Vec<Selector>>,
    /// `auto`: groups `a` and `b`, the first and second half by name.
    #[serde(default)]
    pub halves: Option<Halves>,
    /// How many members must be in service at any time.
    #[serde(default)]
    pub min_available: MinAvailable,
    /// How its servers are emptied.
    #[serde(default)]
    pub drain: DrainSettings,
    /// What they must show before they come back.
    #[serde(default)]
    pub verify: VerifySettings,
}

/// `halves = "auto"`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Halves {
    /// By name, the first half rounded down.
    Auto,
}

/// `[farm.NAME.drain]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DrainSettings {
    /// How long clients that stick to a server may go on using it.
    pub grace: Span,
    /// How long to wait until nothing is in flight.
    pub deadline: Span,
    /// What happens then.
    pub on_deadline: OnDeadline,
}

impl Default for DrainSettings {
    fn default() -> Self {
        Self { grace: Span::from_secs(30), deadline: Span::from_secs(300), on_deadline: OnDeadline::Fail }
    }
}

/// `[farm.NAME.verify]`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct VerifySettings {
    /// A request that each server must answer well.
    pub http: Option<HttpProbe>,
    /// How long a server has to show that it is well.
    pub deadline: Span,
}

impl Default for VerifySettings {
    fn default() -> Self {
        Self { http: None, deadline: Span::from_secs(60) }
    }
}

/// A request to a server's own address.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HttpProbe {
    /// What to ask for.
    pub path: String,
    /// The status that is well.
    #[serde(default = "ok")]
    pub expect: u16,
    /// Another port than the one HAProxy sends traffic to.
    #[serde(default)]
    pub port: Option<u16>,
    /// The Host header; the address where unset.
    #[serde(default)]
    pub host: Option<String>,
    /// How long one request may take.
    #[serde(default = "probe_timeout")]
    pub timeout: Span,
    /// Where the answer says which version is running.
    #[serde(default)]
    pub version: Option<VersionSource>,
}

/// Where an answer says which version is running.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VersionSource {
    /// The name of a header.
    pub header: String,
}

fn ok() -> u16 {
    200
}

fn probe_timeout() -> Span {
    Span::from_secs(5)
}

/// How many members must be in service: a share of the farm, rounded up, or a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "MinText")]
pub enum MinAvailable {
    /// Percent of the farm.
    Percent(u8),
    /// Members.
    Count(usize),
}

#[derive(Deserialize)]
#[serde(untagged)]
enum MinText {
    Count(usize),
    Text(String),
}

impl Default for MinAvailable {
    fn default() -> Self {
        Self::Count(1)
    }
}

impl MinAvailable {
    /// The number of members, of a farm of `members`.
    pub fn of(self, members: usize) -> usize {
        match self {
            Self::Percent(percent) => (members * usize::from(percent)).div_ceil(100),
            Self::Count(count) => count,
        }
    }
}

impl FromStr for MinAvailable {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let error = || format!("{text:?} is neither a number of members nor a share such as \"50%\"");
        match text.strip_suffix('%') {
            Some(percent) => percent.parse().ok().filter(|p| *p <= 100).map(Self::Percent).ok_or_else(error),
            None => text.parse().map(Self::Count).map_err(|_| error()),
        }
    }
}

impl TryFrom<MinText> for MinAvailable {
    type Error = String;

    fn try_from(text: MinText) -> Result<Self, String> {
        match text {
            MinText::Count(count) => Ok(Self::Count(count)),
            MinText::Text(text) => text.parse(),
        }
    }
}

impl fmt::Display for MinAvailable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Percent(percent) => write!(f, "{percent}%"),
            Self::Count(count) => write!(f, "{count}"),
        }
    }
}

/// A farm as configured.
#[derive(Debug, Clone, PartialEq)]
pub struct Farm {
    /// Its name.
    pub name: FarmName,
    /// What the configuration says about it.
    pub settings: FarmSettings,
}

/// A farm as it falls on the servers that HAProxy has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    /// Its members and their entries. The first entry of a member is the one of the earliest pattern.
    pub members: BTreeMap<MemberName, Vec<Entry>>,
    /// Its groups; every member is in exactly one.
    pub groups: BTreeMap<GroupName, BTreeSet<MemberName>>,
}

/// A farm whose configuration does not fit itself or HAProxy.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("farm {farm}: {problem}")]
pub struct FarmError {
    /// Which farm.
    pub farm: FarmName,
    /// Which key of it is to be changed.
    pub key: String,
    /// What is wrong.
    pub problem: String,
}

impl Farm {
    /// Checks what can be known without HAProxy.
    ///
    /// # Errors
    /// The first setting that cannot be meant.
    pub fn check(&self) -> Result<(), FarmError> {
        let settings = &self.settings;
        if settings.members.is_empty() {
            return Err(self.error("members", "has no members".into()));
        }
        if !settings.groups.is_empty() && settings.halves.is_some() {
            return Err(self.error("halves", "has both groups and halves: give one of them".into()));
        }
        if let Some(text) =
            settings.members.iter().map(Selector::as_str).find(|text| !text.contains('/') || text.starts_with("farm:"))
        {
            return Err(self.error("members", format!("{text:?} is not BACKEND/SERVER")));
        }
        if let Some(text) = settings.groups.values().flatten().map(Selector::as_str).find(|text| text.contains('/')) {
            return Err(self.error("groups", format!("{text:?} must be a server's name, without its backend")));
        }
        if let Some(http) = &settings.verify.http {
            if !http.path.starts_with('/') || !http.path.bytes().all(|byte| byte.is_ascii_graphic()) {
                return Err(self.error("verify", format!("http.path {:?} is not a path", http.path)));
            }
            let header = http.version.as_ref().map_or("x", |version| version.header.as_str());
            if header.is_empty() || !header.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte)) {
                return Err(self.error("verify", format!("http.version.header {header:?} is not the name of a header")));
            }
        }
        if settings.drain.grace > settings.drain.deadline {
            return Err(self.error("drain", "the grace is longer than the deadline".into()));
        }
        Ok(())
    }

    /// Finds the farm's members and groups among what HAProxy has.
    ///
    /// # Errors
    /// A pattern that matches nothing, a group that overlaps another, a member in no group.
    pub fn layout(&self, seen: &BTreeMap<InstanceName, &Seen>) -> Result<Layout, FarmError> {
        let mut members: BTreeMap<MemberName, Vec<Entry>> = BTreeMap::new();
        for pattern in &self.settings.members {
            let mut matched = false;
            for (instance, seen) in seen {
                for server in seen.servers.keys().filter(|server| pattern.matches(server)) {
                    matched = true;
                    let entry = Entry { instance: instance.clone(), server: server.clone() };
                    let entries = members.entry(server.server.clone()).or_default();
                    if !entries.contains(&entry) {
                        entries.push(entry);
                    }
                }
            }
            if !matched {
                return Err(self.error("members", format!("HAProxy has no server that matches {:?}", pattern.as_str())));
            }
        }
        let groups = self.groups(&members)?;
        Ok(Layout { members, groups })
    }

    fn groups(
        &self,
        members: &BTreeMap<MemberName, Vec<Entry>>,
    ) -> Result<BTreeMap<GroupName, BTreeSet<MemberName>>, FarmError> {
        let mut groups: BTreeMap<GroupName, BTreeSet<MemberName>> = BTreeMap::new();
        if self.settings.halves.is_some() {
            let half = members.len() / 2;
            for (name, names) in
                [("a", members.keys().take(half).collect::<Vec<_>>()), ("b", members.keys().skip(half).collect())]
            {
                let name = name.parse().map_err(|_| self.error("halves", "no name for a half".into()))?;
                groups.insert(name, names.into_iter().cloned().collect());
            }
            return Ok(groups);
        }
        for (name, patterns) in &self.settings.groups {
            let mut group = BTreeSet::new();
            for pattern in patterns {
                let found: Vec<&MemberName> = members
                    .iter()
                    .filter(|(_, entries)| entries.iter().any(|entry| pattern.matches(&entry.server)))
                    .map(|(member, _)| member)
                    .collect();
                if found.is_empty() {
                    return Err(self.error("groups", format!("group {name}: no member matches {:?}", pattern.as_str())));
                }
                group.extend(found.into_iter().cloned());
            }
            groups.insert(name.clone(), group);
        }
        for member in members.keys().filter(|_| !groups.is_empty()) {
            let of: Vec<&str> =
                groups.iter().filter(|(_, group)| group.contains(member)).map(|(name, _)| name.as_str()).collect();
            match of.len() {
                0 => return Err(self.error("groups", format!("{member} is in no group"))),
                1 => {}
                _ => return Err(self.error("groups", format!("{member} is in more than one group: {}", of.join(", ")))),
            }
        }
        Ok(groups)
    }

    fn error(&self, key: &str, problem: String) -> FarmError {
        FarmError { farm: self.name.clone(), key: key.to_owned(), problem }
    }
}

impl Layout {
    /// Every entry of every member.
    pub fn entries(&self) -> BTreeSet<Entry> {
        self.members.values().flatten().cloned().collect()
    }

    /// Every entry of a group's members, if there is such a group.
    pub fn group(&self, name: &GroupName) -> Option<BTreeSet<Entry>> {
        let group = self.groups.get(name)?;
        Some(group.iter().filter_map(|member| self.members.get(member)).flatten().cloned().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn farm(toml: &str) -> Farm {
        Farm { name: "web".parse().unwrap(), settings: toml::from_str(toml).unwrap() }
    }

    fn seen(servers: &[&str]) -> Seen {
        let mut seen = Seen { pid: 1, version: String::new(), servers: BTreeMap::new() };
        for server in servers {
            seen.servers.insert(
                server.parse().unwrap(),
                crate::farm::SeenServer {
                    admin: crate::haproxy::AdminBits(0),
                    op: crate::haproxy::OpState::Running,
                    weight: 1,
                    check: crate::haproxy::CheckBits(6),
                    agent: crate::haproxy::CheckBits(0),
                    address: "127.0.0.1".into(),
                    port: 80,
                    tracked: None,
                    status: "UP".into(),
                    last_check: String::new(),
                    load: crate::farm::Load::default(),
                },
            );
        }
        seen
    }

    fn layout(toml: &str) -> Result<Layout, FarmError> {
        let seen = seen(&["app/w1", "app/w2", "app/w3", "api/w1", "api/w2", "api/w3", "other/x"]);
        farm(toml).layout(&BTreeMap::from([("edge".parse().unwrap(), &seen)]))
    }

    #[test]
    fn members_gather_their_lines_from_every_backend() {
        let layout = layout("members = [\"app/w*\", \"api/w*\"]\nhalves = \"auto\"").unwrap();
        assert_eq!(layout.members.len(), 3);
        assert_eq!(layout.members[&"w1".parse().unwrap()][0].to_string(), "edge:app/w1");
        assert_eq!(layout.group(&"a".parse().unwrap()).unwrap().len(), 2);
        assert_eq!(layout.group(&"b".parse().unwrap()).unwrap().len(), 4);
    }

    #[test]
    fn groups_must_hold_every_member_once() {
        for (groups, problem) in [
            ("a = [\"w1\"], b = [\"w2\"]", "w3 is in no group"),
            ("a = [\"w*\"], b = [\"w2\"]", "w2 is in more than one group: a, b"),
            ("a = [\"w*\"], b = [\"nope\"]", "group b: no member matches \"nope\""),
        ] {
            let error = layout(&format!("members = [\"app/w*\"]\ngroups = {{ {groups} }}")).unwrap_err();
            assert_eq!(error.problem, problem);
        }
    }

    #[test]
    fn a_share_is_rounded_up() {
        assert_eq!("50%".parse::<MinAvailable>().unwrap().of(5), 3);
        assert_eq!("2".parse::<MinAvailable>().unwrap().of(5), 2);
        assert!("150%".parse::<MinAvailable>().is_err());
    }

    #[test]
    fn settings_that_cannot_be_meant_are_refused() {
        for (toml, key) in [
            ("members = []", "members"),
            ("members = [\"web01\"]", "members"),
            ("members = [\"a/b\"]\nhalves = \"auto\"\ngroups = { a = [\"b\"] }", "halves"),
            ("members = [\"a/b\"]\n[drain]\ngrace = \"10m\"", "drain"),
            ("members = [\"a/b\"]\n[verify]\nhttp = { path = \"status\" }", "verify"),
        ] {
            assert_eq!(farm(toml).check().unwrap_err().key, key, "{toml}");
        }
    }
}
