//! What the configuration and the store know of each server line: its farm, group and member, and the member's version.

use std::collections::{BTreeMap, BTreeSet};

use crate::api::ServerView;
use crate::farm::{Entry, Farm, GroupName, InstanceName, Layout, MemberName, Seen, natural};
use crate::state::State;

/// The place of each server line in the farms.
pub(super) struct Places<'a>(BTreeMap<&'a Entry, Place<'a>>);

struct Place<'a> {
    farm: &'a Farm,
    group: Option<&'a GroupName>,
    member: &'a MemberName,
    version: Option<&'a str>,
}

impl<'a> Places<'a> {
    /// The places of all lines of these farms.
    pub(super) fn new(layouts: &'a [(&'a Farm, Layout)], state: &'a State) -> Self {
        let mut places = BTreeMap::new();
        for (farm, layout) in layouts {
            let versions = state.versions(&farm.name, layout.members.keys());
            let groups: BTreeMap<&MemberName, &GroupName> =
                layout.groups.iter().flat_map(|(group, members)| members.iter().map(move |one| (one, group))).collect();
            for (member, entries) in &layout.members {
                let (group, version) = (groups.get(member).copied(), versions.get(member).copied());
                places.extend(entries.iter().map(|entry| (entry, Place { farm, group, member, version })));
            }
        }
        Self(places)
    }

    /// The view of a line with its place, if it has one.
    pub(super) fn complete(&self, entry: &Entry, view: ServerView) -> ServerView {
        let Some(Place { farm, group, member, version }) = self.0.get(entry) else { return view };
        ServerView {
            farm: Some(farm.name.to_string()),
            group: group.map(ToString::to_string),
            member: Some(member.to_string()),
            version: version.map(str::to_owned),
            ..view
        }
    }
}

/// A warning, if members in service run several versions and no run of the farm is under way. Members that a hold keeps
/// out, such as a group on standby, do not count.
pub(super) fn mixed_versions(
    farm: &Farm,
    layout: &Layout,
    places: &Places<'_>,
    state: &State,
    seen: &BTreeMap<InstanceName, &Seen>,
) -> Option<String> {
    let under_way = state.runs.values().any(|run| run.is_active() && run.plan.farm == farm.name);
    // Each server may have been built at a time of its own.
    if under_way || farm.settings.verify.reports_build() {
        return None;
    }
    let held: BTreeSet<&Entry> = state.holds.values().flat_map(|hold| &hold.entries).collect();
    let serves = |entry: &Entry| {
        let server = seen.get(&entry.instance).and_then(|seen| seen.servers.get(&entry.server));
        !held.contains(entry) && server.is_some_and(|server| server.is_usable())
    };
    let mut versions: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (member, entries) in layout.members.iter().filter(|(_, entries)| entries.iter().any(serves)) {
        let version = entries.first().and_then(|entry| places.0.get(entry)?.version);
        if let Some(version) = version {
            versions.entry(version).or_default().push(member.as_str());
        }
    }
    if versions.len() < 2 {
        return None;
    }
    let each: Vec<String> = versions
        .into_iter()
        .take(NAMED)
        .map(|(version, mut members)| {
            members.sort_by(|one, other| natural(one, other));
            let more = members.len().saturating_sub(NAMED);
            members.truncate(NAMED);
            let more = if more > 0 { format!(" and {more} more") } else { String::new() };
            format!("{version} on {}{more}", members.join(", "))
        })
        .collect();
    Some(format!(
        "farm {name}: servers in service run several versions, as its runs have recorded them: {}: `teeter deploy \
         {name} --to VERSION -- HOOK` brings all to one",
        each.join("; "),
        name = farm.name
    ))
}

/// How many members or versions are named.
const NAMED: usize = 8;
