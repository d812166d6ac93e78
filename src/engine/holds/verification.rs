//! Verifying the servers of a hold before they come back: probes, warm-up, HAProxy's checks.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;

use super::progress::{Move, Pass, expires_after, hold_event};
use crate::engine::Engine;
use crate::engine::error::EngineError;
use crate::engine::record::ledger::Ledger;
use crate::engine::verify::checks::checks;
use crate::engine::verify::warm_up::warm_up_takes;
use crate::farm::{AfterVerify, Entry, Hold, HoldId, MemberName, Span, Stage, Verification, VerifyPhase};
use crate::haproxy::AdminState;
use crate::plan::Run;
use crate::plan::verify::{self, VerifyFacts, VerifyVerdict};
use crate::state::{Change, NewEvent, State};

impl Engine {
    /// The next move of a hold whose servers are verified. This teeterd has observed the hold since `from`.
    pub(super) fn verify_move(
        self: &Arc<Self>,
        hold: &Hold,
        verification: &Verification,
        from: Timestamp,
        pass: Pass<'_>,
    ) -> Move {
        let Pass { state, reports, now } = pass;
        let Verification { since, until, phase, then, .. } = verification;
        let until = until.saturating_add(from.max(*since).duration_since(*since)).unwrap_or(*until);
        let verification = &Verification { until, ..verification.clone() };
        let facts = match phase {
            VerifyPhase::Probes { .. } => VerifyFacts {
                probes: self.probes(hold, verification, state, reports),
                warm_up: self.warm_up(hold, verification, state, reports),
                ..VerifyFacts::default()
            },
            VerifyPhase::WarmUp { .. } => {
                VerifyFacts { warm_up: self.warm_up(hold, verification, state, reports), ..VerifyFacts::default() }
            }
            VerifyPhase::Checks { .. } => VerifyFacts {
                checks: checks(hold, state, reports, |entry| self.verify_settings(state, hold, entry).http.is_some()),
                alone: *then == AfterVerify::Wait
                    && hold.owner.run().and_then(|id| state.runs.get(&id)).is_some_and(Run::flips_next),
                was_down: were_down(hold, state),
                leader: hold.owner.run().and_then(|id| state.runs.get(&id)).is_some_and(|run| run.plan.leader),
                may_come_up: COMING_UP_TAKES.after(from.max(*since)).min(until),
                at_most: self.verify_deadline(hold, state).times(SLOW_CHECKS).after(until),
                ..VerifyFacts::default()
            },
        };
        match verify::next(hold, verification, &facts, now) {
            VerifyVerdict::Wait(wait) => Move::Wait(Some(wait)),
            VerifyVerdict::WarmUp { mode, takes } => {
                let stage = Stage::Verifying(verification.go_on(VerifyPhase::WarmUp { mode }, now, takes.after(now)));
                let passed = if facts.probes.is_some() { "probes passed; " } else { "" };
                Move::To { stage, note: None, text: format!("{passed}warming up") }
            }
            VerifyVerdict::Check { afresh, cold } => {
                let warmed = matches!(phase, VerifyPhase::WarmUp { .. });
                // The time of the warm-up does not count against the deadline of the checks.
                let until = if warmed { self.verify_deadline(hold, state).after(now) } else { until };
                let stage = Stage::Verifying(verification.go_on(VerifyPhase::Checks { afresh }, now, until));
                let note = (!cold.is_empty()).then(|| format!("not warm: {}", why(&cold)));
                let passed = match &note {
                    Some(note) => format!("{note}; "),
                    None if warmed => "warm; ".to_owned(),
                    None if facts.probes.is_some() => "probes passed; ".to_owned(),
                    None => String::new(),
                };
                Move::To { stage, note, text: format!("{passed}HAProxy's checks must pass") }
            }
            VerifyVerdict::Verified(exceptions) if *then == AfterVerify::Release => {
                Move::End(match exceptions.is_empty() {
                    true => "healthy; released".to_owned(),
                    false => format!("released; {}", list(&exceptions)),
                })
            }
            VerifyVerdict::Verified(exceptions) => {
                let exceptions = (!exceptions.is_empty()).then(|| list(&exceptions));
                // The note of the warm-up goes on to the run that asked for the verification.
                let note = hold.note.iter().cloned().chain(exceptions).reduce(|note, more| format!("{note}, {more}"));
                let text = note.clone().unwrap_or_else(|| "healthy".to_owned());
                Move::To { stage: Stage::Verified { at: now }, note, text }
            }
            VerifyVerdict::Failed(bad) if *then == AfterVerify::Release && bad.len() < hold.members().len() => {
                Move::Split(bad)
            }
            VerifyVerdict::Failed(bad) => {
                let why = why_out(hold, &bad, now);
                let text = format!("unhealthy, stays out: {why}");
                Move::To { stage: stays_out(hold, *phase, now), note: Some(why), text }
            }
        }
    }

    /// Restarts every verification that an earlier daemon had begun: its answers are not known, and its deadline may
    /// have passed while no daemon ran.
    pub(crate) async fn restart_verifications(&self, ledger: &mut Ledger) -> Result<(), EngineError> {
        let now = self.clock.now();
        let (mut changes, mut events) = (Vec::new(), Vec::new());
        for hold in ledger.state.holds.values() {
            let Stage::Verifying(verification) = &hold.stage else { continue };
            let takes = warm_up_takes(hold, verification, &ledger.state);
            let until = takes.unwrap_or_else(|| self.verify_deadline(hold, &ledger.state)).after(now);
            let stage = Stage::Verifying(verification.go_on(verification.phase, now, until));
            let text = "teeterd was restarted; the verification begins anew".to_owned();
            events.push(hold_event(hold, now, "hold.stage", text));
            changes.push(Change::PutHold(Box::new(Hold { stage, revision: ledger.next_revision(), ..hold.clone() })));
        }
        if !changes.is_empty() {
            ledger.write(changes, events).await?;
        }
        Ok(())
    }

    /// How long the members of a hold may take to show that they are healthy: the longest deadline of their farms.
    pub(crate) fn verify_deadline(&self, hold: &Hold, state: &State) -> Span {
        let deadline = |entry| self.verify_settings(state, hold, entry).deadline;
        hold.entries.iter().map(deadline).max().unwrap_or(VERIFY_DEADLINE)
    }
}

/// Divides a hold. Unhealthy members stay out under the hold's own number; the healthy ones go on under a new one: from
/// their probes to HAProxy's checks, from the checks into service.
pub(super) fn split(
    hold: Hold,
    bad: &BTreeMap<MemberName, String>,
    ledger: &Ledger,
    deadline: Span,
    now: Timestamp,
) -> (Vec<Change>, Vec<NewEvent>) {
    let revision = ledger.next_revision();
    let (stay, go) = hold.entries.iter().cloned().partition(|entry| bad.contains_key(hold.names.member(entry)));
    let phase = match hold.stage {
        Stage::Verifying(Verification { phase, .. }) => phase,
        _ => VerifyPhase::Probes { mode: hold.wanted_state() },
    };
    // A client that waits for the hold learns from it what failed, so the number stays with the failure.
    let (stage, why) = (stays_out(&hold, phase, now), why_out(&hold, bad, now));
    let expires = expires_after(&hold, &stage, now);
    let (stays_reach, goes_reach) = (hold.reach.skipping(&go), hold.reach.skipping(&stay));
    let stays =
        Hold { stage, entries: stay, note: Some(why.clone()), expires, reach: stays_reach, revision, ..hold.clone() };
    let mut events = vec![hold_event(&stays, now, "hold.stage", format!("unhealthy, stays out: {why}"))];
    let goes = Hold { id: HoldId(ledger.state.next_hold), entries: go, reach: goes_reach, revision, ..hold };
    let mut changes = vec![Change::PutHold(Box::new(stays))];
    match phase {
        VerifyPhase::Probes { mode } | VerifyPhase::WarmUp { mode } => {
            let stage = Stage::Verifying(Verification {
                since: now,
                until: deadline.after(now),
                phase: VerifyPhase::Checks { afresh: mode == AdminState::Maint },
                then: AfterVerify::Release,
                versions: BTreeSet::new(),
            });
            changes.push(Change::PutHold(Box::new(Hold { stage, ..goes })));
        }
        VerifyPhase::Checks { .. } => {
            events.push(hold_event(&goes, now, "hold.ended", "healthy; released".to_owned()));
        }
    }
    (changes, events)
}

/// The stage that a hold goes back to when its members are unhealthy: never one in which clients could reach them.
fn stays_out(hold: &Hold, phase: VerifyPhase, now: Timestamp) -> Stage {
    let mode = match phase {
        // Behind a route the servers stay ready while they empty. Out of service they must not depend on the route.
        VerifyPhase::Probes { mode: AdminState::Ready } | VerifyPhase::WarmUp { mode: AdminState::Ready } => {
            hold.ladder.last
        }
        VerifyPhase::Probes { mode } | VerifyPhase::WarmUp { mode } => mode,
        VerifyPhase::Checks { afresh: true } => AdminState::Maint,
        VerifyPhase::Checks { afresh: false } => hold.ladder.last,
    };
    Stage::Out { mode, at: now, left: 0 }
}

/// The lines of a hold that were DOWN before they were taken out.
fn were_down(hold: &Hold, state: &State) -> BTreeSet<Entry> {
    let run = hold.owner.run().and_then(|id| state.runs.get(&id)).filter(|run| run.plan.roles);
    let was_down = |entry: &&Entry| {
        state.baselines.get(*entry).is_some_and(|was| was.down) || run.is_some_and(|run| run.down.contains(*entry))
    };
    hold.entries.iter().filter(was_down).cloned().collect()
}

/// Why unhealthy members stay out; of an expired hold, which no client waits for, also what to type.
fn why_out(hold: &Hold, bad: &BTreeMap<MemberName, String>, now: Timestamp) -> String {
    let why = why(bad);
    match hold.expires {
        Some(at) if at <= now => {
            let members = bad.keys().map(MemberName::as_str).collect::<Vec<_>>().join(" ");
            format!("its time is over, and it is unhealthy: {why}; `teeter ready {members}` tries again")
        }
        _ => why,
    }
}

fn list(exceptions: &BTreeMap<Entry, String>) -> String {
    exceptions.iter().map(|(entry, why)| format!("{entry}: {why}")).collect::<Vec<_>>().join(", ")
}

fn why(bad: &BTreeMap<MemberName, String>) -> String {
    bad.iter().map(|(member, why)| format!("{member} {why}")).collect::<Vec<_>>().join(", ")
}

/// How long a server is given to come up that was DOWN with all of its lines: it may have been fixed, or be a follower.
/// After that HAProxy's checks decide when it takes traffic.
const COMING_UP_TAKES: Span = Span::from_secs(10);

/// A verification whose checks pass may last this many times its deadline: `inter 60s rise 2` takes minutes.
const SLOW_CHECKS: u32 = 10;

/// The deadline of a verification for which none is configured.
pub(super) const VERIFY_DEADLINE: Span = Span::from_secs(60);
