//! What HAProxy's addresses say about a plan: processes that get requests through other lines, and servers that teeter
//! cannot send requests.

use std::collections::{BTreeMap, BTreeSet};

use super::run_plan::Plan;
use super::strategy::Strategy;
use super::veto::Veto;
use crate::farm::{Farm, InstanceName, Layout, MemberName, SameProcess, Seen};

/// The plan with remarks about the addresses of its members, and the vetoes that follow from these addresses.
#[must_use]
pub fn compared(farm: &Farm, layout: &Layout, plan: Plan, seen: &BTreeMap<InstanceName, &Seen>) -> (Plan, Vec<Veto>) {
    let planned: BTreeSet<&MemberName> = plan.groups.values().flatten().map(|member| &member.name).collect();
    let mut vetoes = Vec::new();
    let groups = plan.groups.values();
    let groups = groups.map(|members| members.iter().map(|member| member.name.clone()).collect());
    let groups: Vec<BTreeSet<MemberName>> = groups.collect();
    let mut same = SameProcess::find(layout, seen).without_groups(groups.iter());
    same.beside.retain(|member, _| planned.contains(member));
    same.alike.retain(|member, _| planned.contains(member));
    same.doubles.retain(|members| members.iter().any(|member| planned.contains(member)));
    if !same.is_empty() && plan.strategy != Strategy::Flip {
        vetoes.push(Veto::SameProcess { found: same.texts(), write: same.members_to_write(layout) });
    }
    let unasked = plan.groups.values().flatten().filter(|member| !member.has_address());
    let unasked: Vec<MemberName> = unasked.map(|member| member.name.clone()).collect();
    let verify = &farm.settings.verify;
    let needs = [
        ("verify.http.version", plan.version.is_some() && verify.names_version()),
        ("verify.warm_up", verify.warm_up.is_some()),
    ];
    let mut off = plan.off.clone();
    off.extend(same.alike().filter(|_| plan.strategy != Strategy::Flip));
    if !unasked.is_empty() && plan.strategy != Strategy::Flip {
        let needs = needs.into_iter().filter(|(_, needed)| *needed);
        vetoes.extend(needs.map(|(key, _)| Veto::NoPath { members: unasked.clone(), key: key.to_owned() }));
        if verify.http.is_some() {
            let names = unasked.iter().map(MemberName::as_str).collect::<Vec<_>>().join(", ");
            off.push(format!("{names} on UNIX sockets cannot be asked by teeter: HAProxy's health checks verify them"));
        }
    }
    (Plan { off, ..plan }, vetoes)
}
