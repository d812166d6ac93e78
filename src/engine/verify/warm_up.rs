//! The warm-up of servers that are about to get traffic: one task for each member, until its answers are fast.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use crate::engine::Engine;
use crate::engine::fleet::reports::{Found, Reports, gone};
use crate::engine::memory::{Asking, Results, put};
use crate::farm::{AfterVerify, Hold, MemberName, Span, Verification, VerifyPhase, WarmUp};
use crate::plan::verify::WarmUpFacts;
use crate::plan::warm_up::Warmth;
use crate::platform::lock;
use crate::state::State;

impl Engine {
    /// The progress of a hold's warm-up; `None`: it has none. Starts the requests when the warm-up has begun.
    pub(crate) fn warm_up(
        self: &Arc<Self>,
        hold: &Hold,
        verification: &Verification,
        state: &State,
        reports: &Reports,
    ) -> Option<WarmUpFacts> {
        let settings = warm_up_of(hold, verification, state)?.clone();
        if !matches!(verification.phase, VerifyPhase::WarmUp { .. }) {
            return Some(WarmUpFacts { settings, members: BTreeMap::new() });
        }
        let mut addresses: BTreeMap<&MemberName, Result<String, String>> = BTreeMap::new();
        for entry in &hold.entries {
            let address = match reports.find(entry) {
                Found::Here(server) if !server.address.is_empty() => Ok(server.endpoint()),
                Found::Here(_) => Err("has no address: HAProxy has not resolved its name".to_owned()),
                Found::Gone => Err(gone(entry)),
                Found::Unknown => Err("has not been asked yet".to_owned()),
            };
            let best = addresses.entry(hold.names.member(entry)).or_insert_with(|| address.clone());
            if best.is_err() {
                *best = address;
            }
        }
        let mut memory = self.memory();
        let memory = memory.for_hold(hold);
        if memory.warming.as_ref().is_none_or(|warming| warming.since != verification.since) {
            memory.warming = Some(Asking::new(verification.since));
        }
        let Asking { results, tasks, .. } = memory.warming.as_mut()?;
        let mut members = BTreeMap::new();
        for (member, address) in addresses {
            match address {
                Ok(address) => {
                    tasks.entry(member.clone()).or_insert_with(|| {
                        let engine = Arc::clone(self);
                        let asking = ask(engine, member.clone(), address, settings.clone(), Arc::clone(results));
                        self.platform.spawn(asking).abort_handle()
                    });
                }
                Err(why) => {
                    members.insert(member.clone(), Warmth::unasked(why));
                }
            }
        }
        members.extend(lock(results).clone());
        Some(WarmUpFacts { settings, members })
    }
}

/// The deadline of the warm-up; `None`: the verification is not in its warm-up.
pub(crate) fn warm_up_takes(hold: &Hold, verification: &Verification, state: &State) -> Option<Span> {
    let settings = warm_up_of(hold, verification, state)?;
    matches!(verification.phase, VerifyPhase::WarmUp { .. }).then_some(settings.deadline)
}

/// The settings of the warm-up. Servers that get traffic from a deploy are new, and are warmed up; servers that only
/// come back are not.
fn warm_up_of<'a>(hold: &Hold, verification: &Verification, state: &'a State) -> Option<&'a WarmUp> {
    let run = state
        .runs
        .get(&hold.owner.run()?)
        .filter(|run| verification.then == AfterVerify::Wait && run.rollback.is_none())?;
    run.plan.verify.warm_up.as_ref()
}

/// Sends requests to a member until it is warm, one after the other.
async fn ask(engine: Arc<Engine>, member: MemberName, address: String, settings: WarmUp, results: Results<Warmth>) {
    let mut warmth = Warmth::default();
    while !warmth.is_warm(&settings) {
        let request = settings.request(warmth.path(&settings));
        let answer = engine.prober.time(address.clone(), request).await;
        let is_expected = answer.as_ref().is_ok_and(|answer| answer.status == settings.expect);
        warmth.handle_answer(&settings, answer);
        put(&results, &member, warmth.clone());
        // A failed request may return at once: without a pause it would be repeated without end.
        if !is_expected {
            tokio::time::sleep(ASK_AGAIN).await;
        }
    }
    engine.fleet.nudge.notify_one();
}

const ASK_AGAIN: Duration = Duration::from_millis(250);
