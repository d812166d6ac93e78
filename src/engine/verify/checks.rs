//! The results of HAProxy's health checks of the lines of a hold.

use std::collections::{BTreeMap, BTreeSet};

use crate::engine::fleet::loads::overruled;
use crate::engine::fleet::reports::{Found, Reports, gone, silence};
use crate::farm::{Entry, Hold, InstanceName, MemberName, OutBy, SeenServer, WantedServer, wanted};
use crate::haproxy::{AdminBits, AdminState, ServerRef};
use crate::plan::verify::CheckResult;
use crate::reconcile::InstanceReport;
use crate::state::State;

/// The result of HAProxy's checks of each line of a hold. `is_probed`: whether teeter's own request goes to a line.
pub(crate) fn checks(
    hold: &Hold,
    state: &State,
    reports: &Reports,
    is_probed: impl Fn(&Entry) -> bool,
) -> BTreeMap<Entry, CheckResult> {
    let wanted = wanted(state.holds.values(), &state.baselines);
    let overruled = overruled(hold, state);
    let in_use = |entry: &&Entry| {
        let seen = reports.get(&entry.instance).and_then(|report| report.seen.as_ref());
        seen.is_some_and(|seen| seen.servers.get(&entry.server).is_some() && seen.unused(&entry.server).is_none())
    };
    let used: BTreeSet<&MemberName> =
        hold.entries.iter().filter(in_use).map(|entry| hold.names.member(entry)).collect();
    let in_use_elsewhere = |entry: &Entry| used.contains(hold.names.member(entry));
    let used_in_instance: BTreeSet<(&InstanceName, &MemberName)> =
        hold.entries.iter().filter(in_use).map(|entry| (&entry.instance, hold.names.member(entry))).collect();
    let result = |entry: &Entry| {
        let report = reports.get(&entry.instance)?;
        if let Some(why) = overruled.get(entry) {
            return Some(CheckResult::Cannot(why.clone()));
        }
        let server = match reports.find(entry) {
            // A reload has renamed or removed its backend: the member goes on with its other lines in this HAProxy.
            Found::Gone if used_in_instance.contains(&(&entry.instance, hold.names.member(entry))) => {
                return Some(CheckResult::Unused(gone(entry)));
            }
            Found::Gone => return Some(CheckResult::Cannot(gone(entry))),
            Found::Here(server) if report.agreed >= hold.revision => match report.withheld.servers.get(&entry.server) {
                None => server,
                Some(why) => return Some(CheckResult::NotYet(why.text().to_owned())),
            },
            Found::Here(_) => return Some(CheckResult::NotYet("unknown".to_owned())),
            Found::Unknown => {
                return Some(CheckResult::NotYet(format!("not known: {}", silence(&entry.instance, report))));
            }
        };
        let unused = report.seen.as_ref().and_then(|seen| seen.unused(&entry.server));
        match unused {
            // A line without an address cannot come back; the member goes on without it if it has another line.
            Some(OutBy::NoAddress) if !in_use_elsewhere(entry) => {}
            Some(why) => return Some(CheckResult::Unused(why.to_string())),
            None => {}
        }
        let wanted = wanted.get(&entry.instance)?.get(&entry.server)?;
        let (name, root) = root(&entry.server, server, report);
        let is_started = report.started_verifications.contains_key(name);
        let result = Checked { server, root, wanted, is_started, is_probed: is_probed(entry) }.result();
        Some(match (result, kept_out_by(entry, hold, server, state)) {
            (CheckResult::Passed | CheckResult::Unasked(_) | CheckResult::KeptOut(_), Some(why)) => {
                CheckResult::KeptOut(why)
            }
            (result, _) => result,
        })
    };
    hold.entries.iter().filter_map(|entry| Some((entry.clone(), result(entry)?))).collect()
}

/// The line whose checks decide about this one: the line itself, or the last one in the chain of lines that it tracks.
fn root<'a>(
    name: &'a ServerRef,
    server: &'a SeenServer,
    report: &'a InstanceReport,
) -> (&'a ServerRef, &'a SeenServer) {
    let (mut name, mut server) = (name, server);
    let servers = report.seen.as_ref().map(|seen| &seen.servers);
    while let (Some(tracked), Some(servers)) = (&server.tracked, servers) {
        let Some(next) = servers.get(tracked) else { break };
        (name, server) = (tracked, next);
    }
    (name, server)
}

/// A line as HAProxy has it now.
struct Checked<'a> {
    server: &'a SeenServer,
    /// The line whose checks decide about this one.
    root: &'a SeenServer,
    wanted: &'a WantedServer,
    /// Whether teeter has started new checks for this verification.
    is_started: bool,
    /// Whether teeter's own request goes to this line.
    is_probed: bool,
}

impl Checked<'_> {
    fn result(&self) -> CheckResult {
        let Self { server, root, wanted, is_started, is_probed } = *self;
        if server.admin.0 & AdminBits::RESOLUTION_MAINT != 0 {
            return CheckResult::Cannot(OutBy::NoAddress.to_string());
        }
        // HAProxy pauses checks in maintenance. Another hold, or the line that this one tracks, keeps it there and
        // verifies it later.
        if wanted.state == AdminState::Maint {
            return CheckResult::KeptOut("another hold, or its state before, keeps it in maintenance".to_owned());
        }
        if server.admin.in_maint() && !server.admin.forced_maint() {
            return CheckResult::KeptOut(OutBy::Tracked(server.tracked.clone()).to_string());
        }
        if !root.check.is_enabled() {
            let why =
                if root.check.is_configured() { "its health checks are switched off" } else { "it has no checks" };
            return match (server.op.is_up(), is_started) {
                (true, _) if is_probed => CheckResult::Passed,
                (true, _) => CheckResult::Unasked(why.to_owned()),
                // It was healthy before teeter set it to down for the verification.
                (false, true) => CheckResult::NotYet(format!("{}, and {why}", server.status)),
                (false, false) => CheckResult::Cannot(format!("{}, and {why}", server.status)),
            };
        }
        // A line that tracks another one has the results of that one's checks.
        let has_new_checks = wanted.new_checks_since.is_none() || server.tracked.is_some() || is_started;
        match (has_new_checks, server.op.is_up()) {
            (true, true) => CheckResult::Passed,
            (true, false) => CheckResult::Down { why: server.check_progress(), passing: root.health > 0 },
            (false, _) => CheckResult::NotYet(server.check_progress()),
        }
    }
}

/// Why a line stays out after the end of this hold; `None`: it does not.
fn kept_out_by(entry: &Entry, hold: &Hold, server: &SeenServer, state: &State) -> Option<String> {
    let other = state.holds.values().find(|other| other.id != hold.id && other.entries.contains(entry));
    let before = || state.baselines.get(entry).filter(|was| was.state > AdminState::Ready);
    other
        .map(|other| format!("held by {} ({})", other.owner, other.reason))
        .or_else(|| before().map(|was| format!("{}, set outside teeter", was.state)))
        .or_else(|| (server.weight == 0).then(|| OutBy::Weight.to_string()))
        .or_else(|| state.baselines.get(entry).filter(|was| was.agent_down).map(|_| OutBy::Agent.to_string()))
}
