//! Server lines that lead to the same application process. The process has no requests only when none of these lines
//! has requests.
//!
//! Two lines lead to one process when HAProxy reaches both at one address and port. A loopback address belongs to the
//! machine of its HAProxy, so it is compared within one HAProxy only. A server on a UNIX socket, a name without an
//! address and a line that is not in use match no other line, because HAProxy does not report where they lead.

use core::net::IpAddr;
use std::collections::{BTreeMap, BTreeSet};

use crate::farm::layout::arrange::Layout;
use crate::farm::names::{Entry, InstanceName, MemberName};
use crate::farm::seen::server::SeenServer;
use crate::farm::seen::snapshot::Seen;
use crate::haproxy::{AdminState, ServerRef};

/// The address where a process listens.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Process {
    /// The HAProxy whose machine has a loopback address; `None` for any other address.
    on: Option<InstanceName>,
    address: IpAddr,
    port: u16,
}

/// Lines that lead to a process of a farm under another name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SameProcess {
    /// Lines that belong to no member and lead to the process of a member, by this member. Their server names differ
    /// from the names of the member's lines.
    pub beside: BTreeMap<MemberName, BTreeSet<Entry>>,
    /// The same for lines with the server name of one of the member's lines: the farm's patterns exclude their backends
    /// on purpose.
    pub alike: BTreeMap<MemberName, BTreeSet<Entry>>,
    /// Groups of members that are one process.
    pub doubles: Vec<BTreeSet<MemberName>>,
}

impl SameProcess {
    /// Compares a farm's lines with each other and with all other lines that may get requests. A line that tracks a
    /// line of the farm is not reported, because both share their maintenance, and a line that is out gets no requests.
    pub fn find(layout: &Layout, seen: &BTreeMap<InstanceName, &Seen>) -> Self {
        let of_farm = layout.entries();
        let mut members: BTreeMap<Process, BTreeSet<&MemberName>> = BTreeMap::new();
        for (member, entries) in layout.members.iter().filter(|(member, _)| !layout.spare.contains_key(*member)) {
            for entry in entries {
                let Some(process) = seen.get(&entry.instance).and_then(|seen| process(entry, seen)) else { continue };
                members.entry(process).or_default().insert(member);
            }
        }
        let mut same = Self::default();
        for doubles in members.values().filter(|members| members.len() > 1) {
            let doubles: BTreeSet<MemberName> = doubles.iter().map(|member| (*member).clone()).collect();
            if !same.doubles.contains(&doubles) {
                same.doubles.push(doubles);
            }
        }
        for (instance, seen) in seen {
            for (name, server) in seen.servers.iter().filter(|(_, server)| server.admin.forced() == AdminState::Ready) {
                let entry = Entry { instance: instance.clone(), server: name.clone() };
                let same_process = process(&entry, seen).and_then(|process| members.get(&process));
                let Some(same_process) = same_process.filter(|_| !of_farm.contains(&entry)) else { continue };
                if follows(server, seen, |tracked| {
                    of_farm.contains(&Entry { server: tracked.clone(), ..entry.clone() })
                }) {
                    continue;
                }
                for member in same_process {
                    let alike = layout.members[*member].iter().any(|line| line.server.server == name.server);
                    let lines = if alike { &mut same.alike } else { &mut same.beside };
                    lines.entry((*member).clone()).or_default().insert(entry.clone());
                }
            }
        }
        same
    }

    /// Removes the members of one process that are in one group, because they go out together.
    pub fn without_groups<'a>(mut self, groups: impl Iterator<Item = &'a BTreeSet<MemberName>> + Clone) -> Self {
        self.doubles.retain(|members| !groups.clone().any(|group| members.is_subset(group)));
        self
    }

    /// A note about lines that have the name of a member's line but belong to no member; `None` where there are none.
    pub fn alike(&self) -> Option<String> {
        let lines: BTreeSet<String> = self.alike.values().flatten().map(|entry| entry.server.to_string()).collect();
        let lines = lines.into_iter().collect::<Vec<_>>();
        let text =
            || format!("{} lead to its servers, too, and stay in service: `members` excludes them", lines.join(", "));
        (!lines.is_empty()).then(text)
    }

    /// Whether each process of the farm is one member, without lines of other names.
    pub fn is_empty(&self) -> bool {
        self.beside.is_empty() && self.doubles.is_empty()
    }

    /// One sentence for each process that has several names.
    pub fn texts(&self) -> Vec<String> {
        let line = |entry: &Entry| entry.server.to_string();
        let beside = self.beside.iter().map(|(member, lines)| {
            let lines = lines.iter().map(line).collect::<BTreeSet<_>>().into_iter().collect::<Vec<_>>().join(" and ");
            format!("{lines} leads to the same address and port as {member} and does not belong to {member}")
        });
        let doubles = self.doubles.iter().map(|members| {
            let members = members.iter().map(MemberName::as_str).collect::<Vec<_>>().join(" and ");
            format!("{members} have one address and port: they are one process under several names")
        });
        beside.chain(doubles).collect()
    }

    /// The consequence for the farm, and the `members` to write into its table; `None` where each process is one
    /// member.
    pub fn advice(&self, layout: &Layout) -> Option<String> {
        (!self.is_empty()).then(|| {
            format!(
                "{}: it gets requests while it is out, and a deploy is refused. Write `{}` into the farm's table",
                self.texts().join("; "),
                self.members_to_write(layout)
            )
        })
    }

    /// The `members` to write into the farm's table, which makes each process one member with all its lines.
    pub fn members_to_write(&self, layout: &Layout) -> String {
        let mut done: BTreeSet<&MemberName> = BTreeSet::new();
        let mut members = Vec::new();
        for member in layout.members.keys() {
            if !done.insert(member) {
                continue;
            }
            let mut names = BTreeSet::from([member]);
            for doubles in self.doubles.iter().filter(|doubles| doubles.contains(member)) {
                names.extend(doubles);
            }
            done.extend(&names);
            let own = names.iter().filter_map(|name| layout.members.get(*name)).flatten();
            let beside = names.iter().filter_map(|name| self.beside.get(*name)).flatten();
            let lines: BTreeSet<String> = own.chain(beside).map(|entry| format!("\"{}\"", entry.server)).collect();
            members.push(format!("\"{member}\" = [{}]", lines.into_iter().collect::<Vec<_>>().join(", ")));
        }
        format!("members = {{ {} }}", members.join(", "))
    }
}

/// Lines of other names that lead to the process of one of these lines and may get requests. A line of the same name in
/// another backend is not reported: the operator's selector excludes it on purpose.
pub fn other_lines_of(entries: &BTreeSet<Entry>, seen: &BTreeMap<InstanceName, &Seen>) -> BTreeSet<Entry> {
    let name = |entry: &Entry| entry.server.server.clone();
    let mut members: BTreeMap<MemberName, Vec<Entry>> = BTreeMap::new();
    for entry in entries {
        members.entry(name(entry)).or_default().push(entry.clone());
    }
    let layout = Layout { members, ..Layout::default() };
    let mut beside: BTreeSet<Entry> = SameProcess::find(&layout, seen).beside.into_values().flatten().collect();
    beside.retain(|entry| !layout.members.contains_key(&entry.server.server));
    beside
}

fn process(entry: &Entry, seen: &Seen) -> Option<Process> {
    let server = seen.servers.get(&entry.server).filter(|server| server.port > 0)?;
    if seen.unused(&entry.server).is_some() {
        return None;
    }
    let address = server.address.parse::<IpAddr>().ok()?.to_canonical();
    let local = address.is_loopback() || address.is_unspecified();
    Some(Process { on: local.then(|| entry.instance.clone()), address, port: server.port })
}

/// Whether a line tracks, directly or through others, a line that `accepts` accepts.
fn follows(server: &SeenServer, seen: &Seen, accepts: impl Fn(&ServerRef) -> bool) -> bool {
    let mut next = server.tracked.as_ref();
    while let Some(tracked) = next {
        if accepts(tracked) {
            return true;
        }
        next = seen.servers.get(tracked).and_then(|server| server.tracked.as_ref());
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::farm::Farm;
    use crate::haproxy::AdminBits;

    fn seen(lines: &[(&str, &str, u16)]) -> Seen {
        let server = |address: &str, port| SeenServer { address: address.into(), port, ..SeenServer::sample() };
        let servers = lines.iter().map(|(name, address, port)| (name.parse().unwrap(), server(address, *port)));
        Seen { servers: servers.collect(), ..Seen::default() }
    }

    fn same(farm: &str, all: &[(&str, &Seen)]) -> (Vec<String>, String) {
        let all = all.iter().map(|(name, seen)| (name.parse().unwrap(), *seen)).collect();
        let farm = Farm { name: "web".parse().unwrap(), settings: toml::from_str(farm).unwrap() };
        let layout = farm.layout(&all).unwrap();
        let same = SameProcess::find(&layout, &all);
        (same.texts(), same.members_to_write(&layout))
    }

    #[test]
    fn a_line_of_another_name_with_the_same_address_is_found_in_any_haproxy() {
        let lb1 =
            seen(&[("app/web1", "10.0.0.1", 80), ("ws/web1-ws", "::ffff:10.0.0.1", 80), ("ws/x", "10.0.0.1", 81)]);
        let lb2 = seen(&[("old/w", "10.0.0.1", 80)]);
        let (texts, write) = same("members = [\"app/*\"]", &[("lb1", &lb1), ("lb2", &lb2)]);
        assert_eq!(
            texts,
            ["old/w and ws/web1-ws leads to the same address and port as web1 and does not belong to web1"]
        );
        assert_eq!(write, "members = { \"web1\" = [\"app/web1\", \"old/w\", \"ws/web1-ws\"] }");
    }

    #[test]
    fn two_members_with_one_address_are_one_process() {
        let lb1 = seen(&[("app/web1", "10.0.0.1", 80), ("app/web2", "10.0.0.2", 80), ("ws/web1-ws", "10.0.0.1", 80)]);
        let (texts, write) = same("members = [\"app/*\", \"ws/*\"]", &[("lb1", &lb1)]);
        assert_eq!(texts, ["web1 and web1-ws have one address and port: they are one process under several names"]);
        assert_eq!(write, "members = { \"web1\" = [\"app/web1\", \"ws/web1-ws\"], \"web2\" = [\"app/web2\"] }");
    }

    #[test]
    fn a_line_without_a_comparable_address_matches_no_other() {
        let local =
            seen(&[("app/w1", "127.0.0.1", 80), ("app/w2", "127.0.0.1", 81), ("app/u1", "", 0), ("ws/u2", "", 0)]);
        let other = seen(&[("app/w1", "127.0.0.1", 80), ("ws/w9", "127.0.0.1", 80)]);
        let (texts, _) = same("members = [\"app/*\"]", &[("lb1", &local)]);
        assert!(texts.is_empty(), "{texts:?}");
        // A loopback address of another HAProxy is on another machine.
        let (texts, _) = same("members = [\"app/w2\"]", &[("lb1", &local), ("lb2", &other)]);
        assert!(texts.is_empty(), "{texts:?}");
        let mut slots = seen(&[("app/w1", "10.0.0.1", 80), ("app/s1", "10.0.0.1", 80), ("ws/t", "10.0.0.1", 80)]);
        for (name, admin, tracked) in [("app/s1", 5, None), ("ws/t", 0, Some("app/w1".parse().unwrap()))] {
            let server =
                SeenServer { admin: AdminBits(admin), tracked, ..slots.servers[&name.parse().unwrap()].clone() };
            slots.servers.insert(name.parse().unwrap(), server);
        }
        let (texts, _) = same("members = [\"app/*\"]", &[("lb1", &slots)]);
        assert!(texts.is_empty(), "a spare slot, and a line that tracks: {texts:?}");
    }
}
