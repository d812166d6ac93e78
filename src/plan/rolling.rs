//! Rolling: one batch after the other, each asked before it goes out, and proven before it comes back.

use std::collections::{BTreeMap, BTreeSet};

use super::aside::Aside;
use super::guard;
use super::phases::complete;
use super::planned::{in_service, with_taken_back};
use super::roles::has_roles;
use super::steps::{Phase, Plan, PlannedMember, Step, Strategy};
use super::veto::Veto;
use crate::farm::{Entry, Farm, GroupName, InstanceName, Layout, Seen, Side};

/// Makes the plan of a rolling deploy, or says why there must not be one.
///
/// It goes over the members that are in service; all others are left alone. With `outage`, also where too few would
/// be left.
///
/// # Errors
/// Every veto that applies.
pub fn plan(
    farm: &Farm,
    layout: &Layout,
    (version, phases, outage): (Option<String>, &BTreeSet<Phase>, bool),
    live: Option<Side>,
    seen: &BTreeMap<InstanceName, &Seen>,
    aside: &Aside,
) -> Result<Plan, Vec<Veto>> {
    if let Some(live) = live.filter(|live| *live != Side::All) {
        return Err(vec![Veto::OneSideLive { farm: farm.name.clone(), live }]);
    }
    let settings = &farm.settings;
    let roles = has_roles(layout, seen);
    let (mut members, skipped) = in_service(layout, seen, aside);
    if roles {
        // Whoever leads goes last, and only once somebody else does.
        let leads = |member: &PlannedMember| !last(farm, &member.entries.iter().cloned().collect(), seen).is_empty();
        members.sort_by_key(leads);
    }
    let size = settings.rolling.batch.of(layout.in_use());
    if size > layout.in_use() {
        return Err(vec![Veto::Batch { size, members: layout.in_use() }]);
    }
    let (left_out, members): (Vec<_>, Vec<_>) =
        members.into_iter().partition(|member| aside.taken.contains(&member.name));
    let groups = batches(left_out, &members, size);
    let back = with_taken_back(layout, seen, aside);
    let seen: &BTreeMap<InstanceName, &Seen> = &back.iter().map(|(name, seen)| (name.clone(), seen)).collect();
    let is_out = |batch: &[PlannedMember]| batch.iter().all(|member| aside.taken.contains(&member.name));
    let mut vetoes = Vec::new();
    if groups.is_empty() {
        vetoes.push(Veto::NobodyServes { farm: farm.name.clone() });
    }
    let mut notes = Vec::new();
    for (name, batch) in groups.iter().filter(|(_, batch)| !outage && !is_out(batch)) {
        let taken: BTreeSet<Entry> =
            batch.iter().flat_map(|member| &member.entries).chain(&aside.out).cloned().collect();
        let emptied = last(farm, &taken, seen);
        let waits = roles && !emptied.is_empty() && emptied.iter().all(|veto| others_may_lead(veto, &taken, seen));
        if waits {
            notes.extend(emptied.iter().map(|veto| format!("{name} waits for a switch-over: {veto}")));
        } else {
            vetoes.extend(emptied);
        }
        // Where all others follow, none is in service beside the leader, until one of them leads.
        if !(waits && layout.leader) {
            vetoes.extend(guard::others_carry(&farm.name, settings.min_available, layout, &taken, seen));
        }
        if !vetoes.is_empty() {
            // Every batch would say the same again.
            return Err(vetoes);
        }
    }
    if !vetoes.is_empty() {
        return Err(vetoes);
    }
    let steps = groups.iter().flat_map(|(group, batch)| batch_steps(farm, group, !is_out(batch))).collect();
    let steps = complete(steps, farm, phases, groups.keys().cloned().collect());
    Ok(Plan {
        version,
        needed: if outage { 0 } else { settings.min_available.of(layout.counted()).max(1) },
        max_failed: settings.rolling.max_failed,
        notes,
        ..Plan::of(farm, Strategy::Rolling, (groups, skipped), steps, Side::All)
    })
}

fn last(farm: &Farm, taken: &BTreeSet<Entry>, seen: &BTreeMap<InstanceName, &Seen>) -> Vec<Veto> {
    guard::last_servers(taken, &guard::routed_away(farm, &Side::All), seen)
}

/// Whether a backend that would be emptied has servers that are DOWN, one of which may come to lead.
fn others_may_lead(veto: &Veto, taken: &BTreeSet<Entry>, seen: &BTreeMap<InstanceName, &Seen>) -> bool {
    let Veto::LastServers { backend, .. } = veto else { return false };
    let mut lines = seen.iter().flat_map(|(instance, seen)| {
        let lines = seen.servers.iter();
        lines.map(|(server, now)| (Entry { instance: (*instance).clone(), server: server.clone() }, now))
    });
    lines.any(|(entry, now)| {
        let here = format!("{}:{}", entry.instance, entry.server.backend) == *backend;
        here && !taken.contains(&entry) && now.is_down() && !now.admin.in_drain()
    })
}

/// `ask`: whether it takes traffic, and is asked before it goes out.
fn batch_steps(farm: &Farm, group: &GroupName, ask: bool) -> Vec<Step> {
    let (group, takes) = (group.clone(), farm.settings.rolling.settle);
    let mut steps = Vec::new();
    if ask {
        steps.push(Step::Ask { group: group.clone() });
    }
    steps.extend([
        Step::Out { group: group.clone(), switch: None },
        Step::Drain { group: group.clone() },
        Step::Work { group: group.clone(), phase: Phase::Deploy },
    ]);
    if !takes.is_zero() {
        steps.push(Step::Settle { group: group.clone(), takes });
    }
    steps.extend([Step::Verify { group: group.clone() }, Step::In { group, switch: None }]);
    steps
}

/// Batches by the order of names, called so that they sort in their order. Those that are out already come first,
/// together.
fn batches(
    left_out: Vec<PlannedMember>,
    members: &[PlannedMember],
    size: usize,
) -> BTreeMap<GroupName, Vec<PlannedMember>> {
    let first = (!left_out.is_empty()).then_some(left_out.as_slice());
    let all: Vec<&[PlannedMember]> = first.into_iter().chain(members.chunks(size.max(1))).collect();
    let digits = all.len().to_string().len();
    let batches = all.into_iter().enumerate();
    let named = batches.filter_map(|(index, batch)| {
        let name = format!("batch-{:0digits$}", index + 1).parse().ok()?;
        Some((name, batch.to_vec()))
    });
    named.collect()
}
