//! What holds do by themselves: empty their servers, prove them, expire.

use crate::engine::fleet::loads::loads;
use crate::engine::fleet::loads::overruled;
use crate::engine::fleet::loads::untold;
use crate::engine::fleet::reports::Reports;
use crate::engine::verify::checks::checks;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;

use crate::engine::Engine;
use crate::engine::error::EngineError;
use crate::engine::record::ledger::Ledger;
use crate::engine::verify::warm_up::warm_up_takes;
use crate::farm::{
    AfterVerify, Emptying, Entry, Hold, HoldId, InstanceName, MemberName, Reach, Span, Stage, Verification, VerifyPhase,
};
use crate::haproxy::AdminState;
use crate::plan::verify::{self, VerifyFacts, VerifyVerdict};
use crate::plan::{DrainVerdict, Run, Wait};
use crate::reconcile::InstanceReport;
use crate::state::{Change, NewEvent, State, event};

/// What one hold does next.
enum Move {
    Wait(Option<Wait>),
    /// Go on in another stage.
    To(Stage, Option<String>, String),
    /// End.
    End(String),
    /// Some members are well and go on; these stay out.
    Split(BTreeMap<MemberName, String>),
}

impl Engine {
    /// Lets every hold take the step that it can take now. Whether any did.
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
            let aside = self.fleet.aside_of(&hold, reports);
            let there = hold.without_instances(&aside);
            let without = if there.is_some() { aside } else { BTreeSet::new() };
            self.memory().of(&hold).watch.skip_instances(&without);
            let judged = there.as_ref().unwrap_or(&hold);
            let (changes, events) = match self.move_of(judged, &ledger.state, reports, now) {
                Move::Wait(wait) => {
                    self.memory().of(&hold).wait = wait;
                    continue;
                }
                Move::To(stage, note, text) => {
                    let mut changes = self.versions_learned(&hold, &ledger.state);
                    let expires = expires_after(&hold, &stage, now);
                    let reach = Reach { without: &hold.reach.without | &without, ..hold.reach.clone() };
                    let hold = Hold { stage, note, expires, reach, revision: ledger.next_revision(), ..hold };
                    let happened = happened(&hold, now, "hold.stage", text);
                    changes.push(Change::PutHold(Box::new(hold)));
                    (changes, vec![happened])
                }
                Move::End(text) => (vec![Change::DropHold(id)], vec![happened(&hold, now, "hold.ended", text)]),
                Move::Split(bad) => {
                    let takes = self.proof_takes(&hold, &ledger.state);
                    split(hold, &bad, ledger, takes, now)
                }
            };
            ledger.write(changes, events).await?;
            changed = true;
        }
        Ok(changed)
    }

    /// The lines of a HAProxy that is not configured any more are left as they are, whatever becomes of the others.
    fn move_of(self: &Arc<Self>, hold: &Hold, state: &State, reports: &Reports, now: Timestamp) -> Move {
        if hold.entries.iter().all(|entry| reports.contains_key(&entry.instance)) {
            return self.next_move(hold, state, reports, now);
        }
        let mut known = hold.clone();
        known.entries.retain(|entry| reports.contains_key(&entry.instance));
        match &hold.stage {
            _ if !known.entries.is_empty() => self.next_move(&known, state, reports, now),
            Stage::Verifying(Verification { then: AfterVerify::Release, .. }) => {
                Move::End("released; no HAProxy has it".to_owned())
            }
            _ if is_over(hold, now) => Move::End("expired; no HAProxy has it".to_owned()),
            _ => Move::Wait(None),
        }
    }

    fn next_move(self: &Arc<Self>, hold: &Hold, state: &State, reports: &Reports, now: Timestamp) -> Move {
        if is_over(hold, now) {
            if let Some(wait) = no_answer(hold, reports) {
                return Move::Wait(Some(wait));
            }
            let takes = self.proof_takes(hold, state);
            let stage = hold.verification(now, takes, AfterVerify::Release, BTreeSet::new());
            return Move::To(stage, None, "expired; comes back if it is well".to_owned());
        }
        // Whoever was not there, or stopped, has not seen what became of it: its time is not counted.
        let from = *self.memory().of(hold).from.get_or_insert(now);
        match &hold.stage {
            Stage::Draining(emptying) => {
                let emptying = Emptying { since: from.max(emptying.since), ..*emptying };
                self.drain(hold, emptying, state, reports, now)
            }
            Stage::Verifying(verification) => {
                let Verification { since, until, phase, then, .. } = verification;
                let until = until.saturating_add(from.max(*since).duration_since(*since)).unwrap_or(*until);
                let verification = &Verification { until, ..verification.clone() };
                let facts = match phase {
                    VerifyPhase::Probes { .. } => VerifyFacts {
                        probes: self.probes(hold, verification, state, reports),
                        warm_up: self.warm_up(hold, verification, state, reports),
                        ..VerifyFacts::default()
                    },
                    VerifyPhase::WarmUp { .. } => VerifyFacts {
                        warm_up: self.warm_up(hold, verification, state, reports),
                        ..VerifyFacts::default()
                    },
                    VerifyPhase::Checks { .. } => VerifyFacts {
                        checks: checks(hold, state, reports, |entry| {
                            self.verify_settings(state, hold, entry).http.is_some()
                        }),
                        alone: *then == AfterVerify::Wait
                            && hold.owner.run().and_then(|id| state.runs.get(&id)).is_some_and(Run::flips_next),
                        was_down: were_down(hold, state),
                        leader: hold.owner.run().and_then(|id| state.runs.get(&id)).is_some_and(|run| run.plan.leader),
                        may_come_up: COMING_UP_TAKES.after(from.max(*since)).min(until),
                        at_most: self.proof_takes(hold, state).times(SLOW_CHECKS).after(until),
                        ..VerifyFacts::default()
                    },
                };
                match verify::next(hold, verification, &facts, now) {
                    VerifyVerdict::Wait(wait) => Move::Wait(Some(wait)),
                    VerifyVerdict::WarmUp { mode, takes } => {
                        let stage =
                            Stage::Verifying(verification.go_on(VerifyPhase::WarmUp { mode }, now, takes.after(now)));
                        let passed = if facts.probes.is_some() { "probes passed; " } else { "" };
                        Move::To(stage, None, format!("{passed}warming up"))
                    }
                    VerifyVerdict::Check { afresh, cold } => {
                        let warmed = matches!(phase, VerifyPhase::WarmUp { .. });
                        // The time of the warm-up is its own.
                        let until = if warmed { self.proof_takes(hold, state).after(now) } else { until };
                        let stage = Stage::Verifying(verification.go_on(VerifyPhase::Checks { afresh }, now, until));
                        let note = (!cold.is_empty()).then(|| format!("not warm: {}", why(&cold)));
                        let passed = match &note {
                            Some(note) => format!("{note}; "),
                            None if warmed => "warm; ".to_owned(),
                            None if facts.probes.is_some() => "probes passed; ".to_owned(),
                            None => String::new(),
                        };
                        Move::To(stage, note, format!("{passed}HAProxy's checks must pass"))
                    }
                    VerifyVerdict::Verified(but) if *then == AfterVerify::Release => {
                        let text = if but.is_empty() { "well; released".to_owned() } else { released_but(&but) };
                        Move::End(text)
                    }
                    VerifyVerdict::Verified(but) => {
                        let but = (!but.is_empty()).then(|| list(&but));
                        // What was said of the warm-up goes on to whoever asked for the proof.
                        let but = hold.note.iter().cloned().chain(but).reduce(|note, but| format!("{note}, {but}"));
                        let text = but.clone().unwrap_or_else(|| "well".to_owned());
                        Move::To(Stage::Verified { at: now }, but, text)
                    }
                    VerifyVerdict::Failed(bad) if *then == AfterVerify::Release && bad.len() < hold.members().len() => {
                        Move::Split(bad)
                    }
                    VerifyVerdict::Failed(bad) => {
                        let why = why_out(hold, &bad, now);
                        Move::To(stays_out(hold, *phase, now), Some(why.clone()), format!("not well, stays out: {why}"))
                    }
                }
            }
            Stage::Out { .. } | Stage::Stuck { .. } | Stage::Shared { .. } | Stage::Verified { .. } => Move::Wait(None),
        }
    }

    fn drain(&self, hold: &Hold, emptying: Emptying, state: &State, reports: &Reports, now: Timestamp) -> Move {
        let Emptying { mode, since, hardened, .. } = emptying;
        let mut memory = self.memory();
        let memory = memory.of(hold);
        let overruled = overruled(hold, state);
        if !overruled.is_empty() {
            // What was counted before says nothing about a server that takes traffic again.
            memory.watch = memory.watch.again(hold);
            let until = hold.ladder.deadline.after(since);
            let wait = Wait::Overruled { entries: overruled, until };
            if now < until {
                return Move::Wait(Some(wait));
            }
            let note = wait.to_string();
            return Move::To(Stage::Stuck { mode, at: now }, Some(note.clone()), format!("deadline: {note}"));
        }
        let instances: BTreeSet<&InstanceName> = hold.entries.iter().map(|entry| &entry.instance).collect();
        for name in instances {
            let has_it = |report: &&InstanceReport| {
                report.reachable && report.agreed >= hold.revision && untold(hold, name, report, state).is_none()
            };
            let Some(report) = reports.get(name).filter(has_it) else {
                continue;
            };
            if memory.samples.insert(name.clone(), report.sample) != Some(report.sample) {
                memory.watch.handle_sample(name, loads(hold, name, report), report.at);
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
                    harder if harder == mode => "nobody may stay any more".to_owned(),
                    harder => format!("from {mode} to {harder}"),
                };
                // What is noted while servers are emptied is a doubt about that, and stays.
                let stage = Stage::Draining(Emptying { mode: harder, hardened, ..emptying });
                Move::To(stage, hold.note.clone(), text)
            }
            DrainVerdict::Drained { left: 0 } => {
                let stage = Stage::Out { mode, at: now, left: 0 };
                let come_back = may_come_back(hold, mode, &memory.watch.stuck_to(hold));
                let note = come_back.or_else(|| hold.note.clone());
                Move::To(stage, note, "nothing is in flight".to_owned())
            }
            DrainVerdict::Drained { left: requests } => {
                let note = format!("went on at the deadline with {}", left());
                Move::To(Stage::Out { mode, at: now, left: requests }, Some(note.clone()), note)
            }
            DrainVerdict::Kill => {
                let text = format!("deadline: {}; ending sessions", remains());
                Move::To(Stage::Draining(Emptying { killed: Some(now), ..emptying }), None, text)
            }
            DrainVerdict::Stuck => {
                let note = remains();
                Move::To(Stage::Stuck { mode, at: now }, Some(note.clone()), format!("deadline: {note}"))
            }
            DrainVerdict::Restore => {
                let stage = Stage::Verifying(Verification {
                    since: now,
                    until: PROOF_TAKES.after(now),
                    phase: VerifyPhase::Checks { afresh: mode == AdminState::Maint },
                    then: AfterVerify::Release,
                    versions: BTreeSet::new(),
                });
                Move::To(stage, None, format!("deadline: {}; bringing back", remains()))
            }
        }
    }

    /// Begins every proof anew that a daemon before this one had under way: what it had seen is not known, and its
    /// deadline may have passed while nobody looked.
    pub(crate) async fn prove_again(&self, ledger: &mut Ledger) -> Result<(), EngineError> {
        let now = self.clock.now();
        let (mut changes, mut events) = (Vec::new(), Vec::new());
        for hold in ledger.state.holds.values() {
            let Stage::Verifying(verification) = &hold.stage else { continue };
            let takes = warm_up_takes(hold, verification, &ledger.state);
            let until = takes.unwrap_or_else(|| self.proof_takes(hold, &ledger.state)).after(now);
            let stage = Stage::Verifying(verification.go_on(verification.phase, now, until));
            events.push(happened(hold, now, "hold.stage", "teeterd was restarted; the proof begins anew".to_owned()));
            changes.push(Change::PutHold(Box::new(Hold { stage, revision: ledger.next_revision(), ..hold.clone() })));
        }
        if !changes.is_empty() {
            ledger.write(changes, events).await?;
        }
        Ok(())
    }

    /// How long the members of a hold may take to show that they are well.
    pub(crate) fn proof_takes(&self, hold: &Hold, state: &State) -> Span {
        let takes = |entry| self.verify_settings(state, hold, entry).deadline;
        hold.entries.iter().map(takes).max().unwrap_or(PROOF_TAKES)
    }
}

/// Members that are not well stay out under a hold of their own; the others have passed and go on: from their probes
/// to HAProxy's checks, from there into service.
fn split(
    hold: Hold,
    bad: &BTreeMap<MemberName, String>,
    ledger: &Ledger,
    takes: Span,
    now: Timestamp,
) -> (Vec<Change>, Vec<NewEvent>) {
    let revision = ledger.next_revision();
    let (stay, go) = hold.entries.iter().cloned().partition(|entry| bad.contains_key(hold.names.member(entry)));
    let phase = match hold.stage {
        Stage::Verifying(Verification { phase, .. }) => phase,
        _ => VerifyPhase::Probes { mode: hold.wanted_state() },
    };
    // Whoever waits for the hold learns from it what failed, so the number stays with the failure.
    let (stage, why) = (stays_out(&hold, phase, now), why_out(&hold, bad, now));
    let expires = expires_after(&hold, &stage, now);
    let (stays_reach, goes_reach) = (hold.reach.skipping(&go), hold.reach.skipping(&stay));
    let stays =
        Hold { stage, entries: stay, note: Some(why.clone()), expires, reach: stays_reach, revision, ..hold.clone() };
    let mut events = vec![happened(&stays, now, "hold.stage", format!("not well, stays out: {why}"))];
    let goes = Hold { id: HoldId(ledger.state.next_hold), entries: go, reach: goes_reach, revision, ..hold };
    let mut changes = vec![Change::PutHold(Box::new(stays))];
    match phase {
        VerifyPhase::Probes { mode } | VerifyPhase::WarmUp { mode } => {
            let stage = Stage::Verifying(Verification {
                since: now,
                until: takes.after(now),
                phase: VerifyPhase::Checks { afresh: mode == AdminState::Maint },
                then: AfterVerify::Release,
                versions: BTreeSet::new(),
            });
            changes.push(Change::PutHold(Box::new(Hold { stage, ..goes })));
        }
        VerifyPhase::Checks { .. } => events.push(happened(&goes, now, "hold.ended", "well; released".to_owned())),
    }
    (changes, events)
}

/// Where a hold goes back to when its members are not well: never to where clients could reach them.
fn stays_out(hold: &Hold, phase: VerifyPhase, now: Timestamp) -> Stage {
    let mode = match phase {
        // It was only on its way out, behind a route: what it is told must not depend on where the route leads.
        VerifyPhase::Probes { mode: AdminState::Ready } | VerifyPhase::WarmUp { mode: AdminState::Ready } => {
            hold.ladder.last
        }
        VerifyPhase::Probes { mode } | VerifyPhase::WarmUp { mode } => mode,
        VerifyPhase::Checks { afresh: true } => AdminState::Maint,
        VerifyPhase::Checks { afresh: false } => hold.ladder.last,
    };
    Stage::Out { mode, at: now, left: 0 }
}

/// Those of a hold's lines that were DOWN before they were taken out.
fn were_down(hold: &Hold, state: &State) -> BTreeSet<Entry> {
    let run = hold.owner.run().and_then(|id| state.runs.get(&id)).filter(|run| run.plan.roles);
    let was_down = |entry: &&Entry| {
        state.baselines.get(*entry).is_some_and(|was| was.down) || run.is_some_and(|run| run.down.contains(*entry))
    };
    hold.entries.iter().filter(was_down).cloned().collect()
}

/// Whether a hold's time has run out and its members are not on their way back yet.
fn is_over(hold: &Hold, now: Timestamp) -> bool {
    let goes_out = matches!(hold.stage, Stage::Draining(_) | Stage::Stuck { .. } | Stage::Out { .. });
    goes_out && hold.expires.is_some_and(|at| at <= now)
}

/// Each HAProxy of a hold that does not answer. Without its checks nobody is proven, and there is one try only.
fn no_answer(hold: &Hold, reports: &Reports) -> Option<Wait> {
    let names: BTreeSet<&InstanceName> = hold.entries.iter().map(|entry| &entry.instance).collect();
    let away = names.into_iter().filter_map(|name| Some((name, reports.get(name).filter(|it| !it.reachable)?)));
    let (instances, troubles): (Vec<_>, Vec<_>) = away.map(|(name, it)| (name.clone(), it.trouble.clone())).unzip();
    (!instances.is_empty()).then(|| Wait::Answer { instances, trouble: troubles.into_iter().flatten().next() })
}

/// When a hold ends by itself once it is in another stage: not any more, where its time has run out and its members
/// were not well then. They may be worked on still, and come back when somebody says so.
fn expires_after(hold: &Hold, stage: &Stage, now: Timestamp) -> Option<Timestamp> {
    let failed = matches!((&hold.stage, stage), (Stage::Verifying(_), Stage::Out { .. }));
    hold.expires.filter(|at| !failed || *at > now)
}

/// Why members that are not well stay out, with what to do where nobody waits for them.
fn why_out(hold: &Hold, bad: &BTreeMap<MemberName, String>, now: Timestamp) -> String {
    let why = why(bad);
    match hold.expires {
        Some(at) if at <= now => {
            let members = bad.keys().map(MemberName::as_str).collect::<Vec<_>>().join(" ");
            format!("its time is over, and it is not well: {why}; `teeter ready {members}` tries again")
        }
        _ => why,
    }
}

/// What is said of servers that are empty and stay in drain: clients that stick to one still reach it there.
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

fn released_but(but: &BTreeMap<Entry, String>) -> String {
    format!("released; {}", list(but))
}

fn list(but: &BTreeMap<Entry, String>) -> String {
    but.iter().map(|(entry, why)| format!("{entry}: {why}")).collect::<Vec<_>>().join(", ")
}

fn why(bad: &BTreeMap<MemberName, String>) -> String {
    bad.iter().map(|(member, why)| format!("{member} {why}")).collect::<Vec<_>>().join(", ")
}

fn happened(hold: &Hold, now: Timestamp, kind: &'static str, text: String) -> NewEvent {
    let members: Vec<&str> = hold.members().into_iter().map(MemberName::as_str).collect();
    event(now, kind, format!("{}: {text}", members.join(", ")), hold.owner.run(), Some(hold.id))
}

/// How long a server that was DOWN with all of its lines is waited for: it may have been mended, or be one that only
/// follows. Past this HAProxy's checks say when it takes traffic.
const COMING_UP_TAKES: Span = Span::from_secs(10);

/// So many times as long as its deadline a proof may last whose checks pass: with `inter 60s rise 2` it takes minutes.
const SLOW_CHECKS: u32 = 10;

/// Where nothing is configured.
const PROOF_TAKES: Span = Span::from_secs(60);
