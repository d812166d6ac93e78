//! Drains, from samples of requests in flight.

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
        assert!(matches!(next(&watch, &hold, AdminState::Drain, 20), DrainVerdict::Wait(Wait::StickyClients { .. })));
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
        assert!(matches!(next(&watch, &hold, AdminState::Maint, 29_999), DrainVerdict::Wait(Wait::InFlight { .. })));
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
