//! Servers: holds, verification, sticky clients, and special lines.

use super::{PLAIN, SERVERS, around, call, millis, passes, scenario};
use crate::fake::Series;
use crate::play;
use crate::scenario::{ByHand, Call, Fault, Verb};
use crate::shape::Shape;

/// Two holds of one server were verified, an operator's and a run's: the second verification set the server down
/// after the first had succeeded, and the server came in as down.
#[test]
fn two_holds_on_one_server_are_verified_once() {
    let acts = [(1_500, call(Verb::Rollback)), (1_700, call(Verb::Maint(1, Some(millis(1_700)))))];
    around(4_485, Shape { half: 1, ..SERVERS }, &acts);
}

/// A new process set a line down to check it. The lines that track it were not waited for when the other group went
/// out.
#[test]
fn trackers_of_a_line_that_is_checked_are_waited_for() {
    let shape = Shape { series: Series::V3_0, master: true, half: 3, twice: true, grace: 300, longest: 300, ..SERVERS };
    for at in (1_440..=1_520).step_by(20) {
        passes(&scenario(450_385, shape, &[(at, Fault::Reload)]));
    }
}

/// A user set a server to maintenance while a flip brought it in. The state was kept for a server without a hold,
/// could not be set because it was the last server, and HAProxy never agreed again.
#[test]
fn a_manual_change_while_a_server_comes_back_is_overridden() {
    let shape = Shape { series: Series::V3_0, grace: 300, on_drift: "alarm", bake: true, longest: 300, ..PLAIN };
    for at in (1_328..1_338).step_by(2) {
        for on_drift in ["alarm", "yield", "reassert"] {
            let acts = [(631, call(Verb::Retry)), (at, Fault::ByHand(0, ByHand::Maint))];
            passes(&scenario(648_487, Shape { on_drift, ..shape }, &acts));
        }
    }
}

/// Half of the lines were spare, and the halves counted them. A disabled backend was sent commands that it refuses.
#[test]
fn spare_lines_and_disabled_backends_are_skipped() {
    for shape in
        [Shape { spare: 2, ..SERVERS }, Shape { off: true, ..SERVERS }, Shape { spare: 1, twice: true, ..SERVERS }]
    {
        for strategy in ["see-saw", "rolling"] {
            let undisturbed = scenario(1, Shape { strategy, ..shape }, &[]);
            let outcome = play(&undisturbed, false);
            assert!(outcome.endings.contains(&format!("{strategy} done")), "{undisturbed}{:?}", outcome.endings);
            passes(&undisturbed);
        }
    }
}

/// A spare slot, which a deploy skips, was counted as serving while the other group went out.
#[test]
fn a_spare_slot_does_not_count_as_in_service() {
    let shape = Shape { strategy: "canary", spare: 1, grace: 1_000, ..SERVERS };
    let drain = Call { verb: Verb::Drain(0, Some(millis(2_876))), patience: None };
    passes(&scenario(
        388,
        shape,
        &[(802, Fault::KillTeeterd { back: millis(1_311), jump: 3_600 }), (2_783, Fault::Call(drain))],
    ));
}

/// Two looks ten milliseconds apart decided whether a server had sticky clients, and those of a stick table had no
/// grace.
#[test]
fn clients_of_a_stick_table_have_their_grace() {
    let shape = Shape { sticky: true, grace: 1_000, ..SERVERS };
    for strategy in ["see-saw", "rolling"] {
        passes(&scenario(1, Shape { strategy, ..shape }, &[]));
    }
}

/// A member stayed out of all its backends because its line in the backend of the leader was down, as it had been
/// before.
#[test]
fn a_line_that_was_down_before_a_hold_does_not_block_its_end() {
    let shape = Shape { leader: true, ..SERVERS };
    for verb in [Verb::Maint(1, Some(millis(1_500))), Verb::Repair(1)] {
        passes(&scenario(1, shape, &[(300, call(verb))]));
    }
}

/// While the disk was full, a user set a held server to maintenance and then ready. Both changes were recorded at
/// once, and the server stayed ready, because teeter waited for a record of the maintenance alone.
#[test]
fn a_held_server_that_is_set_to_maintenance_and_ready_goes_out_again() {
    for at in [500, 700, 900] {
        let acts = [
            (at, Fault::DiskFull(millis(2_500))),
            (at + 200, Fault::ByHand(0, ByHand::Maint)),
            (at + 1_200, Fault::ByHand(0, ByHand::Ready)),
        ];
        let outcome = play(&scenario(1, Shape { half: 1, longest: 50, ..SERVERS }, &acts), false);
        assert!(outcome.found.is_empty(), "{:#?}", outcome.found);
    }
}
