//! Who is left in service when a run's step takes a group out.

use crate::engine::fleet::reports::Reports;
use std::collections::BTreeSet;

use crate::farm::{Entry, GroupName, Hold, Layout, Owner, SeenServer, Side};
use crate::haproxy::AdminState;
use crate::plan::guard::{in_service, last_servers, led_away};
use crate::plan::roles::has_roles;
use crate::plan::{Run, Step, Strategy, Veto};

use crate::state::State;

/// The members that would be in service if the step were done now; `None` where it takes nobody out and gives nobody
/// traffic, or takes nobody away who serves. A batch is not taken out because it is down for a moment: it waits for others
/// all the same.
pub(crate) fn stays(run: &Run, state: &State, reports: &Reports) -> Option<usize> {
    match run.current()? {
        // What a run before has left out is out already.
        Step::Out { group, .. } if is_out(run, group, state) => None,
        Step::Out { group, .. } => {
            let (left, now) = left_without(run, group, state, reports);
            (left < now || run.plan.strategy == Strategy::Rolling).then_some(left)
        }
        Step::Flip { hold, .. } => Some(serving(run, |group| !hold.contains(group), true, state, reports)),
        // Who is tried is counted alone: a share of the visitors has nobody else.
        Step::Share { group, .. } => Some(serving(run, |of| of == group, false, state, reports)),
        _ => None,
    }
}

/// The backend that would be left without a server if a batch went out now; nothing where an outage is wanted, or where
/// nobody is taken out.
pub(crate) fn last_of(run: &Run, reports: &Reports) -> Option<String> {
    let Step::Out { group, .. } = run.current()? else { return None };
    if run.plan.strategy != Strategy::Rolling || run.plan.needed == 0 || run.step.acted.is_some() {
        return None;
    }
    let ours = run.members(group).flat_map(|member| &member.entries).cloned().collect();
    let away = led_away(&run.plan.flip, &Side::All);
    last_servers(&ours, &away, &reports.seen()).into_iter().find_map(|veto| match veto {
        Veto::LastServers { backend, .. } => Some(backend),
        _ => None,
    })
}

/// Whether this run holds all of a group before it has taken it out.
fn is_out(run: &Run, group: &GroupName, state: &State) -> bool {
    let ours = |entry: &Entry| {
        state.holds.values().any(|hold| hold.owner == Owner::Run(run.id) && hold.entries.contains(entry))
    };
    run.members(group).flat_map(|member| &member.entries).all(ours)
}

/// How many are in service without a group, and how many with it.
fn left_without(run: &Run, group: &GroupName, state: &State, reports: &Reports) -> (usize, usize) {
    let seen = reports.seen();
    let planned = run.plan.groups.values().flatten().map(|member| (member.name.clone(), member.entries.clone()));
    // Whoever is left alone and takes traffic is in service like any other.
    let aside = run.plan.skipped_lines.iter().map(|(member, entries)| (member.clone(), entries.clone()));
    let layout = Layout { members: planned.chain(aside).collect(), leader: run.plan.leader, ..Layout::default() };
    // Whom somebody has taken out a moment ago may still be seen to serve.
    let out = state.holds.values().filter(|hold| hold.wanted_state() > AdminState::Ready);
    let out: BTreeSet<Entry> = out.flat_map(|hold| &hold.entries).cloned().collect();
    let ours = run.members(group).flat_map(|member| &member.entries).cloned().collect();
    (in_service(&layout, &(&out | &ours), &seen), in_service(&layout, &out, &seen))
}

/// How many members of these groups are in service once the step is done: those that this run brings in or that are in,
/// and that nobody else keeps out.
fn serving(run: &Run, counts: impl Fn(&GroupName) -> bool, aside_too: bool, state: &State, reports: &Reports) -> usize {
    let ours = |hold: &Hold| hold.owner == Owner::Run(run.id);
    let serves = |entry: &Entry| {
        let on = |hold: &&Hold| hold.entries.contains(entry);
        let others = state.holds.values().filter(on).any(|hold| !ours(hold));
        let by_hand = state.baselines.get(entry).is_some_and(|was| was.state != AdminState::Ready);
        let comes_in = state.holds.values().filter(on).any(ours);
        !others && !by_hand && (comes_in || reports.not_up(entry).is_none())
    };
    let groups = run.plan.groups.keys().filter(|group| counts(group));
    let all = run.plan.groups.values().flatten().map(|member| (member.name.clone(), member.entries.clone()));
    let layout = Layout { members: all.collect(), leader: run.plan.leader, ..Layout::default() };
    let roles = has_roles(&layout, &reports.seen());
    let in_service = |entries: &[Entry]| if roles { entries.iter().any(serves) } else { entries.iter().all(serves) };
    let planned = groups.flat_map(|group| run.members(group)).filter(|member| in_service(&member.entries)).count();
    // Behind a route, a member that is left alone may be on the side that the traffic leaves. A spare slot is left alone,
    // too, and serves nothing.
    let aside = run.plan.skipped_lines.values().filter(|_| run.plan.flip.route.is_empty() && aside_too);
    let takes_traffic = |entry: &Entry| reports.server(entry).is_some_and(SeenServer::is_usable);
    planned + aside.filter(|entries| in_service(entries) && entries.iter().any(takes_traffic)).count()
}
