//! Routes: which servers a map leads to.

use super::{PLAIN, around, call, millis};
use crate::scenario::{ByHand, Fault, Verb};
use crate::shape::Shape;

/// After an abort with a route, the side that was leaving stayed ready in HAProxy and got requests for the old
/// version when the route led to the whole farm again.
#[test]
fn servers_left_out_by_an_abort_are_taken_out_in_haproxy() {
    around(880, PLAIN, &[(1_900, call(Verb::Abort))]);
}

/// In a HAProxy that had just been started, the route was switched to the whole farm before the held servers were
/// taken out.
#[test]
fn the_route_waits_until_held_servers_are_out() {
    around(170, PLAIN, &[(2_200, Fault::KillHaproxy(millis(1_500))), (2_900, call(Verb::Abort))]);
}

/// An abort switched the route to the whole farm, though another user had taken over the servers of the old version.
#[test]
fn an_abort_does_not_route_to_servers_that_another_user_holds() {
    let shape = Shape { on_drift: "yield", ..PLAIN };
    around(8_291, shape, &[(1_800, Fault::ByHand(1, ByHand::Maint)), (3_000, call(Verb::Abort))]);
}
