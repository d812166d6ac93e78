//! The store: a full disk, a disk that lies, and a teeterd that is stopped.

use super::{PLAIN, SERVERS, around, call, millis, passes, scenario};
use crate::fake::Series;
use crate::scenario::{ByHand, Fault, Verb};
use crate::shape::Shape;

/// A change outside teeter while the disk was full was never handled: the drain of that server neither went on nor
/// failed with a reason.
#[test]
fn a_change_outside_teeter_while_the_disk_is_full_is_handled_later() {
    let shape = Shape { strategy: "canary", on_drift: "alarm", order: "gap", bake: true, longest: 300, ..SERVERS };
    around(110_712, shape, &[(3_349, Fault::DiskFull(millis(2_486))), (4_025, Fault::ByHand(2, ByHand::Ready))]);
}

/// The disk kept an abort and reported an error, and the flip after it began nothing: the reconciler got notice of
/// neither, and the baselines stayed.
#[test]
fn a_change_that_the_disk_has_kept_is_published() {
    let shape = Shape { series: Series::V3_0, master: true, strategy: "rolling", on_deadline: "restore", ..PLAIN };
    let acts = [(2_185, Fault::ByHand(0, ByHand::Drain)), (2_981, Fault::DiskLies), (5_310, call(Verb::Abort))];
    around(314_129, Shape { longest: 300, ..shape }, &acts);
}

/// teeterd was stopped for 20 s when it had just recorded that a batch is back: the next batch had no time left for
/// its probes and was skipped.
#[test]
fn time_while_teeterd_is_stopped_does_not_count() {
    let shape = Shape { strategy: "rolling", ..PLAIN };
    for at in (1_500..=1_560).step_by(2) {
        passes(&scenario(1, shape, &[(at, Fault::DiskStalls(millis(20_000)))]));
    }
}
