//! teeter's requests to the servers of holds that are about to come back: one task for each member, until it passes.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::engine::Engine;
use crate::engine::fleet::reports::{Found, Reports, gone};
use crate::engine::memory::{Probing, Results, put};
use crate::engine::verify::judge::{MustShow, failed};
use crate::farm::{AfterVerify, Entry, Hold, HttpProbe, MemberName, OutBy, Verification};
use crate::plan::verify::ProbeResult;
use crate::platform::lock;
use crate::state::{Change, State};

/// The address of a member, and the request to it.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    pub(crate) address: String,
    pub(crate) probe: HttpProbe,
}

/// How a member can be probed. A member with several lines uses the last of these that applies to one of them.
enum Reachable {
    /// It needs no request.
    NotNeeded,
    /// HAProxy does not have its line any more.
    Gone(String),
    /// HAProxy has no address for it.
    NoAddress,
    /// HAProxy has not answered yet, so the address is unknown.
    Unknown,
    At(Box<Target>),
}

impl Engine {
    /// The answers to a hold's probes so far. Starts probes that do not run yet. `None`: no member needs a probe.
    pub(crate) fn probes(
        self: &Arc<Self>,
        hold: &Hold,
        verification: &Verification,
        state: &State,
        reports: &Reports,
    ) -> Option<BTreeMap<MemberName, ProbeResult>> {
        let mut targets: BTreeMap<&MemberName, Reachable> = BTreeMap::new();
        for entry in &hold.entries {
            let target = self.target(hold, entry, state, reports);
            let best = targets.entry(hold.names.member(entry)).or_insert(Reachable::NotNeeded);
            if rank(&target) > rank(best) {
                *best = target;
            }
        }
        if targets.values().all(|target| matches!(target, Reachable::NotNeeded)) {
            return None;
        }
        let must_show = MustShow::for_hold(hold, &verification.versions, state);
        let mut memory = self.memory();
        let memory = memory.for_hold(hold);
        if memory.probing.as_ref().is_none_or(|probing| probing.since != verification.since) {
            memory.probing = Some(Probing::new(verification.since));
        }
        let probing = memory.probing.as_mut()?;
        let mut answers = BTreeMap::new();
        for (member, target) in targets {
            let answer = match target {
                Reachable::NotNeeded => Some(ProbeResult::Passed { version: None }),
                // A release can do without a removed server; a deploy cannot.
                Reachable::Gone(_) if verification.then == AfterVerify::Release => {
                    Some(ProbeResult::Passed { version: None })
                }
                Reachable::Gone(why) => Some(failed(why)),
                Reachable::NoAddress => Some(failed("has no address: HAProxy has not resolved its name".to_owned())),
                // Just after the start of teeterd, HAProxy may not have answered yet.
                Reachable::Unknown => Some(failed("has not been asked yet".to_owned())),
                Reachable::At(target) => {
                    probing.tasks.entry(member.clone()).or_insert_with(|| {
                        let results = Arc::clone(&probing.results);
                        let asking = ask(Arc::clone(self), member.clone(), *target, must_show.clone(), results);
                        self.platform.spawn(asking).abort_handle()
                    });
                    lock(&probing.results).get(member).cloned()
                }
            };
            answers.extend(answer.map(|answer| (member.clone(), answer)));
        }
        Some(answers)
    }

    fn target(&self, hold: &Hold, entry: &Entry, state: &State, reports: &Reports) -> Reachable {
        let Some(probe) = self.verify_settings(state, hold, entry).http else { return Reachable::NotNeeded };
        let seen = reports.get(&entry.instance).and_then(|report| report.seen.as_ref());
        let unused = seen.and_then(|seen| seen.unused(&entry.server));
        match reports.find(entry) {
            // A line that is not in use may have a placeholder for an address.
            Found::Here(_) if matches!(unused, Some(OutBy::Configuration | OutBy::Backend(_))) => Reachable::NotNeeded,
            Found::Unknown => Reachable::Unknown,
            Found::Gone => Reachable::Gone(gone(entry)),
            // Only HAProxy can reach such a server: its checks verify it.
            Found::Here(server) if server.is_on_socket() => Reachable::NotNeeded,
            Found::Here(server) if server.address.is_empty() => Reachable::NoAddress,
            Found::Here(server) => Reachable::At(Box::new(Target { address: server.endpoint(), probe })),
        }
    }

    /// Writes the versions that members have shown into their run.
    pub(crate) fn versions_learned(&self, hold: &Hold, state: &State) -> Vec<Change> {
        let Some(id) = hold.owner.run() else { return Vec::new() };
        let mut memory = self.memory();
        let Some(probing) = &memory.for_hold(hold).probing else { return Vec::new() };
        let results = lock(&probing.results);
        let shown = results.iter().filter_map(|(member, result)| match result {
            ProbeResult::Passed { version: Some(version) } => Some((member.clone(), version.clone())),
            _ => None,
        });
        let shown: Vec<_> = shown.collect();
        let Some(run) = state.runs.get(&id).filter(|_| !shown.is_empty()) else { return Vec::new() };
        let mut run = run.clone();
        run.versions.extend(shown);
        vec![Change::PutRun(Box::new(run))]
    }
}

fn rank(target: &Reachable) -> u8 {
    match target {
        Reachable::NotNeeded => 0,
        Reachable::Gone(_) => 1,
        Reachable::NoAddress => 2,
        Reachable::Unknown => 3,
        Reachable::At(_) => 4,
    }
}

/// Sends requests to a member until its answer passes.
pub(crate) async fn ask(
    engine: Arc<Engine>,
    member: MemberName,
    target: Target,
    must_show: MustShow,
    results: Results<ProbeResult>,
) {
    loop {
        let result = must_show.judge(engine.prober.probe(target.address.clone(), target.probe.clone()).await);
        let passed = matches!(result, ProbeResult::Passed { .. });
        put(&results, &member, result);
        engine.fleet.nudge.notify_one();
        if passed {
            return;
        }
        tokio::time::sleep(ASK_AGAIN).await;
    }
}

const ASK_AGAIN: Duration = Duration::from_millis(250);
