//! Servers whose health nothing checks, and groups that cannot stand in for one another.

use std::collections::{BTreeMap, BTreeSet};

use super::farms::about;
use super::{Examined, Fitting, warning};
use crate::api::FindingView;
use crate::farm::{Entry, GroupName, InstanceName, MemberName, Seen, SeenServer};

/// Members with a line that has no check, or whose checks are switched off.
pub(super) fn unchecked(examined: &Examined<'_>) -> Vec<FindingView> {
    let mut findings = Vec::new();
    for Fitting { farm, layout, .. } in &examined.farms {
        let (mut none, mut off) = (BTreeSet::new(), BTreeSet::new());
        for (member, entry) in
            layout.members.iter().flat_map(|(member, lines)| lines.iter().map(move |line| (member, line)))
        {
            let Some(root) = checked_line(entry, &examined.seen) else { continue };
            if !root.check.is_configured() && !root.agent.is_configured() {
                none.insert(member);
            } else if root.check.is_configured() && !root.check.is_enabled() {
                off.insert(member);
            }
        }
        if !none.is_empty() {
            let verified_by = match &farm.settings.verify.http {
                Some(_) => "only verify.http verifies a server that comes back",
                None => "nothing verifies a server that comes back",
            };
            let text = format!(
                "no check, no agent-check and no track: {}; HAProxy sends requests to a server that is down, and \
                 {verified_by}: write `check` on their `server` lines in haproxy.cfg",
                list(&none)
            );
            findings.push(warning(about(farm), text));
        }
        if !off.is_empty() {
            let text = format!(
                "health checks are switched off: {}; HAProxy does not see a server go down: `enable health \
                 BACKEND/SERVER` on the stats socket switches them on",
                list(&off)
            );
            findings.push(warning(about(farm), text));
        }
    }
    findings
}

/// Farms of two groups of which one has nearly all of the weight.
pub(super) fn lopsided(examined: &Examined<'_>) -> Vec<FindingView> {
    let finding = |fitting: &Fitting<'_>| {
        let Fitting { farm, layout, .. } = fitting;
        let weights: BTreeMap<&GroupName, u64> =
            layout.groups.iter().map(|(group, members)| (group, weight(members, fitting, &examined.seen))).collect();
        let total: u64 = weights.values().sum();
        let (group, most) = weights.iter().max_by_key(|(_, weight)| **weight)?;
        let (other, least) = weights.iter().find(|(other, _)| *other != group)?;
        (weights.len() == 2 && *least > 0 && most * 4 >= total * 3).then(|| {
            let text = format!(
                "group {group} has {} % of the weight, and group {other} carries everything while {group} is worked \
                 on: make the groups more alike, or `teeter deploy {} --strategy rolling`",
                most * 100 / total,
                farm.name
            );
            warning(about(farm), text)
        })
    };
    examined.farms.iter().filter_map(finding).collect()
}

/// The weight of a group: the sum of the weights of each member's first line.
fn weight(members: &BTreeSet<MemberName>, fitting: &Fitting<'_>, seen: &BTreeMap<InstanceName, &Seen>) -> u64 {
    let line = |member| fitting.layout.members.get(member)?.first();
    let lines = members.iter().filter_map(line);
    lines.filter_map(|entry| server(entry, seen)).map(|server| u64::from(server.weight)).sum()
}

/// The line whose checks decide about this line: the end of its chain of `track`.
fn checked_line<'a>(entry: &Entry, seen: &BTreeMap<InstanceName, &'a Seen>) -> Option<&'a SeenServer> {
    let servers = &seen.get(&entry.instance)?.servers;
    let mut server = servers.get(&entry.server)?;
    for _ in 0..LONGEST_CHAIN {
        match server.tracked.as_ref().and_then(|tracked| servers.get(tracked)) {
            Some(next) => server = next,
            None => break,
        }
    }
    Some(server)
}

fn server<'a>(entry: &Entry, seen: &BTreeMap<InstanceName, &'a Seen>) -> Option<&'a SeenServer> {
    seen.get(&entry.instance)?.servers.get(&entry.server)
}

/// The first names, and the number of the others.
pub(super) fn list(members: &BTreeSet<&MemberName>) -> String {
    let mut names: Vec<String> = members.iter().take(NAMED).map(ToString::to_string).collect();
    if members.len() > NAMED {
        names.push(format!("{} more", members.len() - NAMED));
    }
    names.join(", ")
}

/// How many names are shown.
const NAMED: usize = 8;

/// HAProxy allows chains of servers that track one another, and refuses rings.
const LONGEST_CHAIN: usize = 16;
