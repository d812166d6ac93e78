//! Faults that the chaos tests have, too, at every step of a deploy.

use super::{PLAIN, SERVERS, call, millis, passes, scenario};
use crate::fake::Series;
use crate::scenario::{Act, Fault, Verb};
use crate::shape::Shape;
use crate::{Scenario, play};

/// The moments of a deploy.
fn moments() -> impl Iterator<Item = u64> {
    (300..=2_700).step_by(600)
}

#[test]
fn a_held_line_that_is_deleted_and_added_is_held_again() {
    let leader = Shape { series: Series::V3_4, leader: true, half: 1, ..SERVERS };
    for (shape, pause) in [(PLAIN, None), (PLAIN, Some(millis(700))), (leader, None)] {
        for at in moments() {
            passes(&scenario(at, shape, &[(at, Fault::AddAgain { server: 0, line: 1, pause })]));
        }
    }
}

#[test]
fn a_renamed_haproxy_is_recognised_at_every_step() {
    for (shape, moved) in [(PLAIN, false), (SERVERS, true)] {
        for at in moments() {
            passes(&scenario(at, shape, &[(at, Fault::Rename { back: millis(300), moved })]));
        }
    }
}

/// A run held servers of a HAProxy that was not configured any more, without a record of their states: when the
/// HAProxy was configured again, they went out there and never came back.
#[test]
fn a_haproxy_that_is_configured_again_gets_what_it_has_missed() {
    let shape = Shape { haproxys: 2, half: 1, ..SERVERS };
    for at in moments() {
        let fault = Fault::Remove { back: millis(300), gone: millis(4_000) };
        passes(&Scenario { seed: at, shape, acts: vec![Act { at: millis(at), fault, on: 1 }] });
    }
}

#[test]
fn servers_stay_out_while_a_deploy_hangs() {
    for shape in [PLAIN, SERVERS] {
        for at in moments() {
            let stalled = (at, Fault::StallDeployer(millis(15_000)));
            passes(&scenario(at, shape, &[stalled, (at + 2_000, call(Verb::Abort))]));
        }
    }
}

#[test]
fn a_deploy_that_hangs_goes_on_and_ends() {
    let outcome = play(&scenario(1, PLAIN, &[(600, Fault::StallDeployer(millis(15_000)))]), false);
    assert!(outcome.found.is_empty(), "{:#?}", outcome.found);
    assert!(outcome.endings.contains(&"see-saw done".to_owned()), "{:?}", outcome.endings);
}

#[test]
fn a_full_disk_is_reported_at_every_step() {
    for at in moments() {
        passes(&scenario(at, PLAIN, &[(at, Fault::DiskFull(millis(2_000)))]));
    }
}

#[test]
fn readers_do_not_disturb_a_deploy() {
    for strategy in ["see-saw", "rolling", "canary"] {
        passes(&scenario(1, Shape { strategy, ..PLAIN }, &[(0, Fault::Readers(3, millis(6_000)))]));
    }
}
