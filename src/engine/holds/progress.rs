//! The steps that holds take by themselves: they empty their servers, verify them and expire.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;

use crate::engine::Engine;
use crate::engine::error::EngineError;
use crate::engine::fleet::reports::Reports;
use crate::engine::record::ledger::Ledger;
use crate::farm::{AfterVerify, Emptying, Hold, HoldId, InstanceName, MemberName, Reach, Stage, Verification};
use crate::plan::Wait;
use crate::state::{Change, NewEvent, State, event};

/// The next move of one hold.
pub(super) enum Move {
    /// Stay in the stage. Why, where the hold waits for something.
    Wait(Option<Wait>),
    /// Go on in another stage.
    To {
        stage: Stage,
        /// The hold's note from now on.
        note: Option<String>,
        /// The text of the event.
        text: String,
    },
    /// End the hold, with the text of the event.
    End(String),
    /// The healthy members go on; these stay out, each with the reason.
    Split(BTreeMap<MemberName, String>),
}

/// What the moves of holds are worked out from.
#[derive(Clone, Copy)]
pub(super) struct Pass<'a> {
    pub(super) state: &'a State,
    pub(super) reports: &'a Reports,
    pub(super) now: Timestamp,
}

impl Engine {
    /// Lets every hold take the step that it can take now. Returns whether any did.
    pub(crate) async fn step_holds(
        self: &Arc<Self>,
        ledger: &mut Ledger,
        reports: &Reports,
        now: Timestamp,
    ) -> Result<bool, EngineError> {
        let mut changed = false;
        let ids: Vec<HoldId> = ledger.state.holds.keys().copied().collect();
        for id in ids {
            let Some(hold) = ledger.state.holds.get(&id).cloned() else { continue };
            let away = self.fleet.without_for_hold(&hold, reports);
            let reachable = hold.without_instances(&away);
            let without = if reachable.is_some() { away } else { BTreeSet::new() };
            self.memory().for_hold(&hold).watch.skip_instances(&without);
            let pass = Pass { state: &ledger.state, reports, now };
            let (changes, events) = match self.next_move(reachable.as_ref().unwrap_or(&hold), pass) {
                Move::Wait(wait) => {
                    self.memory().for_hold(&hold).wait = wait;
                    continue;
                }
                Move::To { stage, note, text } => {
                    let mut changes = self.versions_learned(&hold, &ledger.state);
                    let drained = self.drain_record(&hold, &stage, pass);
                    changes.extend(drained.map(|drain| Change::AddDrain(Box::new(drain))));
                    let expires = expires_after(&hold, &stage, now);
                    let reach = Reach { without: &hold.reach.without | &without, ..hold.reach.clone() };
                    let hold = Hold { stage, note, expires, reach, revision: ledger.next_revision(), ..hold };
                    let happened = hold_event(&hold, now, "hold.stage", text);
                    changes.push(Change::PutHold(Box::new(hold)));
                    (changes, vec![happened])
                }
                Move::End(text) => (vec![Change::DropHold(id)], vec![hold_event(&hold, now, "hold.ended", text)]),
                Move::Split(bad) => {
                    let deadline = self.verify_deadline(&hold, &ledger.state);
                    super::verification::split(hold, &bad, ledger, deadline, now)
                }
            };
            ledger.write(changes, events).await?;
            changed = true;
        }
        Ok(changed)
    }

    /// The next move, by the lines of configured HAProxys. The lines of other HAProxys stay as they are.
    fn next_move(self: &Arc<Self>, hold: &Hold, pass: Pass<'_>) -> Move {
        if hold.entries.iter().all(|entry| pass.reports.contains_key(&entry.instance)) {
            return self.move_of_configured(hold, pass);
        }
        let mut configured = hold.clone();
        configured.entries.retain(|entry| pass.reports.contains_key(&entry.instance));
        match &hold.stage {
            _ if !configured.entries.is_empty() => self.move_of_configured(&configured, pass),
            Stage::Verifying(Verification { then: AfterVerify::Release, .. }) => {
                Move::End("released; no HAProxy has it".to_owned())
            }
            _ if is_over(hold, pass.now) => Move::End("expired; no HAProxy has it".to_owned()),
            _ => Move::Wait(None),
        }
    }

    /// The next move of a hold whose lines are all in configured HAProxys.
    fn move_of_configured(self: &Arc<Self>, hold: &Hold, pass: Pass<'_>) -> Move {
        let Pass { state, reports, now } = pass;
        if is_over(hold, now) {
            if let Some(wait) = no_answer(hold, reports) {
                return Move::Wait(Some(wait));
            }
            let deadline = self.verify_deadline(hold, state);
            let stage = hold.verification(now, deadline, AfterVerify::Release, BTreeSet::new());
            return Move::To { stage, note: None, text: "expired; comes back if it is healthy".to_owned() };
        }
        // Do not count time while teeterd was down or suspended.
        let from = *self.memory().for_hold(hold).from.get_or_insert(now);
        match &hold.stage {
            Stage::Draining(emptying) => {
                let emptying = Emptying { since: from.max(emptying.since), ..*emptying };
                self.drain_move(hold, emptying, pass)
            }
            Stage::Verifying(verification) => self.verify_move(hold, verification, from, pass),
            Stage::Out { .. } | Stage::Stuck { .. } | Stage::Shared { .. } | Stage::Verified { .. } => Move::Wait(None),
        }
    }
}

/// Whether a hold's time has run out and its members are not on their way back yet.
fn is_over(hold: &Hold, now: Timestamp) -> bool {
    let goes_out = matches!(hold.stage, Stage::Draining(_) | Stage::Stuck { .. } | Stage::Out { .. });
    goes_out && hold.expires.is_some_and(|at| at <= now)
}

/// The wait for HAProxys of a hold that do not answer. Without their checks no server can be verified, and an expired
/// hold verifies its servers only once.
fn no_answer(hold: &Hold, reports: &Reports) -> Option<Wait> {
    let names: BTreeSet<&InstanceName> = hold.entries.iter().map(|entry| &entry.instance).collect();
    let silent =
        names.into_iter().filter_map(|name| Some((name, reports.get(name).filter(|report| !report.reachable)?)));
    let (instances, troubles): (Vec<_>, Vec<_>) =
        silent.map(|(name, report)| (name.clone(), report.trouble.clone())).unzip();
    (!instances.is_empty()).then(|| Wait::Answer { instances, trouble: troubles.into_iter().flatten().next() })
}

/// When a hold ends by itself once it is in another stage. `None` if its time has run out and its members were
/// unhealthy then: the operator may still be working on them, and brings them back by a command.
pub(super) fn expires_after(hold: &Hold, stage: &Stage, now: Timestamp) -> Option<Timestamp> {
    let failed = matches!((&hold.stage, stage), (Stage::Verifying(_), Stage::Out { .. }));
    hold.expires.filter(|at| !failed || *at > now)
}

/// An event of a hold: its text begins with the hold's members.
pub(super) fn hold_event(hold: &Hold, now: Timestamp, kind: &'static str, text: String) -> NewEvent {
    let members: Vec<&str> = hold.members().into_iter().map(MemberName::as_str).collect();
    event(now, kind, format!("{}: {text}", members.join(", ")), hold.owner.run(), Some(hold.id))
}
