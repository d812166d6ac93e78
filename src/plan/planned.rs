//! The members that a plan is about: those that somebody else has taken out are left alone.

use std::collections::{BTreeMap, BTreeSet};

use super::aside::Aside;
use super::roles::has_roles;
use super::steps::PlannedMember;
use super::veto::Veto;
use crate::farm::{Entry, GroupName, InstanceName, Layout, MemberName, Seen};
use crate::haproxy::{AdminBits, OpState};

/// The members of a plan by group, and those that are left alone, with the reason.
pub(super) type Planned = (BTreeMap<GroupName, Vec<PlannedMember>>, BTreeMap<MemberName, String>);

/// Sorts a farm's members. Groups in `ours` are out because teeter holds them, so that does not count.
pub(super) fn groups(
    layout: &Layout,
    seen: &BTreeMap<InstanceName, &Seen>,
    ours: &BTreeSet<&GroupName>,
    aside: &Aside,
) -> Planned {
    let (mut groups, mut skipped) = (BTreeMap::new(), BTreeMap::new());
    for (name, members) in &layout.groups {
        let ours = ours.contains(name);
        let (left_alone, planned): (Vec<_>, Vec<_>) =
            members.iter().map(|member| planned(member, layout, seen, (ours, aside))).partition(Result::is_err);
        skipped.extend(left_alone.into_iter().filter_map(Result::err));
        let planned: Vec<PlannedMember> = planned.into_iter().filter_map(Result::ok).collect();
        groups.insert(name.clone(), planned);
    }
    // Those that are in no half.
    let spare = layout.spare.iter().filter(|(member, _)| !layout.groups.values().any(|group| group.contains(*member)));
    skipped.extend(spare.map(|(member, why)| (member.clone(), why.to_string())));
    (groups, skipped)
}

/// The members that are in service, and the others, with the reason.
pub(super) fn in_service(
    layout: &Layout,
    seen: &BTreeMap<InstanceName, &Seen>,
    aside: &Aside,
) -> (Vec<PlannedMember>, BTreeMap<MemberName, String>) {
    let roles = has_roles(layout, seen);
    let (mut serve, mut skipped) = (Vec::new(), BTreeMap::new());
    for member in layout.members.keys() {
        let down = |entry: &Entry| {
            let seen = seen.get(&entry.instance)?;
            let server = seen.servers.get(&entry.server)?;
            (!server.is_usable() && seen.unused(&entry.server).is_none())
                .then(|| format!("{entry} is {}", server.status))
        };
        let lines = &layout.members[member];
        let all_down = || lines.iter().all(|entry| down(entry).is_some());
        let ours = aside.taken.contains(member);
        let down = lines.iter().find_map(down).filter(|_| !ours && !layout.leader && (!roles || all_down()));
        match (planned(member, layout, seen, (false, aside)), down) {
            (Ok(planned), None) => serve.push(planned),
            (Ok(_), Some(why)) => drop(skipped.insert(member.clone(), why)),
            (Err((member, why)), _) => drop(skipped.insert(member, why)),
        }
    }
    (serve, skipped)
}

/// What is seen once the members that a plan takes over are back.
pub(super) fn with_taken_back(
    layout: &Layout,
    seen: &BTreeMap<InstanceName, &Seen>,
    aside: &Aside,
) -> BTreeMap<InstanceName, Seen> {
    let mut all: BTreeMap<InstanceName, Seen> =
        seen.iter().map(|(name, seen)| (name.clone(), (*seen).clone())).collect();
    for entry in aside.taken.iter().filter_map(|member| layout.members.get(member)).flatten() {
        if let Some(server) = all.get_mut(&entry.instance).and_then(|seen| seen.servers.get_mut(&entry.server)) {
            (server.admin, server.op) = (AdminBits::default(), OpState::Running);
        }
    }
    all
}

/// A veto for each of these groups in which no member is left, with what keeps its members out of the plan.
pub(super) fn refuse_empty((groups, skipped): &Planned, layout: &Layout, names: &[&GroupName]) -> Vec<Veto> {
    let empty = names.iter().filter(|name| groups.get(**name).is_none_or(Vec::is_empty));
    let why = |name: &GroupName| {
        let members = layout.groups.get(name).into_iter().flatten();
        let whys = members.filter_map(|member| Some(format!("{member} is left alone ({})", skipped.get(member)?)));
        whys.collect::<Vec<_>>().join(", ")
    };
    empty.map(|name| Veto::NothingLeft { group: (*name).clone(), why: why(name) }).collect()
}

/// A member as it is planned, or why it is left alone.
fn planned(
    member: &MemberName,
    layout: &Layout,
    seen: &BTreeMap<InstanceName, &Seen>,
    (ours, aside): (bool, &Aside),
) -> Result<PlannedMember, (MemberName, String)> {
    if let Some(why) = aside.members.get(member) {
        return Err((member.clone(), why.clone()));
    }
    if let Some(why) = layout.spare.get(member).filter(|_| !ours) {
        return Err((member.clone(), why.to_string()));
    }
    let ours = ours || aside.taken.contains(member);
    let entries = layout.members.get(member).cloned().unwrap_or_default();
    let (mut address, mut elsewhere) = (None, None);
    for entry in &entries {
        let Some(there) = seen.get(&entry.instance) else { continue };
        let Some(server) = there.servers.get(&entry.server) else { continue };
        let unused = there.unused(&entry.server).is_some();
        if !ours && !unused && (server.admin.forced_maint() || server.admin.forced_drain()) {
            return Err((member.clone(), format!("{entry} is in {} by somebody else", server.admin.forced())));
        }
        // What stands on a line that is not in use may be a place holder.
        let known = if unused { &mut elsewhere } else { &mut address };
        if !server.address.is_empty() || server.is_on_socket() {
            known.get_or_insert_with(|| server.endpoint());
        }
    }
    match address.or(elsewhere) {
        Some(address) => Ok(PlannedMember { name: member.clone(), address, entries }),
        None => Err((member.clone(), "HAProxy has no address for it".to_owned())),
    }
}
