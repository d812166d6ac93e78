//! Which farms a HAProxy has: backends whose servers are the same processes are one farm.

use std::collections::{BTreeMap, BTreeSet};

use super::halves::{self, Groups};
use super::names;
use super::processes::{Process, is_slot, processes, stands_in};
use super::site::Site;
use crate::farm::{FarmName, MemberName, RouteKey, natural};
use crate::haproxy::{BackendName, ServerRef};

/// A farm as it will be written.
#[derive(Debug, Clone)]
pub(super) struct Draft {
    pub(super) name: FarmName,
    pub(super) backends: BTreeSet<BackendName>,
    /// The members in use, in natural order, each with its lines.
    pub(super) members: Vec<(MemberName, Vec<ServerRef>)>,
    /// Lines of its backends that wait for a server.
    pub(super) slots: Vec<ServerRef>,
    /// Lines of its backends that belong to no member: backups that stand in for a whole backend.
    pub(super) left_out: Vec<ServerRef>,
    pub(super) groups: Groups,
    /// Whether one member leads, and the checks keep the others DOWN.
    pub(super) leader: bool,
    pub(super) routes: Vec<RouteKey>,
    /// Why a map that chooses between its backends is no route.
    pub(super) not_routed: Vec<String>,
}

/// All farms, and the backends that are none.
#[derive(Debug, Clone, Default)]
pub(super) struct Farms {
    pub(super) farms: Vec<Draft>,
    /// Backends with one server: nothing can carry the traffic while it is out.
    pub(super) single: BTreeSet<BackendName>,
    /// Backends without a server in use.
    pub(super) empty: BTreeSet<BackendName>,
}

/// Finds the farms. `together` has backends that belong together although they share no server: sides of a route.
pub(super) fn farms(site: &Site, together: &[BTreeSet<BackendName>]) -> Farms {
    let (standing_in, processes): (Vec<Process>, Vec<Process>) =
        processes(site).into_iter().partition(|process| stands_in(site, process));
    let mut parts: Vec<BTreeSet<BackendName>> = together.to_vec();
    for process in &processes {
        join(&mut parts, process.iter().map(|line| line.backend.clone()).collect());
    }
    parts.sort_by(|one, other| natural(first(one), first(other)));
    let (mut found, mut taken) = (Farms::default(), BTreeSet::new());
    for backends in parts {
        let of: Vec<&Process> =
            processes.iter().filter(|process| process.iter().any(|line| backends.contains(&line.backend))).collect();
        if of.len() < 2 {
            found.single.extend(backends);
            continue;
        }
        let left_out = standing_in.iter().flatten().filter(|line| backends.contains(&line.backend)).cloned().collect();
        found.farms.push(draft(site, names::of_farm(&backends, &mut taken), backends, &of, left_out));
    }
    let known = |backend: &&BackendName| {
        found.farms.iter().any(|farm| farm.backends.contains(*backend)) || found.single.contains(*backend)
    };
    let all: BTreeSet<&BackendName> = site.settings.keys().chain(site.seen.servers.backends()).collect();
    found.empty = all.into_iter().filter(|backend| !known(backend)).cloned().collect();
    found
}

fn draft(
    site: &Site,
    name: FarmName,
    backends: BTreeSet<BackendName>,
    processes: &[&Process],
    left_out: Vec<ServerRef>,
) -> Draft {
    let mut taken = BTreeSet::new();
    let names: Vec<MemberName> =
        processes.iter().map(|process| names::of_member(process, processes, &mut taken)).collect();
    let mut members: Vec<(MemberName, Vec<ServerRef>)> =
        names.into_iter().zip(processes.iter().map(|process| (*process).clone())).collect();
    members.sort_by(|(one, _), (other, _)| natural(one.as_str(), other.as_str()));
    let lines = backends.iter().flat_map(|backend| site.seen.servers.in_backend(backend)).map(|(line, _)| line);
    let slots: Vec<ServerRef> = lines.filter(|line| is_slot(site, line)).cloned().collect();
    let leader = leads(site, &backends, &members);
    let groups = if leader { Groups::None } else { halves::of(site, &members, !slots.is_empty()) };
    let (routes, not_routed) = (Vec::new(), Vec::new());
    Draft { name, backends, members, slots, left_out, groups, leader, routes, not_routed }
}

impl Draft {
    /// Whether each member has one server name, which no other member has: then a list of patterns is enough.
    pub(super) fn is_plain(&self) -> bool {
        let plain = |(member, lines): &(MemberName, Vec<ServerRef>)| lines.iter().all(|line| line.server == *member);
        let names: BTreeSet<&MemberName> = self.members.iter().map(|(member, _)| member).collect();
        self.members.iter().all(plain) && self.slots.iter().all(|slot| !names.contains(&slot.server))
    }

    /// The option for a first deploy, where the usual strategy does not fit.
    pub(super) fn strategy(&self) -> &'static str {
        match &self.routes[..] {
            [] if self.leader => " --strategy rolling",
            [route, ..] if route.all.is_none() => " --strategy blue-green",
            _ => "",
        }
    }

    /// The number of members in the smaller group, which carries the traffic while the other one is out.
    pub(super) fn stays(&self) -> usize {
        let in_use = self.members.len();
        match &self.groups {
            Groups::None => in_use - 1,
            Groups::Auto => in_use / 2,
            Groups::Named(groups) => groups.iter().map(|(_, members)| members.len()).min().unwrap_or(1),
        }
    }

    /// The members with a line in this backend.
    pub(super) fn members_in(&self, backend: &BackendName) -> BTreeSet<&MemberName> {
        let is_in = |lines: &[ServerRef]| lines.iter().any(|line| line.backend == *backend);
        self.members.iter().filter(|(_, lines)| is_in(lines)).map(|(member, _)| member).collect()
    }
}

/// Whether the checks ask for the role of a server, and pass on one member only.
fn leads(site: &Site, backends: &BTreeSet<BackendName>, members: &[(MemberName, Vec<ServerRef>)]) -> bool {
    let asks = |backend: &BackendName| site.cfg_backend(backend).is_some_and(|is| is.checks_role);
    let is_up = |lines: &[ServerRef]| lines.iter().filter_map(|line| site.line(line)).any(|line| line.op.is_up());
    backends.iter().all(asks) && members.iter().filter(|(_, lines)| is_up(lines)).count() == 1
}

/// Adds a set to disjoint sets, and joins those that it overlaps.
fn join(parts: &mut Vec<BTreeSet<BackendName>>, mut one: BTreeSet<BackendName>) {
    parts.retain_mut(|part| {
        let overlaps = !part.is_disjoint(&one);
        if overlaps {
            one.append(part);
        }
        !overlaps
    });
    parts.push(one);
}

fn first(backends: &BTreeSet<BackendName>) -> &str {
    backends.first().map_or("", BackendName::as_str)
}

/// Members by name, for tables and groups.
pub(super) fn lines_by_backend(lines: &[ServerRef]) -> BTreeMap<&BackendName, Vec<&ServerRef>> {
    let mut found: BTreeMap<&BackendName, Vec<&ServerRef>> = BTreeMap::new();
    for line in lines {
        found.entry(&line.backend).or_default().push(line);
    }
    found
}
