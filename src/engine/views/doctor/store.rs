//! The store: whether each HAProxy agrees with it, and what it keeps of farms and HAProxys that are not configured.

use std::collections::{BTreeMap, BTreeSet};

use super::{error, warning};
use crate::api::FindingView;
use crate::engine::fleet::reports::{Found, Reports};
use crate::engine::retired::left_over::{LeftOver, left_over};
use crate::farm::{Entry, Farm, FarmName, Reason};
use crate::haproxy::AdminState;
use crate::state::State;

/// HAProxys that are not as the store wants them.
pub(super) fn disagreements(state: &State, reports: &Reports) -> Vec<FindingView> {
    let mut findings = Vec::new();
    // A HAProxy that does not answer has a finding already.
    for (name, report) in reports.iter().filter(|(_, report)| report.reachable) {
        let about = || format!("HAProxy {name}");
        let again = "`teeter status` says what differs";
        if report.agreed < state.revision && state.has_sent_commands() {
            findings.push(match (&report.refused, &report.trouble) {
                (Some((_, words)), _) => error(about(), format!("it does not agree with the store: {words}; {again}")),
                (None, Some(words)) => warning(about(), format!("it does not agree with the store: {words}; {again}")),
                (None, None) => warning(about(), format!("it does not agree with the store yet; {again}")),
            });
            continue;
        }
        let withheld: BTreeMap<&str, &Reason> = report
            .withheld
            .maps
            .values()
            .chain(report.withheld.servers.values())
            .map(|why| (why.text(), why))
            .collect();
        findings.extend(withheld.into_values().map(|why| match why {
            Reason::Cannot(words) => error(about(), format!("it does not agree with the store: {words}; {again}")),
            Reason::NotYet(words) => {
                warning(about(), format!("it does not agree with the store yet: {words}; {again}"))
            }
        }));
    }
    findings
}

/// What is left over of farms and HAProxys that are not configured.
pub(super) fn leftovers(state: &State, farms: &BTreeMap<FarmName, Farm>, reports: &Reports) -> Vec<FindingView> {
    let all = left_over(state, farms, &reports.keys().collect());
    let left = all.iter().map(|(what, left)| {
        let back = match servers_out(left, state, reports) {
            servers if servers.is_empty() => String::new(),
            servers => format!("`teeter ready {servers}` brings back what is out, then "),
        };
        let text = format!(
            "it is not configured any more, and the store has {left}: {back}`{}` forgets it",
            what.forget_command()
        );
        warning(what.to_string(), text)
    });
    let runs = state.runs.values().filter(|run| run.is_active() && !farms.contains_key(&run.plan.farm));
    let runs = runs.map(|run| {
        let text = format!("it is not configured any more, and run {0} has not ended: `teeter abort {0}`", run.id);
        warning(format!("farm {}", run.plan.farm), text)
    });
    left.chain(runs).collect()
}

/// The servers that HAProxy has out by holds that are left over, as arguments of a command.
fn servers_out(left: &LeftOver, state: &State, reports: &Reports) -> String {
    let holds = left
        .holds
        .iter()
        .filter(|(id, _)| state.holds.get(id).is_some_and(|hold| hold.wanted_state() > AdminState::Ready));
    let is_out = |entry: &&Entry| match reports.find(entry) {
        Found::Here(server) => server.admin.forced() > AdminState::Ready,
        Found::Gone | Found::Unknown => false,
    };
    let servers: BTreeSet<String> =
        holds.flat_map(|(_, entries)| entries).filter(is_out).map(|entry| entry.server.to_string()).collect();
    servers.into_iter().collect::<Vec<_>>().join(" ")
}
