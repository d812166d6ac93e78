//! Runs: pauses, aborts, bakes and batches.

use super::{PLAIN, SERVERS, around, call, millis, passes, scenario};
use crate::scenario::{Fault, Verb};
use crate::shape::Shape;

/// A step after a pause had no time left when it began, and the map kept the entry of a share.
#[test]
fn a_pause_does_not_use_up_the_time_of_a_step() {
    around(9_782, Shape { strategy: "canary", half: 2, ..PLAIN }, &[(1_800, call(Verb::Pause))]);
}

/// A run waited forever for a group that `on_deadline = "restore"` had brought back during the bake.
#[test]
fn a_restored_group_is_not_waited_for() {
    let shape = Shape { on_deadline: "restore", bake: true, longest: 1_500, ..SERVERS };
    around(7_321, shape, &[(1_200, Fault::KillTeeterd { back: millis(2_000), jump: 3_600 })]);
    around(7_321, Shape { route: true, ..shape }, &[(2_000, Fault::Hang(millis(6_700)))]);
}

/// A run waited for servers of a backend without holds, and the backend was not read.
#[test]
fn a_backend_without_holds_is_read_while_a_run_waits_for_it() {
    around(678, Shape { half: 1, ..PLAIN }, &[(3_000, Fault::Unhealthy(0, millis(1_500)))]);
}

/// A second abort, on the way back from a share, took both groups out of the traffic to verify them.
#[test]
fn a_second_abort_of_a_canary_leaves_servers_in_service() {
    let shape = Shape { strategy: "canary", half: 3, twice: true, longest: 300, ..SERVERS };
    let acts = [(2_741, call(Verb::Pause)), (3_000, call(Verb::Abort)), (3_400, call(Verb::Abort))];
    around(100_683, shape, &acts);
    around(100_683, Shape { twice: false, ..shape }, &acts);
}

/// A batch that waited for other servers to be in service went out at once when it was itself down for a moment.
#[test]
fn a_batch_that_is_down_for_a_moment_waits_for_other_batches() {
    let shape = Shape { strategy: "rolling", grace: 300, on_drift: "yield", order: "gap", bake: true, ..PLAIN };
    for at in (3_060..=3_110).step_by(6) {
        let acts = [(2_398, call(Verb::Drain(0, None))), (at, Fault::Unhealthy(1, millis(390)))];
        passes(&scenario(1_020_664, Shape { longest: 1_500, ..shape }, &acts));
    }
}
