//! Asking the servers of holds that are to come back: one task for each member, until it answers well.

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

/// How a member can be asked; the later, the better.
enum Target {
    /// Nothing is to be asked.
    Nothing,
    /// HAProxy does not have its lines any more.
    Gone(String),
    /// HAProxy has no address for it.
    NoAddress,
    /// HAProxy has not told its address yet.
    Unknown,
    At(String, Box<HttpProbe>),
}

impl Engine {
    /// The answers to a hold's probes so far. Starts probes that do not run yet. `None`: nothing is to be probed.
    pub(crate) fn probes(
        self: &Arc<Self>,
        hold: &Hold,
        verification: &Verification,
        state: &State,
        reports: &Reports,
    ) -> Option<BTreeMap<MemberName, ProbeResult>> {
        let mut targets: BTreeMap<&MemberName, Target> = BTreeMap::new();
        for entry in &hold.entries {
            let target = self.target(hold, entry, state, reports);
            let best = targets.entry(hold.names.member(entry)).or_insert(Target::Nothing);
            if rank(&target) > rank(best) {
                *best = target;
            }
        }
        if targets.values().all(|target| matches!(target, Target::Nothing)) {
            return None;
        }
        let must_show = MustShow::of(hold, &verification.versions, state);
        let mut memory = self.memory();
        let memory = memory.for_hold(hold);
        if memory.probing.as_ref().is_none_or(|probing| probing.since != verification.since) {
            memory.probing = Some(Probing::new(verification.since));
        }
        let probing = memory.probing.as_mut()?;
        let mut answers = BTreeMap::new();
        for (member, target) in targets {
            let answer = match target {
                Target::Nothing => Some(ProbeResult::Passed { version: None }),
                // What is not there has nothing to show, and a deploy needs it.
                Target::Gone(_) if verification.then == AfterVerify::Release => {
                    Some(ProbeResult::Passed { version: None })
                }
                Target::Gone(why) => Some(failed(why)),
                Target::NoAddress => Some(failed("has no address: HAProxy has not resolved its name".to_owned())),
                // Just after the start HAProxy may not have answered yet.
                Target::Unknown => Some(failed("has not been asked yet".to_owned())),
                Target::At(address, probe) => {
                    probing.tasks.entry(member.clone()).or_insert_with(|| {
                        let results = Arc::clone(&probing.results);
                        let asking =
                            ask(Arc::clone(self), member.clone(), (address, *probe), must_show.clone(), results);
                        self.platform.spawn(asking).abort_handle()
                    });
                    lock(&probing.results).get(member).cloned()
                }
            };
            answers.extend(answer.map(|answer| (member.clone(), answer)));
        }
        Some(answers)
    }

    fn target(&self, hold: &Hold, entry: &Entry, state: &State, reports: &Reports) -> Target {
        let Some(probe) = self.verify_settings(state, hold, entry).http else { return Target::Nothing };
        let seen = reports.get(&entry.instance).and_then(|report| report.seen.as_ref());
        let unused = seen.and_then(|seen| seen.unused(&entry.server));
        match reports.find(entry) {
            // What stands on such a line may be a place holder.
            Found::Here(_) if matches!(unused, Some(OutBy::Configuration | OutBy::Backend(_))) => Target::Nothing,
            Found::Unknown => Target::Unknown,
            Found::Gone => Target::Gone(gone(entry)),
            // HAProxy's checks verify servers that only HAProxy can reach.
            Found::Here(server) if server.is_on_socket() => Target::Nothing,
            Found::Here(server) if server.address.is_empty() => Target::NoAddress,
            Found::Here(server) => Target::At(server.endpoint(), Box::new(probe)),
        }
    }

    /// Writes the versions that members have told into their run.
    pub(crate) fn versions_learned(&self, hold: &Hold, state: &State) -> Vec<Change> {
        let Some(id) = hold.owner.run() else { return Vec::new() };
        let mut memory = self.memory();
        let Some(probing) = &memory.for_hold(hold).probing else { return Vec::new() };
        let results = lock(&probing.results);
        let told = results.iter().filter_map(|(member, result)| match result {
            ProbeResult::Passed { version: Some(version) } => Some((member.clone(), version.clone())),
            _ => None,
        });
        let told: Vec<_> = told.collect();
        let Some(run) = state.runs.get(&id).filter(|_| !told.is_empty()) else { return Vec::new() };
        let mut run = run.clone();
        run.versions.extend(told);
        vec![Change::PutRun(Box::new(run))]
    }
}

fn rank(target: &Target) -> u8 {
    match target {
        Target::Nothing => 0,
        Target::Gone(_) => 1,
        Target::NoAddress => 2,
        Target::Unknown => 3,
        Target::At(..) => 4,
    }
}

/// Asks a member until it answers well.
pub(crate) async fn ask(
    engine: Arc<Engine>,
    member: MemberName,
    (address, probe): (String, HttpProbe),
    must_show: MustShow,
    results: Results<ProbeResult>,
) {
    loop {
        let result = must_show.judge(engine.prober.probe(address.clone(), probe.clone()).await);
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
