//! An index of all server lines that selectors may name. A request may have a thousand names, so the index finds a name
//! without a pass over all lines.

use std::cell::OnceCell;
use std::collections::{BTreeMap, BTreeSet};

use crate::farm::names::{Entry, FarmName, InstanceName, MemberName};
use crate::farm::seen::server::SeenServer;
use crate::farm::seen::snapshot::Seen;
use crate::farm::settings::farm::Farm;
use crate::haproxy::ServerRef;

/// The server lines and members that selectors are resolved against.
pub struct Lines<'a> {
    pub(in crate::farm) farms: &'a BTreeMap<FarmName, Farm>,
    pub(in crate::farm) seen: &'a BTreeMap<InstanceName, &'a Seen>,
    by_server: OnceCell<BTreeMap<&'a str, Vec<Line<'a>>>>,
    by_member: OnceCell<BTreeMap<MemberName, Vec<Line<'a>>>>,
}

/// One server line of one HAProxy.
#[derive(Debug, Clone, Copy)]
pub(in crate::farm) struct Line<'a> {
    pub(in crate::farm) instance: &'a InstanceName,
    pub(in crate::farm) name: &'a ServerRef,
    pub(in crate::farm) server: &'a SeenServer,
}

impl Line<'_> {
    pub(in crate::farm) fn entry(self) -> Entry {
        Entry { instance: self.instance.clone(), server: self.name.clone() }
    }
}

impl<'a> Lines<'a> {
    /// The server lines of these HAProxys, and the members that these farms make of them.
    pub fn new(farms: &'a BTreeMap<FarmName, Farm>, seen: &'a BTreeMap<InstanceName, &'a Seen>) -> Self {
        Self { farms, seen, by_server: OnceCell::new(), by_member: OnceCell::new() }
    }

    /// Every server line, except those of disabled backends.
    pub(in crate::farm) fn all(&self) -> impl Iterator<Item = Line<'a>> + use<'a> {
        self.seen.iter().flat_map(|(instance, seen)| {
            let lines = seen.servers.iter().filter(|(name, _)| !seen.is_disabled(&name.backend));
            lines.map(move |(name, server)| Line { instance, name, server })
        })
    }

    /// The server lines of this full name.
    pub(in crate::farm) fn of_name(&self, name: &ServerRef) -> Vec<Line<'a>> {
        let instances = self.seen.iter().filter(|(_, seen)| !seen.is_disabled(&name.backend));
        let lines = instances.filter_map(|(instance, seen)| {
            let (name, server) = seen.servers.line(name)?;
            Some(Line { instance, name, server })
        });
        lines.collect()
    }

    /// The server lines by the name of their server.
    pub(in crate::farm) fn by_server(&self) -> &BTreeMap<&'a str, Vec<Line<'a>>> {
        self.by_server.get_or_init(|| {
            let mut found: BTreeMap<&str, Vec<Line<'a>>> = BTreeMap::new();
            for line in self.all() {
                found.entry(line.name.server.as_str()).or_default().push(line);
            }
            found
        })
    }

    /// The server lines by the name of their member, where this name differs from the name of the server.
    pub(in crate::farm) fn by_member(&self) -> &BTreeMap<MemberName, Vec<Line<'a>>> {
        self.by_member.get_or_init(|| {
            let mut found: BTreeMap<MemberName, Vec<Line<'a>>> = BTreeMap::new();
            for line in self.all() {
                let members: BTreeSet<MemberName> =
                    self.farms.values().filter_map(|farm| farm.settings.members.member_of(line.name)).collect();
                for member in members.into_iter().filter(|member| *member != line.name.server) {
                    found.entry(member).or_default().push(line);
                }
            }
            found
        })
    }
}
