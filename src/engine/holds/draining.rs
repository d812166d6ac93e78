//! Emptying the servers of a hold: samples, the drain ladder, and the policy at the deadline.

use std::collections::BTreeSet;

use super::progress::{Move, Pass};
use super::verification::VERIFY_DEADLINE;
use crate::engine::Engine;
use crate::engine::fleet::loads::{loads, overruled, withheld};
use crate::farm::{AfterVerify, Emptying, Hold, InstanceName, MemberName, Stage, Verification, VerifyPhase};
use crate::haproxy::AdminState;
use crate::plan::{DrainVerdict, Wait, millis_between};
use crate::reconcile::InstanceReport;
use crate::state::{DrainOutcome, DrainRecord};

impl Engine {
    /// The next move of a hold whose servers are emptied.
    pub(super) fn drain_move(&self, hold: &Hold, emptying: Emptying, pass: Pass<'_>) -> Move {
        let Pass { state, reports, now } = pass;
        let Emptying { mode, since, hardened, .. } = emptying;
        let mut memory = self.memory();
        let memory = memory.for_hold(hold);
        let overruled = overruled(hold, state);
        if !overruled.is_empty() {
            // Earlier samples say nothing about a server that takes traffic again.
            memory.watch = memory.watch.again(hold);
            let until = hold.ladder.deadline.after(since);
            let wait = Wait::Overruled { entries: overruled, until };
            if now < until {
                return Move::Wait(Some(wait));
            }
            let note = wait.to_string();
            let text = format!("deadline: {note}");
            return Move::To { stage: Stage::Stuck { mode, at: now }, note: Some(note), text };
        }
        let instances: BTreeSet<&InstanceName> = hold.entries.iter().map(|entry| &entry.instance).collect();
        for name in instances {
            let confirms = |report: &&InstanceReport| {
                report.reachable && report.agreed >= hold.revision && withheld(hold, name, report, state).is_none()
            };
            let Some(report) = reports.get(name).filter(confirms) else {
                continue;
            };
            if memory.samples.insert(name.clone(), report.sample) != Some(report.sample) {
                memory.watch.handle_sample(name, loads(hold, name, report), report.at);
                let in_flight = memory.watch.in_flight(hold).values().sum();
                memory.curve.add(millis_between(since, report.at), in_flight);
            }
        }
        let left = || memory.watch.left(hold);
        let remains = || {
            let idle = memory.watch.idle(hold).values().sum::<u64>();
            if !left().is_empty() {
                format!("{} still in flight", left())
            } else if hold.ladder.idle && idle > 0 {
                format!("idle connections are still open: {idle}")
            } else {
                "HAProxy did not confirm it".to_owned()
            }
        };
        match memory.watch.next(hold, emptying, now) {
            DrainVerdict::Wait(wait) => Move::Wait(Some(wait)),
            DrainVerdict::Harden => {
                let (harder, hardened) = hold.ladder.harder(mode, hardened);
                let text = match harder {
                    harder if harder == mode => "no client may stay any more".to_owned(),
                    harder => format!("from {mode} to {harder}"),
                };
                // A note made while servers are emptied is a doubt about the emptying, and stays.
                let stage = Stage::Draining(Emptying { mode: harder, hardened, ..emptying });
                Move::To { stage, note: hold.note.clone(), text }
            }
            DrainVerdict::Drained { left: 0 } => {
                let stage = Stage::Out { mode, at: now, left: 0 };
                let come_back = may_come_back(hold, mode, &memory.watch.stuck_to(hold));
                let note = come_back.or_else(|| hold.note.clone());
                Move::To { stage, note, text: "nothing is in flight".to_owned() }
            }
            DrainVerdict::Drained { left: requests } => {
                let note = format!("went on at the deadline with {}", left());
                Move::To { stage: Stage::Out { mode, at: now, left: requests }, note: Some(note.clone()), text: note }
            }
            DrainVerdict::Kill => {
                let text = format!("deadline: {}; ending sessions", remains());
                Move::To { stage: Stage::Draining(Emptying { killed: Some(now), ..emptying }), note: None, text }
            }
            DrainVerdict::Stuck => {
                let note = remains();
                let text = format!("deadline: {note}");
                Move::To { stage: Stage::Stuck { mode, at: now }, note: Some(note), text }
            }
            DrainVerdict::Restore => {
                let stage = Stage::Verifying(Verification {
                    since: now,
                    until: VERIFY_DEADLINE.after(now),
                    phase: VerifyPhase::Checks { afresh: mode == AdminState::Maint },
                    then: AfterVerify::Release,
                    versions: BTreeSet::new(),
                });
                Move::To { stage, note: None, text: format!("deadline: {}; bringing back", remains()) }
            }
        }
    }
}

impl Engine {
    /// The record of a hold's drain, if it ends with the move to this stage.
    pub(super) fn drain_record(&self, hold: &Hold, next: &Stage, pass: Pass<'_>) -> Option<DrainRecord> {
        let Stage::Draining(Emptying { since, .. }) = hold.stage else { return None };
        let outcome = DrainOutcome::of_stage(Some(next))?;
        let left = match next {
            Stage::Out { left, .. } => *left,
            _ => self.memory().for_hold(hold).watch.in_flight(hold).values().sum(),
        };
        let run = hold.owner.run().and_then(|id| pass.state.runs.get(&id));
        let farms = self.fleet.farms();
        let mut of = farms.values().filter(|farm| hold.entries.iter().all(|entry| farm.has(&entry.server)));
        let only = of.next().filter(|_| of.next().is_none());
        let members: BTreeSet<MemberName> = hold.entries.iter().map(|entry| hold.names.member(entry).clone()).collect();
        Some(DrainRecord {
            hold: hold.id,
            run: hold.owner.run(),
            farm: run.map(|run| run.plan.farm.clone()).or_else(|| only.map(|farm| farm.name.clone())),
            group: run.and_then(|run| Some(run.holds.iter().find(|(_, id)| **id == hold.id)?.0.clone())),
            members: members.into_iter().collect(),
            began: since,
            // The clock may have been set back.
            ended: pass.now.max(since),
            outcome,
            left,
            curve: self.memory().for_hold(hold).curve.clone(),
        })
    }
}

/// The note of a hold whose servers are empty and stay in drain: sticky clients can still reach them. `None` if there
/// are no such clients.
fn may_come_back(hold: &Hold, mode: AdminState, stuck_to: &BTreeSet<MemberName>) -> Option<String> {
    if mode != AdminState::Drain || stuck_to.is_empty() {
        return None;
    }
    let members = stuck_to.iter().map(MemberName::as_str).collect::<Vec<_>>().join(" ");
    let note = format!(
        "clients that stick to {members} may come back to it while it drains; `teeter maint {members} --reason TEXT` \
         sends them elsewhere"
    );
    Some(hold.note.iter().fold(note, |note, before| format!("{note}; {before}")))
}
