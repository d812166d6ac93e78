//! When a server is drained: counting samples, and the drain ladder of drain, maintenance, deadline and policy.

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
    /// What was in flight when the hold last changed. Shown until there are samples again; no decision uses it.
    before: BTreeMap<MemberName, u64>,
    /// When each HAProxy was first seen to have confirmed the hold: the grace of clients begins then.
    confirmed: BTreeMap<InstanceName, Timestamp>,
}

/// What a hold that is draining does next.
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

    /// Forgets what was counted in HAProxy instances that do not answer and may be away.
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
        // If the last step of the drain ladder was taken just now, HAProxy gets the time to report what is in flight.
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

    /// What is in flight on each member that has anything.
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

    /// What is in flight, in words: `2 on web01, 1 on web02`.
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::farm::{HoldId, Owner};
    use crate::haproxy::AdminState;

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millisecond(1_800_000_000_000 + millis).unwrap()
    }

    fn entry() -> Entry {
        "edge:app/web01".to_owned().try_into().unwrap()
    }

    fn hold(last: AdminState, on_deadline: OnDeadline) -> Hold {
        Hold {
            id: HoldId(1),
            owner: Owner::Operator("ann".into()),
            reason: String::new(),
            selectors: Vec::new(),
            entries: BTreeSet::from([entry()]),
            since: at(0),
            expires: None,
            ladder: Ladder {
                first: AdminState::Drain,
                last,
                grace: Span::from_secs(5),
                deadline: Span::from_secs(30),
                on_deadline,
                stays: Stays::Sticky,
                idle: false,
            },
            stage: Stage::Draining(Emptying { mode: AdminState::Drain, since: at(0), killed: None, hardened: false }),
            first_out: false,
            revision: 1,
            note: None,
            reach: Default::default(),
            names: Default::default(),
        }
    }

    fn watch(samples: &[(i64, Load)]) -> DrainWatch {
        let mut watch = DrainWatch::default();
        for (millis, load) in samples {
            watch.handle_sample(&entry().instance, BTreeMap::from([(entry(), *load)]), at(*millis));
        }
        watch
    }

    fn next(watch: &DrainWatch, hold: &Hold, mode: AdminState, now: i64) -> DrainVerdict {
        let hardened = mode >= hold.ladder.last;
        watch.next(hold, Emptying { mode, since: at(0), killed: None, hardened }, at(now))
    }

    const NONE: Load = Load {
        scur: 0,
        qcur: 0,
        used: 0,
        served: 0,
        idle: 0,
        stot: 5,
        old: 0,
        troubles: 0,
        hrsp_5xx: 0,
        errors: 0,
        rtime: None,
        sticky: false,
        assigned: None,
    };

    #[test]
    fn one_sample_without_requests_is_not_enough() {
        let hold = hold(AdminState::Drain, OnDeadline::Fail);
        let mut watch = watch(&[(100, NONE)]);
        assert!(matches!(next(&watch, &hold, AdminState::Drain, 100), DrainVerdict::Wait(Wait::SecondSample { .. })));
        watch.handle_sample(&entry().instance, BTreeMap::from([(entry(), Load { qcur: 1, ..NONE })]), at(150));
        watch.handle_sample(&entry().instance, BTreeMap::from([(entry(), NONE)]), at(200));
        assert!(matches!(next(&watch, &hold, AdminState::Drain, 200), DrainVerdict::Wait(_)));
        watch.handle_sample(&entry().instance, BTreeMap::from([(entry(), NONE)]), at(220));
        assert_eq!(next(&watch, &hold, AdminState::Drain, 220), DrainVerdict::Drained { left: 0 });
    }

    #[test]
    fn idle_connections_are_waited_for_if_configured() {
        let mut hold = hold(AdminState::Drain, OnDeadline::Fail);
        let idle = Load { idle: 2, ..NONE };
        let watch = watch(&[(0, idle), (20, idle)]);
        assert_eq!(next(&watch, &hold, AdminState::Drain, 20), DrainVerdict::Drained { left: 0 });
        hold.ladder.idle = true;
        let verdict = next(&watch, &hold, AdminState::Drain, 20);
        assert!(matches!(verdict, DrainVerdict::Wait(Wait::Idle { .. })), "{verdict:?}");
        assert_eq!(next(&watch, &hold, AdminState::Drain, 30_000), DrainVerdict::Stuck);
        hold.ladder.last = AdminState::Maint;
        assert_eq!(next(&watch, &hold, AdminState::Drain, 20), DrainVerdict::Harden);
    }

    #[test]
    fn without_confirmation_nothing_is_drained() {
        let hold = hold(AdminState::Drain, OnDeadline::Fail);
        let verdict = next(&DrainWatch::default(), &hold, AdminState::Drain, 100);
        assert!(matches!(verdict, DrainVerdict::Wait(Wait::Confirmation { .. })));
    }

    #[test]
    fn after_failed_connections_a_retry_may_still_land() {
        let hold = hold(AdminState::Drain, OnDeadline::Fail);
        // The connections had failed before the confirmation; one fails once more after it.
        for failed in [3, 4] {
            let troubled = Load { troubles: failed, ..NONE };
            let begun = if failed == 4 { 500 } else { 0 };
            let mut watch = watch(&[(0, Load { troubles: 3, ..NONE }), (500, troubled), (1000, troubled)]);
            assert!(matches!(
                next(&watch, &hold, AdminState::Drain, 1000),
                DrainVerdict::Wait(Wait::SecondSample { not_before: Some(_) })
            ));
            watch.handle_sample(&entry().instance, BTreeMap::from([(entry(), troubled)]), at(begun + 1099));
            assert!(matches!(next(&watch, &hold, AdminState::Drain, begun + 1099), DrainVerdict::Wait(_)));
            watch.handle_sample(&entry().instance, BTreeMap::from([(entry(), troubled)]), at(begun + 1100));
            assert_eq!(next(&watch, &hold, AdminState::Drain, begun + 1100), DrainVerdict::Drained { left: 0 });
        }
    }

    #[test]
    fn with_haproxys_list_of_sessions_no_retry_is_waited_for() {
        let hold = hold(AdminState::Drain, OnDeadline::Fail);
        let troubled = Load { troubles: 3, ..NONE };
        let listed = |assigned| Load { assigned: Some(assigned), ..troubled };
        let waits = watch(&[(0, troubled), (20, listed(1))]);
        assert!(matches!(next(&waits, &hold, AdminState::Drain, 20), DrainVerdict::Wait(Wait::InFlight { .. })));
        let empty = watch(&[(0, troubled), (20, listed(0))]);
        assert_eq!(next(&empty, &hold, AdminState::Drain, 20), DrainVerdict::Drained { left: 0 });
    }

    #[test]
    fn the_drain_ladder_waits_for_the_grace_only_where_clients_are_sticky() {
        let hold = hold(AdminState::Maint, OnDeadline::Fail);
        assert_eq!(next(&watch(&[(0, NONE), (20, NONE)]), &hold, AdminState::Drain, 20), DrainVerdict::Harden);
        let sticky = Load { sticky: true, ..NONE };
        let arriving = Load { stot: 6, ..NONE };
        for samples in [[(0, sticky), (20, sticky)], [(0, NONE), (20, arriving)]] {
            let watch = watch(&samples);
            assert!(matches!(
                next(&watch, &hold, AdminState::Drain, 20),
                DrainVerdict::Wait(Wait::StickyClients { .. })
            ));
            assert_eq!(next(&watch, &hold, AdminState::Drain, 5_000), DrainVerdict::Harden);
        }
    }

    #[test]
    fn clients_that_may_stay_have_the_grace() {
        let sticky = watch(&[(0, Load { sticky: true, ..NONE }), (20, Load { sticky: true, ..NONE })]);
        for (stays, verdict) in [(Stays::None, DrainVerdict::Harden), (Stays::All, DrainVerdict::Harden)] {
            let mut hold = hold(AdminState::Drain, OnDeadline::Fail);
            hold.ladder.stays = stays;
            let emptying = Emptying { mode: AdminState::Drain, since: at(0), killed: None, hardened: false };
            let waits = matches!(sticky.next(&hold, emptying, at(20)), DrainVerdict::Wait(Wait::StickyClients { .. }));
            assert_eq!(waits, stays == Stays::All);
            assert_eq!(sticky.next(&hold, emptying, at(5_000)), verdict);
            // A side on standby ends in drain: then only requests in flight count.
            assert_eq!(next(&sticky, &hold, AdminState::Drain, 5_020), DrainVerdict::Drained { left: 0 });
        }
    }

    #[test]
    fn each_policy_acts_at_the_deadline() {
        let watch = watch(&[(0, Load { scur: 2, ..NONE })]);
        for (policy, expected) in [
            (OnDeadline::Fail, DrainVerdict::Stuck),
            (OnDeadline::Kill, DrainVerdict::Kill),
            (OnDeadline::Proceed, DrainVerdict::Drained { left: 2 }),
            (OnDeadline::Restore, DrainVerdict::Restore),
        ] {
            let hold = hold(AdminState::Maint, policy);
            assert!(matches!(
                next(&watch, &hold, AdminState::Maint, 29_999),
                DrainVerdict::Wait(Wait::InFlight { .. })
            ));
            assert_eq!(next(&watch, &hold, AdminState::Maint, 30_000), expected);
        }
    }

    #[test]
    fn a_kill_without_effect_ends_as_stuck() {
        let hold = hold(AdminState::Maint, OnDeadline::Kill);
        let watch = watch(&[(0, Load { scur: 1, ..NONE })]);
        let killed = Some(at(30_000));
        let emptying = Emptying { mode: AdminState::Maint, since: at(0), killed, hardened: true };
        let verdict = |now| watch.next(&hold, emptying, at(now));
        assert!(matches!(verdict(39_000), DrainVerdict::Wait(_)));
        assert_eq!(verdict(40_000), DrainVerdict::Stuck);
    }
}
