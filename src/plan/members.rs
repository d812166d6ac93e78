//! The members that a plan works on. Members that others than teeter have taken out are skipped.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::input::PlanningInput;
use super::roles::has_roles;
use super::veto::Veto;
use crate::farm::{Entry, GroupName, InstanceName, Layout, MemberName, Seen, natural};
use crate::haproxy::{AdminBits, OpState};

/// A member, as plans contain it and hooks get it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedMember {
    /// Its name.
    pub name: MemberName,
    /// Its address, as host:port; `-` for one on a UNIX socket.
    pub address: String,
    /// All of its server lines.
    pub entries: Vec<Entry>,
}

impl PlannedMember {
    /// The natural order of names, in which hooks get the members of a group and batches are made.
    fn by_name(&self, other: &Self) -> Ordering {
        natural(self.name.as_str(), other.name.as_str())
    }

    /// Whether teeter can send it requests: HAProxy does not show the path of a UNIX socket.
    pub fn has_address(&self) -> bool {
        self.address != "-"
    }
}

/// The members of a plan.
#[derive(Debug, Clone, Default)]
pub(super) struct PlannedMembers {
    /// The members that are worked on, by group.
    pub(super) groups: BTreeMap<GroupName, Vec<PlannedMember>>,
    /// The members that are skipped, with the reason.
    pub(super) skipped: BTreeMap<MemberName, String>,
}

/// Sorts a farm's members into planned and skipped. teeter holds the groups in `ours`: they are out for that reason,
/// and not skipped.
pub(super) fn groups(input: &PlanningInput<'_>, ours: &BTreeSet<&GroupName>) -> PlannedMembers {
    let layout = input.layout;
    let mut sorted = PlannedMembers::default();
    for (name, members) in &layout.groups {
        let is_ours = ours.contains(name);
        let mut planned = Vec::new();
        for member in members {
            match plan_member(input, member, is_ours) {
                Ok(member) => planned.push(member),
                Err(why) => {
                    sorted.skipped.insert(member.clone(), why);
                }
            }
        }
        planned.sort_by(PlannedMember::by_name);
        sorted.groups.insert(name.clone(), planned);
    }
    // Spare slots that are in no half.
    let spare = layout.spare.iter().filter(|(member, _)| !layout.groups.values().any(|group| group.contains(*member)));
    sorted.skipped.extend(spare.map(|(member, why)| (member.clone(), why.to_string())));
    sorted
}

/// The members that are in service, and the others with the reason why they are skipped.
pub(super) fn in_service(input: &PlanningInput<'_>) -> (Vec<PlannedMember>, BTreeMap<MemberName, String>) {
    let PlanningInput { layout, seen, .. } = *input;
    let roles = has_roles(layout, seen);
    let (mut serving, mut skipped) = (Vec::new(), BTreeMap::new());
    for (member, lines) in &layout.members {
        let down = |entry: &Entry| {
            let seen = seen.get(&entry.instance)?;
            let server = seen.servers.get(&entry.server)?;
            (!server.is_usable() && seen.unused(&entry.server).is_none())
                .then(|| format!("{entry} is {}", server.status))
        };
        let all_down = || lines.iter().all(|entry| down(entry).is_some());
        let taken_over = input.skipped.taken_over.contains(member);
        let must_be_up = !taken_over && !layout.leader && (!roles || all_down());
        let down = lines.iter().find_map(down).filter(|_| must_be_up);
        match (plan_member(input, member, false), down) {
            (Ok(planned), None) => serving.push(planned),
            (Ok(_), Some(why)) | (Err(why), _) => {
                skipped.insert(member.clone(), why);
            }
        }
    }
    serving.sort_by(PlannedMember::by_name);
    (serving, skipped)
}

/// The state of HAProxy once the members that a plan takes over are back in service.
pub(super) fn with_taken_over_back(input: &PlanningInput<'_>) -> BTreeMap<InstanceName, Seen> {
    let seen = input.seen.iter();
    let mut all: BTreeMap<InstanceName, Seen> = seen.map(|(name, seen)| (name.clone(), (*seen).clone())).collect();
    let members = input.skipped.taken_over.iter().filter_map(|member| input.layout.members.get(member));
    for entry in members.flatten() {
        if let Some(server) = all.get_mut(&entry.instance).and_then(|seen| seen.servers.get_mut(&entry.server)) {
            (server.admin, server.op) = (AdminBits::default(), OpState::Running);
        }
    }
    all
}

/// A veto for each of these groups in which no member is left, with what keeps its members out of the plan.
pub(super) fn refuse_empty(planned: &PlannedMembers, layout: &Layout, names: &[&GroupName]) -> Vec<Veto> {
    let empty = names.iter().filter(|name| planned.groups.get(**name).is_none_or(Vec::is_empty));
    let why = |name: &GroupName| {
        let members = layout.groups.get(name).into_iter().flatten();
        let whys = members.filter_map(|member| Some(format!("{member} is skipped ({})", planned.skipped.get(member)?)));
        whys.collect::<Vec<_>>().join(", ")
    };
    empty.map(|name| Veto::NothingLeft { group: (*name).clone(), why: why(name) }).collect()
}

/// A member as it is planned, or why it is skipped. `is_ours`: teeter holds its group.
fn plan_member(input: &PlanningInput<'_>, member: &MemberName, is_ours: bool) -> Result<PlannedMember, String> {
    let PlanningInput { layout, seen, skipped, .. } = *input;
    if let Some(why) = skipped.members.get(member) {
        return Err(why.clone());
    }
    if let Some(why) = layout.spare.get(member).filter(|_| !is_ours) {
        return Err(why.to_string());
    }
    let is_ours = is_ours || skipped.taken_over.contains(member);
    let entries = layout.members.get(member).cloned().unwrap_or_default();
    let (mut address, mut unused_address) = (None, None);
    for entry in &entries {
        let Some(instance) = seen.get(&entry.instance) else { continue };
        let Some(server) = instance.servers.get(&entry.server) else { continue };
        let is_unused = instance.unused(&entry.server).is_some();
        if !is_ours && !is_unused && (server.admin.forced_maint() || server.admin.forced_drain()) {
            return Err(format!("{entry} was set to {} outside teeter", server.admin.forced()));
        }
        // The address of a line that is not in use may be a placeholder.
        let known = if is_unused { &mut unused_address } else { &mut address };
        if !server.address.is_empty() || server.is_on_socket() {
            known.get_or_insert_with(|| server.endpoint());
        }
    }
    match address.or(unused_address) {
        Some(address) => Ok(PlannedMember { name: member.clone(), address, entries }),
        None => Err("HAProxy has no address for it".to_owned()),
    }
}
