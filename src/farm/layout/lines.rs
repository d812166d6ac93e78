//! All lines that selectors may name, found by name without a look at each of them: a request may have a thousand names.

use std::cell::OnceCell;
use std::collections::{BTreeMap, BTreeSet};

use crate::farm::names::{Entry, FarmName, InstanceName, MemberName};
use crate::farm::seen::server::SeenServer;
use crate::farm::seen::snapshot::Seen;
use crate::farm::settings::farm::Farm;
use crate::haproxy::ServerRef;

/// What selectors are resolved against.
pub struct Lines<'a> {
    pub(in crate::farm) farms: &'a BTreeMap<FarmName, Farm>,
    pub(in crate::farm) seen: &'a BTreeMap<InstanceName, &'a Seen>,
    by_server: OnceCell<BTreeMap<&'a str, Vec<Line<'a>>>>,
    by_member: OnceCell<BTreeMap<MemberName, Vec<Line<'a>>>>,
}

/// One line of one HAProxy.
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
    /// The lines that these HAProxys have, and the members that these farms make of them.
    pub fn new(farms: &'a BTreeMap<FarmName, Farm>, seen: &'a BTreeMap<InstanceName, &'a Seen>) -> Self {
        Self { farms, seen, by_server: OnceCell::new(), by_member: OnceCell::new() }
    }

    /// Every line, but for those of backends that are disabled.
    pub(in crate::farm) fn all(&self) -> impl Iterator<Item = Line<'a>> + use<'a> {
        self.seen.iter().flat_map(|(instance, seen)| {
            let lines = seen.servers.iter().filter(|(name, _)| !seen.is_disabled(&name.backend));
            lines.map(move |(name, server)| Line { instance, name, server })
        })
    }

    /// Those of this full name.
    pub(in crate::farm) fn of_name(&self, name: &ServerRef) -> Vec<Line<'a>> {
        let here = self.seen.iter().filter(|(_, seen)| !seen.is_disabled(&name.backend));
        let line = here.filter_map(|(instance, seen)| {
            let (name, server) = seen.servers.line(name)?;
            Some(Line { instance, name, server })
        });
        line.collect()
    }

    /// By the names of servers.
    pub(in crate::farm) fn by_server(&self) -> &BTreeMap<&'a str, Vec<Line<'a>>> {
        self.by_server.get_or_init(|| {
            let mut found: BTreeMap<&str, Vec<Line<'a>>> = BTreeMap::new();
            for line in self.all() {
                found.entry(line.name.server.as_str()).or_default().push(line);
            }
            found
        })
    }

    /// By the names of members, where these are others than those of servers.
    pub(in crate::farm) fn by_member(&self) -> &BTreeMap<MemberName, Vec<Line<'a>>> {
        self.by_member.get_or_init(|| {
            let mut found: BTreeMap<MemberName, Vec<Line<'a>>> = BTreeMap::new();
            for line in self.all() {
                let members: BTreeSet<MemberName> =
                    self.farms.values().filter_map(|farm| farm.settings.members.of(line.name)).collect();
                for member in members.into_iter().filter(|member| *member != line.name.server) {
                    found.entry(member).or_default().push(line);
                }
            }
            found
        })
    }
}
