//! When a server is drained: counting samples, and the drain ladder of drain, maintenance, deadline and policy.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::samples::Samples;
use super::wait::Wait;
use crate::farm::{Emptying, Entry, Hold, InstanceName, Ladder, Load, MemberName, OnDeadline, Span, Stage, Stays};

/// What the samples since HAProxy's confirmation say about the servers of one hold. Counting begins anew when the hold
/// changes and when teeterd restarts.
#[derive(Debug, Clone, Default)]
pub struct DrainWatch {
    instances: BTreeMap<InstanceName, Samples>,
    /// The requests that were in flight when the hold last changed. Shown until there are samples again; no decision uses
    /// them.
    before: BTreeMap<MemberName, u64>,
    /// When each HAProxy was first seen to have confirmed the hold: the grace of clients begins then.
    confirmed: BTreeMap<InstanceName, Timestamp>,
}

/// The next move of a hold that is draining.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub enum DrainVerdict {
    /// It waits, for this reason.
    Wait(Wait),
    /// Take the next step of the drain ladder.
    Harden,
    /// Nothing is in flight, or the policy says to go on although requests are left.
    Drained {
        /// The requests that are left.
        left: u64,
    },
    /// End the sessions by force.
    Kill,
    /// The deadline has passed; stay as it is.
    Stuck,
    /// The deadline has passed; bring the servers back.
    Restore,
}

impl DrainWatch {
    /// A watch that begins to count anew, because the hold has changed.
    pub fn again(&self, hold: &Hold) -> Self {
        let mut confirmed = self.confirmed.clone();
        match hold.stage {
            Stage::Draining(Emptying { since, .. }) => confirmed.retain(|_, at| *at >= since),
            _ => confirmed.clear(),
        }
        Self { instances: BTreeMap::new(), before: self.in_flight(hold), confirmed }
    }

    /// Adds a sample of all of the hold's servers in one instance, taken after HAProxy confirmed the hold.
    pub fn handle_sample(&mut self, instance: &InstanceName, loads: BTreeMap<Entry, Load>, at: Timestamp) {
        self.confirmed.entry(instance.clone()).or_insert(at);
        self.instances.entry(instance.clone()).or_default().add(loads, at);
    }

    /// Drops the samples of HAProxy instances that do not answer and may be away.
    pub fn skip_instances(&mut self, gone: &BTreeSet<InstanceName>) {
        self.instances.retain(|name, _| !gone.contains(name));
    }

    /// What the hold does next.
    pub fn next(&self, hold: &Hold, emptying: Emptying, now: Timestamp) -> DrainVerdict {
        let Emptying { mode, since, killed, hardened } = emptying;
        let Ladder { last, grace, deadline, on_deadline, stays, idle, .. } = hold.ladder;
        let instances: BTreeSet<&InstanceName> = hold.entries.iter().map(|entry| &entry.instance).collect();
        let unconfirmed: Vec<InstanceName> =
            instances.iter().filter(|name| !self.instances.contains_key(**name)).map(|name| (*name).clone()).collect();
        let all = |is: fn(&Samples) -> bool| unconfirmed.is_empty() && self.instances.values().all(is);
        let (calm, drained) = (all(Samples::is_calm), all(Samples::is_drained));
        let confirmed = self.confirmed.values().copied().max().unwrap_or(since);
        let (grace_ends, ends) = (grace.after(since.max(confirmed)), deadline.after(since));
        if !hardened {
            let may_stay = match stays {
                Stays::None => false,
                Stays::Sticky => self.has_sticky_clients(),
                Stays::All => true,
            };
            return if now >= grace_ends || (calm && !may_stay) {
                DrainVerdict::Harden
            } else {
                DrainVerdict::Wait(if calm {
                    Wait::StickyClients { until: grace_ends }
                } else {
                    self.reason(hold, unconfirmed, grace_ends)
                })
            };
        }
        if mode < last {
            // No new client comes; a request that was on its way a moment ago still finds the servers as they were.
            let asked = if stays == Stays::None { since } else { grace_ends };
            let moved_on = MOVING_TAKES.after(asked).min(ends);
            return if calm || now >= moved_on {
                DrainVerdict::Harden
            } else {
                DrainVerdict::Wait(self.reason(hold, unconfirmed, moved_on))
            };
        }
        let kept = if idle { self.idle(hold) } else { BTreeMap::new() };
        if drained && kept.is_empty() {
            return DrainVerdict::Drained { left: 0 };
        }
        // If the last step of the drain ladder was taken just now, HAProxy gets the time to report its requests.
        let in_doubt = !drained && (!unconfirmed.is_empty() || self.in_flight(hold).is_empty());
        if now < ends || (in_doubt && now < SAMPLES_TAKE.after(ends)) {
            return DrainVerdict::Wait(if drained {
                Wait::Idle { connections: kept, until: ends }
            } else {
                self.reason(hold, unconfirmed, ends)
            });
        }
        match (on_deadline, killed) {
            (OnDeadline::Fail, _) => DrainVerdict::Stuck,
            (OnDeadline::Restore, _) => DrainVerdict::Restore,
            (OnDeadline::Proceed, _) => DrainVerdict::Drained { left: self.in_flight(hold).values().sum() },
            (OnDeadline::Kill, None) => DrainVerdict::Kill,
            (OnDeadline::Kill, Some(at)) if now < KILL_TAKES.after(at) => {
                DrainVerdict::Wait(self.reason(hold, unconfirmed, KILL_TAKES.after(at)))
            }
            (OnDeadline::Kill, Some(_)) => DrainVerdict::Stuck,
        }
    }

    /// The requests in flight on each member that has any.
    pub fn in_flight(&self, hold: &Hold) -> BTreeMap<MemberName, u64> {
        if self.instances.is_empty() {
            return self.before.clone();
        }
        let mut members = BTreeMap::new();
        for (entry, load) in self.instances.values().flat_map(|samples| &samples.last) {
            if load.in_flight() > 0 {
                *members.entry(hold.names.member(entry).clone()).or_default() += load.in_flight();
            }
        }
        members
    }

    /// Idle connections that HAProxy keeps open to each member.
    pub fn idle(&self, hold: &Hold) -> BTreeMap<MemberName, u64> {
        let mut members = BTreeMap::new();
        for (entry, load) in self.instances.values().flat_map(|samples| &samples.last).filter(|(_, load)| load.idle > 0)
        {
            *members.entry(hold.names.member(entry).clone()).or_default() += load.idle;
        }
        members
    }

    /// The requests in flight as text: `2 on web01, 1 on web02`.
    pub fn left(&self, hold: &Hold) -> String {
        let left = self.in_flight(hold);
        left.iter().map(|(member, requests)| format!("{requests} on {member}")).collect::<Vec<_>>().join(", ")
    }

    fn reason(&self, hold: &Hold, unconfirmed: Vec<InstanceName>, until: Timestamp) -> Wait {
        if !unconfirmed.is_empty() {
            return Wait::Confirmation { instances: unconfirmed, trouble: None };
        }
        let requests = self.in_flight(hold);
        if requests.is_empty() {
            Wait::SecondSample { not_before: self.instances.values().filter_map(Samples::retry_may_land).max() }
        } else {
            Wait::InFlight { requests, until }
        }
    }

    /// The members that have sticky clients.
    pub fn stuck_to(&self, hold: &Hold) -> BTreeSet<MemberName> {
        let loads = self.instances.values().flat_map(|samples| &samples.last);
        loads.filter(|(_, load)| load.sticky).map(|(entry, _)| hold.names.member(entry).clone()).collect()
    }

    /// Whether the servers have sticky clients: by cookie, or because requests arrive although HAProxy sends no new
    /// clients there.
    fn has_sticky_clients(&self) -> bool {
        self.instances.values().any(|samples| {
            samples.last.iter().any(|(entry, load)| {
                load.sticky || samples.first.get(entry).is_some_and(|first| load.stot > first.stot)
            })
        })
    }
}

/// How long confirming a change and taking two samples may take: milliseconds, or [`RETRY_LANDS`].
const SAMPLES_TAKE: Span = Span::from_secs(2);

/// How long a request may take from the choice of its backend to that of its server: it may wait for its body.
const MOVING_TAKES: Span = Span::from_secs(10);

/// How long ended sessions may take to disappear: HAProxy needs about 0.2 s.
const KILL_TAKES: Span = Span::from_secs(10);
