//! The servers of a run, as its last looks at HAProxy have seen them: no look is made for a view.

use std::collections::BTreeSet;

use crate::api::RunServerView;
use crate::engine::fleet::reports::Reports;
use crate::farm::{GroupName, InstanceName};
use crate::plan::{PlannedMember, Run, RunState};

/// The members of the group that the run is at or, at a step about several groups, of all groups; at most
/// [`MOST_SERVERS`].
pub(super) fn run_servers(run: &Run, reports: &Reports) -> Vec<RunServerView> {
    let current = run.current().and_then(|step| step.group()).filter(|_| run.state != RunState::Aborting);
    let groups = run.plan.groups.iter().filter(|(group, _)| current.is_none_or(|current| current == *group));
    let members = groups.flat_map(|(group, members)| members.iter().map(move |member| (group, member)));
    members.take(MOST_SERVERS).map(|(group, member)| server_view(run, group, member, reports)).collect()
}

fn server_view(run: &Run, group: &GroupName, member: &PlannedMember, reports: &Reports) -> RunServerView {
    let answers = |name: &InstanceName| reports.get(name).is_some_and(|report| report.reachable);
    let seen = || member.entries.iter().filter_map(|entry| Some((answers(&entry.instance), reports.server(entry)?)));
    let states: BTreeSet<String> =
        seen().map(|(answers, server)| if answers { server.status.clone() } else { "unknown".to_owned() }).collect();
    RunServerView {
        name: member.name.to_string(),
        group: group.to_string(),
        status: if states.is_empty() {
            "unknown".to_owned()
        } else {
            states.into_iter().collect::<Vec<_>>().join(", ")
        },
        in_service: seen().next().is_some() && seen().all(|(answers, server)| answers && server.is_usable()),
        in_flight: seen().map(|(_, server)| server.load.in_flight()).sum(),
        version: run.versions.get(&member.name).cloned(),
        left_out: run.left_out.get(&member.name).map(|left| left.why.clone()),
    }
}

/// The most servers of a view.
const MOST_SERVERS: usize = 200;
