//! Turning reports into the facts that `plan` decides by, and the store's state into orders.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::engine::Engine;
use crate::engine::fleet::reach::silence;
use crate::engine::record::ledger::Ledger;
use crate::engine::runs::bake::watched;
use crate::farm::{
    Emptying, Entry, Farm, Hold, InstanceName, Load, MemberName, OnDeadline, OutBy, Owner, Reason, SeenServer, Stage,
    Stays, Sticky, VerifySettings, WantedServer, keys, wanted, wanted_maps,
};
use crate::haproxy::{AdminBits, AdminState, BackendName, MapKey, MapName, ServerRef};
use crate::plan::Plan;
use crate::plan::machine::Confirmation;
use crate::plan::verify::CheckResult;
use crate::reconcile::{Draining, Instance, InstanceReport, Order};
use crate::state::{Observed, ObservedInstance, State};

impl Engine {
    /// Tells every instance what the store says now.
    pub(crate) fn publish(&self, ledger: &Ledger) {
        let state = &ledger.state;
        let mut all = wanted(state.holds.values(), &state.baselines);
        for server in all.values_mut().flat_map(|servers| servers.iter_mut()) {
            server.1.on_drift = self.on_drift(server.0);
        }
        let mut maps = wanted_maps(state.routes.values(), state.holds.values());
        let farms = self.farms();
        let configured = asked_of(farms.values());
        for (name, instance) in &self.instances {
            let of = |pick: fn(&Hold) -> bool| {
                let holds = state.holds.values().filter(|hold| pick(hold));
                let entries = holds.flat_map(|hold| &hold.entries).filter(|entry| entry.instance == *name);
                Arc::new(entries.map(|entry| entry.server.clone()).collect::<BTreeSet<_>>())
            };
            let draining = state.holds.values().filter_map(|hold| {
                let Stage::Draining(Emptying { mode, hardened, .. }) = hold.stage else { return None };
                let entries = hold.entries.iter().filter(|entry| entry.instance == *name);
                let servers: BTreeSet<_> = entries.map(|entry| entry.server.clone()).collect();
                (!servers.is_empty()).then(|| Draining {
                    servers,
                    last: hardened && mode >= hold.ladder.last,
                    // Of servers that stay in drain it is told who may come back.
                    sticks: hold.ladder.stays == Stays::Sticky && (!hardened || mode == AdminState::Drain),
                    idle: hold.ladder.idle,
                })
            });
            let maps = maps.remove(name).unwrap_or_default();
            let order = Order {
                revision: state.revision,
                wanted: Arc::new(all.remove(name).unwrap_or_default()),
                keys: Arc::new(configured.iter().cloned().chain(keys(&maps)).collect()),
                maps: Arc::new(maps),
                draining: Arc::new(draining.collect()),
                watched: Arc::new(watched(state.runs.values(), name).into_iter().collect()),
                follows: state.holds.values().any(|hold| hold.reach.follows),
                spreads: state.holds.values().any(Hold::may_spread),
                kill: of(|hold| {
                    matches!(hold.stage, Stage::Draining(Emptying { killed: Some(_), .. }))
                        && hold.ladder.on_deadline == OnDeadline::Kill
                }),
            };
            instance.orders.send_replace(order);
        }
        self.bump();
    }

    /// The same where an instance does not know it yet: a change that begins nothing is nobody else's to tell, nor is one
    /// that the disk kept and refused.
    pub(crate) fn publish_news(&self, ledger: &Ledger) {
        let knows = |instance: &Instance| instance.orders.borrow().revision == ledger.state.revision;
        if !self.instances.values().all(knows) {
            self.publish(ledger);
        }
    }

    /// What a member has to show before it comes back: what its run or its farm says.
    pub(crate) fn verify_settings(&self, state: &State, hold: &Hold, entry: &Entry) -> VerifySettings {
        if let Owner::Run(id) = hold.owner
            && let Some(run) = state.runs.get(&id)
        {
            return run.plan.verify.clone();
        }
        let farms = self.farms();
        let farm = farms.values().find(|farm| farm.has(&entry.server));
        farm.map_or_else(
            || VerifySettings { deadline: self.of_holds_elsewhere().verify_deadline, ..VerifySettings::default() },
            |farm| farm.settings.verify.clone(),
        )
    }
}

/// The lines of a hold on which somebody else has set less than it wants, and that are left so.
pub(crate) fn overruled(hold: &Hold, state: &State) -> BTreeMap<Entry, String> {
    let overruled = hold.entries.iter().filter_map(|entry| Some((entry, state.baselines.get(entry)?.overruled?)));
    let looser = overruled.filter(|(_, overruled)| overruled.state < hold.wants());
    looser.map(|(entry, overruled)| (entry.clone(), format!("set to {} by somebody else", overruled.state))).collect()
}

/// The entries of maps that the configuration names.
pub(crate) fn asked_of<'a>(farms: impl Iterator<Item = &'a Farm>) -> BTreeSet<(MapName, MapKey)> {
    let mut keys = BTreeSet::new();
    for flip in farms.map(|farm| &farm.settings.flip) {
        for route in &flip.route {
            keys.insert((route.map.clone(), route.key.clone()));
            keys.extend(route.versions().filter(|_| flip.sticky() == Sticky::Pin).map(|(_, entry)| entry));
        }
    }
    keys
}

/// What HAProxy makes of the change that was stored as `revision`, as far as it concerns `entries` and `maps`, those
/// HAProxys left aside that are away.
pub(crate) fn confirmation<'a>(
    revision: u64,
    entries: impl Iterator<Item = &'a Entry>,
    maps: &BTreeSet<&MapName>,
    reports: &BTreeMap<InstanceName, InstanceReport>,
    aside: &BTreeSet<InstanceName>,
) -> Confirmation {
    let mut lines: BTreeMap<&InstanceName, Vec<&ServerRef>> = BTreeMap::new();
    entries.for_each(|entry| lines.entry(&entry.instance).or_default().push(&entry.server));
    let mut pending = Vec::new();
    let mut trouble = None;
    for (name, servers) in lines.into_iter().filter(|(name, _)| !aside.contains(*name)) {
        let Some(report) = reports.get(name) else {
            trouble = Some("it is not configured any more".to_owned());
            pending.push(name.clone());
            continue;
        };
        match &report.refused {
            Some((refused, words)) if *refused >= revision => return Confirmation::Refused(words.clone()),
            _ if report.agreed >= revision => match report.untold.of(maps.iter().copied(), servers) {
                Some(Reason::Cannot(words)) => return Confirmation::Refused(words.clone()),
                Some(Reason::NotYet(words)) => {
                    trouble = trouble.or_else(|| Some(words.clone()));
                    pending.push(name.clone());
                }
                None => {}
            },
            _ => {
                trouble = trouble.or_else(|| report.trouble.clone());
                pending.push(name.clone());
            }
        }
    }
    if pending.is_empty() { Confirmation::Agreed } else { Confirmation::Pending { instances: pending, trouble } }
}

/// What one instance is not told of a hold: of its lines, or of the maps by which its run turns the traffic.
pub(crate) fn untold<'a>(
    hold: &Hold,
    instance: &InstanceName,
    report: &'a InstanceReport,
    state: &State,
) -> Option<&'a Reason> {
    if report.untold.is_empty() {
        return None;
    }
    let run = hold.owner.run().and_then(|id| state.runs.get(&id));
    let maps = run.map(|run| maps_of(&run.plan)).unwrap_or_default();
    let mine = hold.entries.iter().filter(|entry| entry.instance == *instance);
    report.untold.of(maps, mine.map(|entry| &entry.server))
}

/// The maps by which a plan turns the traffic.
pub(crate) fn maps_of(plan: &Plan) -> BTreeSet<&MapName> {
    plan.flip.route.iter().map(|key| &key.map).collect()
}

/// The loads of a hold's lines in one instance.
pub(crate) fn loads(hold: &Hold, instance: &InstanceName, report: &InstanceReport) -> BTreeMap<Entry, Load> {
    let Some(seen) = &report.seen else { return BTreeMap::new() };
    let mine = hold.entries.iter().filter(|entry| entry.instance == *instance);
    let old = |server: &ServerRef| report.old.iter().filter_map(|worker| worker.in_flight.get(server)).sum();
    let load = |server: &ServerRef| match seen.servers.get(server) {
        Some(server) => server.load,
        // A line that is gone from the configuration may still be served by who had it.
        None => Load { old: old(server), ..Load::default() },
    };
    let mut loads: BTreeMap<Entry, Load> = mine.map(|entry| (entry.clone(), load(&entry.server))).collect();
    // Requests of a backend that is out as a whole may still be on their way to one of its servers: those that wait
    // for their body, or for a second try. They are counted on the first of them.
    let backends: BTreeSet<BackendName> = loads.keys().map(|entry| entry.server.backend.clone()).collect();
    for backend in &backends {
        let is_held =
            |server: &ServerRef| loads.contains_key(&Entry { instance: instance.clone(), server: server.clone() });
        let mut servers = seen.servers.of(backend).map(|(server, _)| server).peekable();
        if servers.peek().is_none() || !servers.all(is_held) {
            continue;
        }
        if let Some((_, load)) = loads.iter_mut().find(|(entry, _)| entry.server.backend == *backend) {
            let old: u64 = report.old.iter().filter_map(|worker| worker.between.get(backend)).sum();
            load.qcur += seen.between(backend);
            load.old += old;
        }
    }
    loads
}

/// A line as HAProxy has it, or why it is not known.
pub(crate) enum Found<'a> {
    /// HAProxy has not answered.
    Unknown,
    /// HAProxy does not have it any more.
    Gone,
    Here(&'a SeenServer),
}

/// Looks a line up.
pub(crate) fn find<'a>(entry: &Entry, reports: &'a BTreeMap<InstanceName, InstanceReport>) -> Found<'a> {
    let report = reports.get(&entry.instance).filter(|report| report.reachable);
    let Some(seen) = report.and_then(|report| report.seen.as_ref()) else { return Found::Unknown };
    seen.servers.get(&entry.server).map_or(Found::Gone, Found::Here)
}

/// What is said of a line that is not there.
pub(crate) fn gone(entry: &Entry) -> String {
    format!("is not in HAProxy {} any more", entry.instance)
}

/// What HAProxy's checks say about each of a hold's lines. `probed`: whether teeter's own request has asked a line.
pub(crate) fn checks(
    hold: &Hold,
    state: &State,
    reports: &BTreeMap<InstanceName, InstanceReport>,
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
        let server = match find(entry, reports) {
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
            (CheckResult::Passed | CheckResult::Unasked(_) | CheckResult::Aside(_), Some(who)) => {
                CheckResult::Aside(who)
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
    // Checks are paused in maintenance: somebody else, or the line that it tracks, keeps it there and proves it later.
    if wanted.state == AdminState::Maint {
        return CheckResult::Aside("somebody else keeps it in maintenance".to_owned());
    }
    if server.admin.in_maint() && !server.admin.forced_maint() {
        return CheckResult::Aside(OutBy::Tracked(server.tracked.clone()).to_string());
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
        (true, false) => CheckResult::Down { why: server.standing(), passing: root.health > 0 },
        (false, _) => CheckResult::NotYet(server.standing()),
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

/// A line as it was last seen.
pub(crate) fn seen_server<'a>(
    entry: &Entry,
    reports: &'a BTreeMap<InstanceName, InstanceReport>,
) -> Option<&'a SeenServer> {
    reports.get(&entry.instance)?.seen.as_ref()?.servers.get(&entry.server)
}

/// Whether a line takes traffic, and HAProxy's word for it where it does not.
pub(crate) fn not_up(entry: &Entry, reports: &BTreeMap<InstanceName, InstanceReport>) -> Option<String> {
    let seen = reports.get(&entry.instance)?.seen.as_ref()?;
    let server = seen.servers.get(&entry.server)?;
    (!server.is_usable() && server.weight > 0 && seen.unused(&entry.server).is_none()).then(|| server.status.clone())
}

/// Lines that share the maintenance of `entries` by tracking them, directly or not.
pub(crate) fn with_trackers(
    entries: &BTreeSet<Entry>,
    reports: &BTreeMap<InstanceName, InstanceReport>,
) -> BTreeSet<Entry> {
    observed(reports).with_trackers(entries)
}

/// The last answer of each HAProxy, as changes of the state are worked out from it.
pub(crate) fn observed(reports: &BTreeMap<InstanceName, InstanceReport>) -> Observed<'_> {
    let answers = reports.iter().filter_map(|(name, report)| {
        Some((name, ObservedInstance { socket: &report.socket, seen: report.seen.as_deref()? }))
    });
    answers.collect()
}
