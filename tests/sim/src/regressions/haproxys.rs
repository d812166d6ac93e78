//! HAProxys: reloads, new processes, late commands, and two of them.

use super::{PLAIN, SERVERS, around, call, millis, passes, scenario};
use crate::fake::Series;
use crate::scenario::{Act, Fault, Verb};
use crate::shape::Shape;
use crate::{Scenario, play};

/// While a run began a share, a new process of HAProxy came, and its servers were set down until their checks passed.
#[test]
fn a_share_waits_for_servers_that_a_new_process_checks() {
    let shape = Shape { series: Series::V3_0, master: true, strategy: "canary", grace: 300, order: "gap", ..PLAIN };
    around(111_886, Shape { half: 2, ..shape }, &[(1_785, Fault::Reload)]);
}

/// A stopped HAProxy carried out its commands after teeterd had been restarted. The effect was taken for a change
/// outside teeter and was restored at the end.
#[test]
fn late_commands_are_not_drift() {
    let shape = Shape { master: true, strategy: "canary", on_drift: "alarm", order: "gap", longest: 300, ..PLAIN };
    let acts = [(972, Fault::Hang(millis(13_178))), (5_725, Fault::KillTeeterd { back: millis(462), jump: 0 })];
    around(432_593, shape, &acts);
    passes(&scenario(432_593, shape, &acts));
}

/// A new process got a route change to the whole farm before it knew which servers were held for their version.
#[test]
fn a_route_change_repeats_which_servers_are_held() {
    let shape = Shape { series: Series::V2_2, grace: 1_000, on_deadline: "restore", on_drift: "alarm", ..PLAIN };
    let acts = [
        (2_053, Fault::BadVersion),
        (2_677, Fault::FailHook),
        (3_165, call(Verb::Abort)),
        (3_886, Fault::KillHaproxy(millis(860))),
        (4_713, Fault::DiskFull(millis(525))),
        (5_919, Fault::Reload),
    ];
    passes(&scenario(452_609, Shape { longest: 300, ..shape }, &acts));
}

/// HAProxy was being reloaded when the route was switched to the whole farm: the new process had read the map's file
/// before, and led to one side forever, because the route was no longer stored.
#[test]
fn a_process_that_comes_after_the_last_route_change_gets_the_route() {
    for master in [false, true] {
        for at in (2_850..=3_050).step_by(10) {
            passes(&scenario(1, Shape { master, ..PLAIN }, &[(at, Fault::Reload)]));
        }
    }
}

/// Both HAProxys are switched, drained and given back, also when one of them is reloaded or killed.
#[test]
fn two_haproxys_are_switched_together() {
    let struck = |fault: &Fault, at, on| vec![Act { at: millis(at), fault: fault.clone(), on }];
    for (shape, at) in [(PLAIN, 1_200), (Shape { same_names: true, ..SERVERS }, 2_000)] {
        let shape = Shape { haproxys: 2, ..shape };
        let none = Scenario { seed: 1, shape, acts: Vec::new() };
        let outcome = play(&none, false);
        assert!(outcome.endings.contains(&"see-saw done".to_owned()), "{:?}", outcome.endings);
        passes(&none);
        for what in [Fault::Reload, Fault::KillHaproxy(millis(900)), Fault::Hang(millis(1_500))] {
            passes(&Scenario { seed: 2, shape, acts: struck(&what, at, 1) });
        }
    }
}

/// A HAProxy that teeterd had not reached since its start was ignored: a server counted as empty though that HAProxy
/// went on sending requests to it.
#[test]
fn a_haproxy_that_was_never_reached_counts() {
    for late in [1_500, 4_000] {
        let shape = Shape { haproxys: 2, late, ..SERVERS };
        passes(&scenario(1, shape, &[(300, call(Verb::Repair(0)))]));
    }
}
