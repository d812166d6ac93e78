//! Rolling: one batch after the other. Each is asked before it goes out, and verified before it comes back.

use std::collections::{BTreeMap, BTreeSet};

use super::guard;
use super::input::PlanningInput;
use super::members::{PlannedMember, PlannedMembers, in_service, with_taken_over_back};
use super::phases::complete;
use super::roles::has_roles;
use super::run_plan::Plan;
use super::step::Step;
use super::strategy::{Phase, Strategy};
use super::veto::Veto;
use crate::farm::{Entry, Farm, GroupName, InstanceName, Seen, Side};

/// Makes the plan of a rolling deploy to the members that are in service; all others are skipped. With `outage`, also
/// where too few members would be left in service.
///
/// # Errors
/// Every veto that applies.
pub fn plan(input: &PlanningInput<'_>, outage: bool) -> Result<Plan, Vec<Veto>> {
    let PlanningInput { farm, layout, seen, skipped, .. } = *input;
    if let Some(live) = input.live.filter(|live| **live != Side::All) {
        return Err(vec![Veto::OneSideLive { farm: farm.name.clone(), live: live.clone() }]);
    }
    let settings = &farm.settings;
    let roles = has_roles(layout, seen);
    let (mut members, not_serving) = in_service(input);
    if roles {
        // The leader goes last, and only once another server leads.
        let leads =
            |member: &PlannedMember| !last_servers(farm, &member.entries.iter().cloned().collect(), seen).is_empty();
        members.sort_by_key(leads);
    }
    let size = settings.rolling.batch.members_of(layout.in_use());
    if size > layout.in_use() {
        return Err(vec![Veto::Batch { size, members: layout.in_use() }]);
    }
    let (left_out, members): (Vec<_>, Vec<_>) =
        members.into_iter().partition(|member| skipped.taken_over.contains(&member.name));
    let groups = batches(left_out, &members, size);
    let back = with_taken_over_back(input);
    let seen: &BTreeMap<InstanceName, &Seen> = &back.iter().map(|(name, seen)| (name.clone(), seen)).collect();
    let is_out = |batch: &[PlannedMember]| batch.iter().all(|member| skipped.taken_over.contains(&member.name));
    let mut vetoes = Vec::new();
    if groups.is_empty() {
        vetoes.push(Veto::NoneInService { farm: farm.name.clone() });
    }
    let mut notes = Vec::new();
    for (name, batch) in groups.iter().filter(|(_, batch)| !outage && !is_out(batch)) {
        let lines = batch.iter().flat_map(|member| &member.entries);
        let taken: BTreeSet<Entry> = lines.chain(&skipped.held_lines).cloned().collect();
        let emptied = last_servers(farm, &taken, seen);
        let waits = roles && !emptied.is_empty() && emptied.iter().all(|veto| others_may_lead(veto, &taken, seen));
        if waits {
            notes.extend(emptied.iter().map(|veto| format!("{name} waits for a switch-over: {veto}")));
        } else {
            vetoes.extend(emptied);
        }
        // Where all others follow, no server but the leader is in service until another one leads.
        if !(waits && layout.leader) {
            vetoes.extend(guard::others_carry(farm, layout, &taken, seen));
        }
        if !vetoes.is_empty() {
            // Every further batch would be refused with the same words.
            return Err(vetoes);
        }
    }
    if !vetoes.is_empty() {
        return Err(vetoes);
    }
    let steps = groups.iter().flat_map(|(group, batch)| batch_steps(farm, group, !is_out(batch))).collect();
    let steps = complete(input, steps, groups.keys().cloned().collect());
    let planned = PlannedMembers { groups, skipped: not_serving };
    Ok(Plan {
        needed: if outage { 0 } else { settings.min_available.members_of(layout.counted()).max(1) },
        max_failed: settings.rolling.max_failed,
        notes,
        ..Plan::new(input, Strategy::Rolling, planned, steps, Side::All)
    })
}

fn last_servers(farm: &Farm, taken: &BTreeSet<Entry>, seen: &BTreeMap<InstanceName, &Seen>) -> Vec<Veto> {
    guard::last_servers(taken, &guard::routed_away(farm, &Side::All), seen)
}

/// Whether a backend that would be emptied has servers that are DOWN, one of which may become the leader.
fn others_may_lead(veto: &Veto, taken: &BTreeSet<Entry>, seen: &BTreeMap<InstanceName, &Seen>) -> bool {
    let Veto::LastServers { backend, .. } = veto else { return false };
    let mut lines = seen.iter().flat_map(|(instance, seen)| {
        let servers = seen.servers.iter();
        servers.map(|(server, now)| (Entry { instance: (*instance).clone(), server: server.clone() }, now))
    });
    lines.any(|(entry, now)| {
        let is_in_backend = format!("{}:{}", entry.instance, entry.server.backend) == *backend;
        is_in_backend && !taken.contains(&entry) && now.is_down() && !now.admin.in_drain()
    })
}

/// The steps of one batch. `ask`: the batch takes traffic, and is asked before it goes out.
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

/// Batches in the order of the members' names. Their own names sort in the same order. Members that are out already
/// come first, in one batch.
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
