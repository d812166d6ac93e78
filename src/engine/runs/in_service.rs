//! The members that are left in service when a run's step takes a group out.
//!
//! Two rules count them, because a step is judged before it is done. `plan::guard::in_service` counts what HAProxy
//! shows: servers that are usable now, without those that go out. That is right for a step that only takes servers out.
//! A flip also brings servers in, which HAProxy does not show as usable yet. For it `in_service_after` counts what will
//! be: a server that the run holds comes in, one that another hold or a manual change keeps out does not.

use std::collections::BTreeSet;

use crate::engine::fleet::reports::Reports;
use crate::farm::{Entry, GroupName, Hold, Layout, Owner, SeenServer, Side};
use crate::haproxy::AdminState;
use crate::plan::guard::{in_service, last_servers, led_away};
use crate::plan::roles::has_roles;
use crate::plan::{Run, Step, Strategy, Veto};
use crate::state::State;

/// How many members would be in service if the run's step were done now; `None` if the step takes no serving member out
/// and gives no member traffic. A rolling batch counts even if it is down for a moment: it waits for other members
/// then, too.
pub(crate) fn left_in_service(run: &Run, state: &State, reports: &Reports) -> Option<usize> {
    match run.current()? {
        // The group is out already, by an earlier run.
        Step::Out { group, .. } if is_out(run, group, state) => None,
        Step::Out { group, .. } => {
            let (left, now) = in_service_without(run, group, state, reports);
            (left < now || run.plan.strategy == Strategy::Rolling).then_some(left)
        }
        Step::Flip { hold, .. } => Some(in_service_after(run, |group| !hold.contains(group), true, state, reports)),
        // The canary group is counted alone: its share of the clients has no other servers.
        Step::Share { group, .. } => Some(in_service_after(run, |other| other == group, false, state, reports)),
        _ => None,
    }
}

/// The backend that would be left without a server if a batch went out now; `None` if there is none, if an outage is
/// allowed, or if the step takes no server out.
pub(crate) fn emptied_backend(run: &Run, reports: &Reports) -> Option<String> {
    let Step::Out { group, .. } = run.current()? else { return None };
    if run.plan.strategy != Strategy::Rolling || run.plan.needed == 0 || run.step.acted.is_some() {
        return None;
    }
    let ours = run.members(group).flat_map(|member| &member.entries).cloned().collect();
    let idle_backends = led_away(&run.plan.flip, &Side::All);
    last_servers(&ours, &idle_backends, &reports.seen()).into_iter().find_map(|veto| match veto {
        Veto::LastServers { backend, .. } => Some(backend),
        _ => None,
    })
}

/// Whether this run holds all of a group before the step that takes the group out.
fn is_out(run: &Run, group: &GroupName, state: &State) -> bool {
    let ours = |entry: &Entry| {
        state.holds.values().any(|hold| hold.owner == Owner::Run(run.id) && hold.entries.contains(entry))
    };
    run.members(group).flat_map(|member| &member.entries).all(ours)
}

/// How many members are in service without a group, and how many with it, by what HAProxy shows.
fn in_service_without(run: &Run, group: &GroupName, state: &State, reports: &Reports) -> (usize, usize) {
    let seen = reports.seen();
    let planned = run.plan.groups.values().flatten().map(|member| (member.name.clone(), member.entries.clone()));
    // A skipped member that takes traffic is in service like any other.
    let skipped = run.plan.skipped_lines.iter().map(|(member, entries)| (member.clone(), entries.clone()));
    let layout = Layout { members: planned.chain(skipped).collect(), leader: run.plan.leader, ..Layout::default() };
    // A server that a hold took out a moment ago may still be seen to serve.
    let out = state.holds.values().filter(|hold| hold.wanted_state() > AdminState::Ready);
    let out: BTreeSet<Entry> = out.flat_map(|hold| &hold.entries).cloned().collect();
    let ours = run.members(group).flat_map(|member| &member.entries).cloned().collect();
    (in_service(&layout, &(&out | &ours), &seen), in_service(&layout, &out, &seen))
}

/// How many members of these groups are in service once the step is done: members that this run brings in or that are
/// in service now, and that no other hold or manual change keeps out. Skipped members count on request.
fn in_service_after(
    run: &Run,
    counts: impl Fn(&GroupName) -> bool,
    with_skipped: bool,
    state: &State,
    reports: &Reports,
) -> usize {
    let ours = |hold: &Hold| hold.owner == Owner::Run(run.id);
    let serves = |entry: &Entry| {
        let holds_line = |hold: &&Hold| hold.entries.contains(entry);
        let others = state.holds.values().filter(holds_line).any(|hold| !ours(hold));
        let by_hand = state.baselines.get(entry).is_some_and(|was| was.state != AdminState::Ready);
        let comes_in = state.holds.values().filter(holds_line).any(ours);
        !others && !by_hand && (comes_in || reports.not_up(entry).is_none())
    };
    let groups = run.plan.groups.keys().filter(|group| counts(group));
    let all = run.plan.groups.values().flatten().map(|member| (member.name.clone(), member.entries.clone()));
    let layout = Layout { members: all.collect(), leader: run.plan.leader, ..Layout::default() };
    let roles = has_roles(&layout, &reports.seen());
    let in_service = |entries: &[Entry]| if roles { entries.iter().any(serves) } else { entries.iter().all(serves) };
    let planned = groups.flat_map(|group| run.members(group)).filter(|member| in_service(&member.entries)).count();
    // Behind a route, a skipped member may be on the side that the traffic leaves. A spare slot is skipped, too, and
    // takes no traffic.
    let skipped = run.plan.skipped_lines.values().filter(|_| run.plan.flip.route.is_empty() && with_skipped);
    let takes_traffic = |entry: &Entry| reports.server(entry).is_some_and(SeenServer::is_usable);
    planned + skipped.filter(|entries| in_service(entries) && entries.iter().any(takes_traffic)).count()
}
