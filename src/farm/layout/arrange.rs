//! How a farm's configuration maps to the servers that HAProxy has.

use std::collections::{BTreeMap, BTreeSet};

use crate::farm::error::FarmError;
use crate::farm::names::{Entry, GroupName, InstanceName, MemberName};
use crate::farm::natural::natural;
use crate::farm::seen::in_use::{skipped_lines, spare};
use crate::farm::seen::out::OutBy;
use crate::farm::seen::snapshot::Seen;
use crate::farm::settings::farm::Farm;

/// A farm with the server lines that HAProxy has for it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Layout {
    /// The members and their server lines. The first line of a member matches the earliest pattern.
    pub members: BTreeMap<MemberName, Vec<Entry>>,
    /// The groups. Every member is in exactly one group; where the groups are halves, spare members are in none.
    pub groups: BTreeMap<GroupName, BTreeSet<MemberName>>,
    /// Members that are not in use, and why. They are neither counted nor worked on.
    pub spare: BTreeMap<MemberName, OutBy>,
    /// Backends that are off and have lines of the members, for people.
    pub skipped: Vec<String>,
    /// Whether one member leads, and the checks keep all lines of the others DOWN.
    pub leader: bool,
}

impl Layout {
    /// The same layout with the server lines of one HAProxy only.
    pub fn within(&self, instance: &InstanceName) -> Self {
        let of_instance =
            |entries: &Vec<Entry>| entries.iter().filter(|entry| entry.instance == *instance).cloned().collect();
        let members = self.members.iter().map(|(member, entries)| (member.clone(), of_instance(entries)));
        Self { members: members.collect(), ..self.clone() }
    }
}

impl Farm {
    /// Finds the farm's members and groups among the servers that HAProxy has.
    ///
    /// # Errors
    /// A pattern matches nothing, two groups overlap, or a member is in no group.
    pub fn layout(&self, seen: &BTreeMap<InstanceName, &Seen>) -> Result<Layout, FarmError> {
        let mut members: BTreeMap<MemberName, Vec<Entry>> = BTreeMap::new();
        for pattern in self.settings.members.iter() {
            let mut matched = false;
            for (instance, seen) in seen {
                for server in seen.servers.keys().filter(|server| pattern.matches(server)) {
                    matched = true;
                    if seen.is_disabled(&server.backend) {
                        continue;
                    }
                    let entry = Entry { instance: instance.clone(), server: server.clone() };
                    if let Some((first, second)) = self.settings.members.claimed_twice(server) {
                        return Err(self.error("members", format!("{server} is a line of both {first} and {second}")));
                    }
                    let member = self.settings.members.member_of(server).unwrap_or_else(|| server.server.clone());
                    let entries = members.entry(member).or_default();
                    if !entries.contains(&entry) {
                        entries.push(entry);
                    }
                }
            }
            if !matched {
                return Err(self.error("members", format!("HAProxy has no server that matches {:?}", pattern.as_str())));
            }
        }
        let why = |entries: &Vec<Entry>| spare(entries, seen);
        let spare = members.iter().filter_map(|(member, entries)| Some((member.clone(), why(entries)?)));
        let spare: BTreeMap<MemberName, OutBy> = spare.collect();
        let groups = self.groups(&members, &spare)?;
        let skipped = skipped_lines(seen, |server, _| self.has(server));
        Ok(Layout { members, groups, spare, skipped, leader: self.settings.leader })
    }

    fn groups(
        &self,
        members: &BTreeMap<MemberName, Vec<Entry>>,
        spare: &BTreeMap<MemberName, OutBy>,
    ) -> Result<BTreeMap<GroupName, BTreeSet<MemberName>>, FarmError> {
        if self.settings.halves.is_some() {
            // Behind a route each half has its own backend, and each member stays in its backend, used or spare.
            let split = |member: &&MemberName| !self.settings.flip.route.is_empty() || !spare.contains_key(*member);
            let mut split: Vec<&MemberName> = members.keys().filter(split).collect();
            let by_bytes = self.halves(&split)?;
            split.sort_by(|left, right| natural(left.as_str(), right.as_str()));
            let halves = self.halves(&split)?;
            // Behind a route haproxy.cfg decides which member is in which half, and may split the names in their order
            // byte by byte.
            let is_split_by_bytes = !self.fits_route(&halves, members) && self.fits_route(&by_bytes, members);
            return Ok(if is_split_by_bytes { by_bytes } else { halves });
        }
        let mut groups: BTreeMap<GroupName, BTreeSet<MemberName>> = BTreeMap::new();
        for (name, patterns) in &self.settings.groups {
            let mut group = BTreeSet::new();
            for pattern in patterns {
                let found: Vec<&MemberName> = members
                    .iter()
                    .filter(|(member, entries)| {
                        pattern.names(member) || entries.iter().any(|entry| pattern.matches(&entry.server))
                    })
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
            let names: Vec<&str> =
                groups.iter().filter(|(_, group)| group.contains(member)).map(|(name, _)| name.as_str()).collect();
            match names.len() {
                0 => return Err(self.error("groups", format!("{member} is in no group"))),
                1 => {}
                _ => {
                    return Err(
                        self.error("groups", format!("{member} is in more than one group: {}", names.join(", ")))
                    );
                }
            }
        }
        Ok(groups)
    }

    /// The first and the second half of these members.
    fn halves(&self, members: &[&MemberName]) -> Result<BTreeMap<GroupName, BTreeSet<MemberName>>, FarmError> {
        let (first, second) = members.split_at(members.len() / 2);
        let named = [("a", first), ("b", second)].map(|(name, half)| {
            let name = name.parse().map_err(|_| self.error("halves", "a half has no valid name".into()))?;
            Ok((name, half.iter().map(|member| (*member).clone()).collect()))
        });
        named.into_iter().collect()
    }

    /// Whether no member has a line in the backend of another group.
    fn fits_route(
        &self,
        groups: &BTreeMap<GroupName, BTreeSet<MemberName>>,
        members: &BTreeMap<MemberName, Vec<Entry>>,
    ) -> bool {
        let sides = || self.settings.flip.route.iter().flat_map(|key| &key.groups);
        groups.iter().all(|(group, names)| {
            let lines = || names.iter().filter_map(|name| members.get(name)).flatten();
            sides()
                .filter(|(side, _)| *side != group)
                .all(|(_, other)| lines().all(|line| line.server.backend != *other))
        })
    }
}

impl Layout {
    /// The number of members in use. Halves and batches are parts of this number.
    pub fn in_use(&self) -> usize {
        self.members.len() - self.spare.len()
    }

    /// The number of members without the slots that wait for a server. A minimum is a part of this number. A member in
    /// maintenance that was set outside teeter is counted, because it is missing.
    pub fn counted(&self) -> usize {
        self.members.len() - self.spare.values().filter(|why| !matches!(why, OutBy::Set(..))).count()
    }

    /// Puts members back into the halves in which an earlier run has worked on them. So a half on standby keeps its
    /// members, even if the halves of a new run would be others.
    pub fn keep_halves<'a>(&mut self, kept: impl Iterator<Item = (&'a GroupName, &'a MemberName)>) {
        for (group, member) in kept.filter(|(_, member)| self.members.contains_key(*member)).collect::<Vec<_>>() {
            if self.groups.contains_key(group) {
                for members in self.groups.values_mut() {
                    members.remove(member);
                }
                self.groups.entry(group.clone()).or_default().insert(member.clone());
            }
        }
    }

    /// Every server line of every member.
    pub fn entries(&self) -> BTreeSet<Entry> {
        self.members.values().flatten().cloned().collect()
    }

    /// Every server line of a group's members; `None` when there is no such group.
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
        let mut seen = Seen { pid: 1, ..Seen::default() };
        for server in servers {
            seen.servers.insert(server.parse().unwrap(), crate::farm::SeenServer::sample());
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
    fn halves_are_made_of_the_members_in_use() {
        let servers = ["app/s1", "app/s2", "app/s3", "app/s4", "app/s5", "app/s6"];
        let mut seen = seen(&servers);
        for slot in &servers[2..] {
            let mut server = seen.servers[&slot.parse().unwrap()].clone();
            server.admin = crate::haproxy::AdminBits(if *slot == "app/s3" { 4 } else { 5 });
            seen.servers.insert(slot.parse().unwrap(), server);
        }
        let lay = |toml: &str| farm(toml).layout(&BTreeMap::from([("edge".parse().unwrap(), &seen)])).unwrap();
        let layout = lay("members = [\"app/s*\"]\nhalves = \"auto\"");
        assert_eq!((layout.members.len(), layout.in_use()), (6, 3));
        let names =
            |group: &str| layout.groups[&group.parse().unwrap()].iter().map(|name| name.as_str()).collect::<Vec<_>>();
        assert_eq!((names("a"), names("b")), (vec!["s1"], vec!["s2", "s3"]));
        // Named groups include the spare members that their patterns match.
        let layout = lay("members = [\"app/s*\"]\ngroups = { a = [\"s[1-3]\"], b = [\"s[4-6]\"] }");
        assert_eq!((layout.groups[&"b".parse().unwrap()].len(), layout.spare.len()), (3, 3));
    }

    #[test]
    fn halves_are_in_natural_order_unless_an_earlier_run_has_made_them() {
        let servers: Vec<String> = (1..=12).map(|number| format!("app/web{number}")).collect();
        let seen = seen(&servers.iter().map(String::as_str).collect::<Vec<_>>());
        let farm = farm("members = [\"app/web*\"]\nhalves = \"auto\"");
        let mut layout = farm.layout(&BTreeMap::from([("edge".parse().unwrap(), &seen)])).unwrap();
        let half = |layout: &Layout, group: &str| {
            let mut names: Vec<&str> =
                layout.groups[&group.parse().unwrap()].iter().map(|name| name.as_str()).collect();
            names.sort_by(|left, right| natural(left, right));
            names.join(" ")
        };
        assert_eq!(half(&layout, "a"), "web1 web2 web3 web4 web5 web6");
        assert_eq!(half(&layout, "b"), "web7 web8 web9 web10 web11 web12");
        // Halves of an earlier run with names sorted byte by byte; web13 does not exist any more, web9 is new.
        let (a, b): (GroupName, GroupName) = ("a".parse().unwrap(), "b".parse().unwrap());
        let kept = [(&a, "web1 web10 web11 web12 web13 web2"), (&b, "web3 web4 web5 web6 web7 web8")];
        let kept = kept.into_iter().flat_map(|(group, names)| names.split(' ').map(move |name| (group, name)));
        let kept: Vec<(&GroupName, MemberName)> = kept.map(|(group, name)| (group, name.parse().unwrap())).collect();
        layout.keep_halves(kept.iter().map(|(group, member)| (*group, member)));
        assert_eq!(half(&layout, "a"), "web1 web2 web10 web11 web12");
        assert_eq!(half(&layout, "b"), "web3 web4 web5 web6 web7 web8 web9");
    }

    #[test]
    fn lines_in_a_backend_that_is_off_are_skipped() {
        let mut seen = seen(&["app/w1", "old/w1", "old/w2"]);
        seen.off.insert("old".parse().unwrap(), crate::farm::Off::Disabled);
        let all = BTreeMap::from([("edge".parse().unwrap(), &seen)]);
        let layout = farm("members = [\"*/w*\", \"old/w*\"]").layout(&all).unwrap();
        assert_eq!(layout.entries().iter().map(ToString::to_string).collect::<Vec<_>>(), ["edge:app/w1"]);
        assert_eq!(layout.skipped.len(), 1);
    }

    #[test]
    fn every_member_must_be_in_one_group() {
        for (groups, problem) in [
            ("a = [\"w1\"], b = [\"w2\"]", "w3 is in no group"),
            ("a = [\"w*\"], b = [\"w2\"]", "w2 is in more than one group: a, b"),
            ("a = [\"w*\"], b = [\"nope\"]", "group b: no member matches \"nope\""),
        ] {
            let error = layout(&format!("members = [\"app/w*\"]\ngroups = {{ {groups} }}")).unwrap_err();
            assert_eq!(error.problem, problem);
        }
    }
}
