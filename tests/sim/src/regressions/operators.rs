//! Operators: their holds, guards and calls beside a run.

use super::{PLAIN, SERVERS, around, call, millis};
use crate::fake::Series;
use crate::scenario::{Call, Fault, Verb};
use crate::shape::Shape;

/// A flip counted on servers that an operator had taken out meanwhile.
#[test]
fn a_flip_counts_servers_that_an_operator_has_taken() {
    around(735, SERVERS, &[(1_200, call(Verb::Drain(0, None)))]);
    around(735, SERVERS, &[(1_200, call(Verb::Drain(1, Some(millis(1_700)))))]);
}

/// An operator could take out the last server of a canary group that had a share of the clients.
#[test]
fn the_last_canary_server_cannot_be_taken_out() {
    let shape = Shape { strategy: "canary", ..PLAIN };
    around(1_412, shape, &[(1_500, call(Verb::Maint(0, Some(millis(1_047)))))]);
    around(6_054, shape, &[(200, call(Verb::Drain(0, Some(millis(2_910)))))]);
}

/// A guard right after a flip did not count the servers that were coming in.
#[test]
fn a_drain_right_after_a_flip_counts_incoming_servers() {
    around(11_349, PLAIN, &[(1_200, call(Verb::Drain(0, Some(millis(2_735)))))]);
}

/// A caller disconnected while teeterd waited for a stopped HAProxy. Fifteen seconds later servers of two versions
/// were brought together, because the run had been aborted by then.
#[test]
fn nothing_is_begun_for_a_caller_that_has_disconnected() {
    let shape = Shape { grace: 300, bake: true, longest: 300, ..PLAIN };
    let hung_up = |verb| Fault::Call(Call { verb, patience: Some(millis(4)) });
    let acts = [
        (249, Fault::KillTeeterd { back: millis(1_732), jump: 0 }),
        (538, Fault::Hang(millis(17_304))),
        (2_667, hung_up(Verb::Ready(0))),
        (5_904, hung_up(Verb::Abort)),
    ];
    around(415_113, shape, &acts);
}

/// A bake rolled a flip back to a side whose only server an operator had just taken out.
#[test]
fn a_rollback_does_not_lead_to_an_empty_side() {
    let shape = Shape { series: Series::V3_0, half: 1, bake: true, ..SERVERS };
    let acts = [(1_300, call(Verb::Maint(1, None))), (1_500, call(Verb::Rollback))];
    around(322_718, shape, &acts);
}
