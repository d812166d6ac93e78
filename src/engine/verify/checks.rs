//! What HAProxy's health checks say of the lines of a hold.

use std::collections::{BTreeMap, BTreeSet};

use crate::engine::fleet::loads::overruled;
use crate::engine::fleet::reports::{Found, Reports, gone, silence};
use crate::farm::{Entry, Hold, InstanceName, MemberName, OutBy, SeenServer, WantedServer, wanted};
use crate::haproxy::{AdminBits, AdminState, ServerRef};
use crate::plan::verify::CheckResult;
use crate::reconcile::InstanceReport;
use crate::state::State;

/// What HAProxy's checks say about each of a hold's lines. `probed`: whether teeter's own request has asked a line.
pub(crate) fn checks(
    hold: &Hold,
    state: &State,
    reports: &Reports,
    probed: impl Fn(&Entry) -> bool,
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
    let there: BTreeSet<(&InstanceName, &MemberName)> =
        hold.entries.iter().filter(in_use).map(|entry| (&entry.instance, hold.names.member(entry))).collect();
    let result = |entry: &Entry| {
        let report = reports.get(&entry.instance)?;
        if let Some(why) = overruled.get(entry) {
            return Some(CheckResult::Cannot(why.clone()));
        }
        let server = match reports.find(entry) {
            // A reload has renamed its backend, or taken one of several away: its member goes on with the lines that it has.
            Found::Gone if there.contains(&(&entry.instance, hold.names.member(entry))) => {
                return Some(CheckResult::Unused(gone(entry)));
            }
            Found::Gone => return Some(CheckResult::Cannot(gone(entry))),
            Found::Here(server) if report.agreed >= hold.revision => match report.untold.servers.get(&entry.server) {
                None => server,
                Some(why) => return Some(CheckResult::NotYet(why.words().to_owned())),
            },
            Found::Here(_) => return Some(CheckResult::NotYet("unknown".to_owned())),
            Found::Unknown => {
                return Some(CheckResult::NotYet(format!("not known: {}", silence(&entry.instance, report))));
            }
        };
        let unused = report.seen.as_ref().and_then(|seen| seen.unused(&entry.server));
        match unused {
            // Without an address a line cannot come back; beside one that can, its member goes on without it.
            Some(OutBy::NoAddress) if !in_use_elsewhere(entry) => {}
            Some(why) => return Some(CheckResult::Unused(why.to_string())),
            None => {}
        }
        let wanted = wanted.get(&entry.instance)?.get(&entry.server)?;
        let (name, root) = root(&entry.server, server, report);
        let result = check((server, root), wanted, report.begun.contains_key(name), probed(entry));
        Some(match (result, aside(entry, hold, server, state)) {
            (CheckResult::Passed | CheckResult::Unasked(_) | CheckResult::KeptOut(_), Some(who)) => {
                CheckResult::KeptOut(who)
            }
            (result, _) => result,
        })
    };
    hold.entries.iter().filter_map(|entry| Some((entry.clone(), result(entry)?))).collect()
}

/// The line whose checks tell of this one: itself, or the last one of those that it tracks.
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

fn check((server, root): (&SeenServer, &SeenServer), wanted: &WantedServer, begun: bool, probed: bool) -> CheckResult {
    if server.admin.0 & AdminBits::RESOLUTION_MAINT != 0 {
        return CheckResult::Cannot(OutBy::NoAddress.to_string());
    }
    // HAProxy pauses checks in maintenance. Another hold, or the line that this one tracks, keeps it there and verifies it
    // later.
    if wanted.state == AdminState::Maint {
        return CheckResult::KeptOut("another hold, or its state before, keeps it in maintenance".to_owned());
    }
    if server.admin.in_maint() && !server.admin.forced_maint() {
        return CheckResult::KeptOut(OutBy::Tracked(server.tracked.clone()).to_string());
    }
    if !root.check.is_enabled() {
        let why = if root.check.is_configured() { "its health checks are switched off" } else { "it has no checks" };
        return match (server.op.is_up(), begun) {
            (true, _) if probed => CheckResult::Passed,
            (true, _) => CheckResult::Unasked(why.to_owned()),
            // It was well before it was told to be down for the proof.
            (false, true) => CheckResult::NotYet(format!("{}, and {why}", server.status)),
            (false, false) => CheckResult::Cannot(format!("{}, and {why}", server.status)),
        };
    }
    // A line that tracks another one follows that one's checks.
    let afresh = wanted.afresh.is_none() || server.tracked.is_some() || begun;
    match (afresh, server.op.is_up()) {
        (true, true) => CheckResult::Passed,
        (true, false) => CheckResult::Down { why: server.check_progress(), passing: root.health > 0 },
        (false, _) => CheckResult::NotYet(server.check_progress()),
    }
}

/// Who keeps a line out once this hold is gone.
fn aside(entry: &Entry, hold: &Hold, server: &SeenServer, state: &State) -> Option<String> {
    let other = state.holds.values().find(|other| other.id != hold.id && other.entries.contains(entry));
    let before = || state.baselines.get(entry).filter(|was| was.state > AdminState::Ready);
    other
        .map(|other| format!("held by {} ({})", other.owner, other.reason))
        .or_else(|| before().map(|was| format!("{}, set outside teeter", was.state)))
        .or_else(|| (server.weight == 0).then(|| OutBy::Weight.to_string()))
        .or_else(|| state.baselines.get(entry).filter(|was| was.agent_down).map(|_| OutBy::Agent.to_string()))
}
