//! Scenarios that have shown a fault once, each with the name of what was wrong, and some that must show one: a judge
//! who never finds anything would be none.

use std::time::Duration;

use crate::fake::Series;
use crate::scenario::{Act, ByHand, Call, Verb, What};
use crate::shape::Shape;
use crate::{Outcome, Scenario, play, shrink};

const PLAIN: Shape = Shape::PLAIN;

/// The same, turned by the states of its servers.
const SERVERS: Shape = Shape { route: false, half: 2, ..PLAIN };

fn scenario(seed: u64, shape: Shape, acts: &[(u64, What)]) -> Scenario {
    let acts = acts.iter().map(|(at, what)| Act { at: Duration::from_millis(*at), what: what.clone(), on: 0 });
    Scenario { seed, shape, acts: acts.collect() }
}

fn call(verb: Verb) -> What {
    What::Call(Call { verb, patience: None })
}

fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// Nothing is found in it.
fn passes(scenario: &Scenario) {
    let outcome = play(scenario, false);
    assert!(outcome.found.is_empty(), "{scenario}{:#?}", outcome.found);
}

/// Around the time that matters, so that it still matters when something takes a little longer or shorter.
fn around(seed: u64, shape: Shape, acts: &[(u64, What)]) {
    for shift in (0..=600).step_by(120) {
        for seed in seed..seed + 2 {
            let shifted: Vec<_> = acts.iter().map(|(at, what)| (at + shift, what.clone())).collect();
            passes(&scenario(seed, shape, &shifted));
        }
    }
}

#[test]
fn the_same_seed_is_the_same_run() {
    for seed in 0..6 {
        let played = |_| play(&Scenario::of(seed), false);
        let [one, other]: [Outcome; 2] = [0, 1].map(played);
        assert_eq!(one, other);
    }
}

#[test]
fn an_undisturbed_deploy_of_every_kind_comes_to_its_end() {
    for strategy in ["see-saw", "rolling", "blue-green", "canary"] {
        // Blue and green need a route.
        for shape in [PLAIN, SERVERS].into_iter().filter(|shape| shape.route || strategy != "blue-green") {
            let outcome = play(&scenario(1, Shape { strategy, ..shape }, &[]), false);
            assert!(outcome.found.is_empty(), "{:#?}", outcome.found);
            assert!(outcome.endings.contains(&format!("{strategy} done")), "{:?}", outcome.endings);
        }
    }
}

#[test]
fn sabotage_is_found_and_shrinks_to_itself() {
    // web01 is worked on then, and somebody makes it ready, whom the judge does not know of.
    let sabotage = [350, 500, 650].map(|at| (at, What::Sabotage(0)));
    let acts = [&sabotage[..], &[(3_000, What::DiskLies), (5_000, What::Reload)]].concat();
    let shape = Shape { longest: 300, on_drift: "alarm", ..SERVERS };
    let found = |scenario: &Scenario| play(scenario, false).found;
    let sabotaged = (0..40).map(|seed| scenario(seed, shape, &acts)).find(|it| !found(it).is_empty());
    let sabotaged = sabotaged.expect("a hook works on a server that gets requests, and nobody notices");
    let which = found(&sabotaged)[0].which;
    let smallest = shrink(&sabotaged, |tried| found(tried).iter().any(|one| one.which == which));
    assert!(smallest.acts.iter().all(|act| matches!(act.what, What::Sabotage(_))), "{smallest}");
    assert!(!smallest.acts.is_empty());
}

/// After an abort behind a route, the side that was on its way out stayed ready in HAProxy, and got traffic of the old
/// version with the route to all.
#[test]
fn who_stays_out_after_an_abort_is_told_so() {
    around(880, PLAIN, &[(1_900, call(Verb::Abort))]);
}

/// The turn to all went ahead of the news who is out, in a HAProxy that had just been started.
#[test]
fn nobody_is_turned_to_who_is_not_out_yet() {
    around(170, PLAIN, &[(2_200, What::KillHaproxy(millis(1_500))), (2_900, call(Verb::Abort))]);
}

/// A flip counted on servers that an operator had taken out meanwhile.
#[test]
fn a_flip_leaves_enough_when_an_operator_has_taken_some() {
    around(735, SERVERS, &[(1_200, call(Verb::Drain(0, None)))]);
    around(735, SERVERS, &[(1_200, call(Verb::Drain(1, Some(millis(1_700)))))]);
}

/// An operator could take the last server of those who were tried on a share of the visitors.
#[test]
fn who_is_tried_counts_as_serving() {
    let shape = Shape { strategy: "canary", ..PLAIN };
    around(1_412, shape, &[(1_500, call(Verb::Maint(0, Some(millis(1_047)))))]);
    around(6_054, shape, &[(200, call(Verb::Drain(0, Some(millis(2_910)))))]);
}

/// A guard that was asked right after a flip did not count who was coming in.
#[test]
fn an_operator_right_after_a_flip_is_refused_the_last_servers() {
    around(11_349, PLAIN, &[(1_200, call(Verb::Drain(0, Some(millis(2_735)))))]);
}

/// Two proofs of one server, an operator's and a run's: the second told HAProxy that it is down, when the first had
/// shown that it is well, and it came in as such.
#[test]
fn one_proof_is_good_enough_for_two() {
    let acts = [(1_500, call(Verb::Rollback)), (1_700, call(Verb::Maint(1, Some(millis(1_700)))))];
    around(4_485, Shape { half: 1, ..SERVERS }, &acts);
}

/// A step that a pause had held up had used up its time when it began; and what the map was told of a share stayed.
#[test]
fn a_pause_takes_no_time_from_the_step_after_it() {
    around(9_782, Shape { strategy: "canary", half: 2, ..PLAIN }, &[(1_800, call(Verb::Pause))]);
}

/// A group that its policy had brought back during the watch was waited for without end.
#[test]
fn who_was_brought_back_during_the_watch_is_not_waited_for() {
    let shape = Shape { on_deadline: "restore", bake: true, longest: 1_500, ..SERVERS };
    around(7_321, shape, &[(1_200, What::KillTeeterd { back: millis(2_000), jump: 3_600 })]);
    around(7_321, Shape { route: true, ..shape }, &[(2_000, What::Hang(millis(6_700)))]);
}

/// A run that waited for servers of a backend in which nothing was held any more did not look at it.
#[test]
fn who_is_waited_for_is_looked_at() {
    around(678, Shape { half: 1, ..PLAIN }, &[(3_000, What::Sick(0, millis(1_500)))]);
}

/// An abort gave the traffic to all, though somebody else had taken over the servers of the old version.
#[test]
fn an_abort_does_not_mix_versions_that_others_keep() {
    let shape = Shape { on_drift: "yield", ..PLAIN };
    around(8_291, shape, &[(1_800, What::ByHand(1, ByHand::Maint)), (3_000, call(Verb::Abort))]);
}

/// A change by somebody else that was seen while the store was full was never decided upon, and the drain of its server
/// neither went on nor failed for a reason.
#[test]
fn what_others_change_while_the_store_is_full_is_not_forgotten() {
    let shape = Shape { strategy: "canary", on_drift: "alarm", order: "gap", bake: true, longest: 300, ..SERVERS };
    around(110_712, shape, &[(3_349, What::DiskFull(millis(2_486))), (4_025, What::ByHand(2, ByHand::Ready))]);
}

/// A second abort, on the way back from a share, had both groups leave the traffic to show that they are well.
#[test]
fn an_abort_on_the_way_back_from_a_share_leaves_somebody() {
    let shape = Shape { strategy: "canary", half: 3, twice: true, longest: 300, ..SERVERS };
    let acts = [(2_741, call(Verb::Pause)), (3_000, call(Verb::Abort)), (3_400, call(Verb::Abort))];
    around(100_683, shape, &acts);
    around(100_683, Shape { twice: false, ..shape }, &acts);
}

/// While a share was being decided upon, a new process of HAProxy came, and its servers were told to be down until they
/// are checked.
#[test]
fn nobody_is_turned_to_servers_that_are_being_checked_afresh() {
    let shape = Shape { series: Series::V3_0, master: true, strategy: "canary", grace: 300, order: "gap", ..PLAIN };
    around(111_886, Shape { half: 2, ..shape }, &[(1_785, What::Reload)]);
}

/// What a HAProxy had been sent before it was stopped, and carried out after teeterd had been restarted, was taken for
/// somebody else's change, and given back in the end.
#[test]
fn what_comes_late_is_nobody_elses_change() {
    let shape = Shape { master: true, strategy: "canary", on_drift: "alarm", order: "gap", longest: 300, ..PLAIN };
    let acts = [(972, What::Hang(millis(13_178))), (5_725, What::KillTeeterd { back: millis(462), jump: 0 })];
    around(432_593, shape, &acts);
    passes(&scenario(432_593, shape, &acts));
}

/// A caller had hung up while a stopped HAProxy was waited for, and servers of two versions were brought together fifteen
/// seconds later, because the run had been aborted by then.
#[test]
fn who_has_hung_up_asks_for_nothing() {
    let shape = Shape { grace: 300, bake: true, longest: 300, ..PLAIN };
    let hung_up = |verb| What::Call(Call { verb, patience: Some(millis(4)) });
    let acts = [
        (249, What::KillTeeterd { back: millis(1_732), jump: 0 }),
        (538, What::Hang(millis(17_304))),
        (2_667, hung_up(Verb::Ready(0))),
        (5_904, hung_up(Verb::Abort)),
    ];
    around(415_113, shape, &acts);
}

/// Servers that follow those which a new process was told to be down were not waited for when their others went out.
#[test]
fn those_who_follow_a_line_that_is_being_checked_are_waited_for() {
    let shape = Shape { series: Series::V3_0, master: true, half: 3, twice: true, grace: 300, longest: 300, ..SERVERS };
    for at in (1_440..=1_520).step_by(20) {
        passes(&scenario(450_385, shape, &[(at, What::Reload)]));
    }
}

/// A turn to all of a farm that a new process took, which did not know yet who was out for their version.
#[test]
fn a_turn_tells_who_is_out_to_whom_it_reaches() {
    let shape = Shape { series: Series::V2_2, grace: 1_000, on_deadline: "restore", on_drift: "alarm", ..PLAIN };
    let acts = [
        (2_053, What::BadVersion),
        (2_677, What::FailHook),
        (3_165, call(Verb::Abort)),
        (3_886, What::KillHaproxy(millis(860))),
        (4_713, What::DiskFull(millis(525))),
        (5_919, What::Reload),
    ];
    passes(&scenario(452_609, Shape { longest: 300, ..shape }, &acts));
}

/// The disk kept an abort and said that it had not, and the flip after it began nothing: nobody told the reconciler of
/// either, and what was given back was never forgotten.
#[test]
fn what_begins_nothing_is_told_all_the_same() {
    let shape = Shape { series: Series::V3_0, master: true, strategy: "rolling", on_deadline: "restore", ..PLAIN };
    let acts = [(2_185, What::ByHand(0, ByHand::Drain)), (2_981, What::DiskLies), (5_310, call(Verb::Abort))];
    around(314_129, Shape { longest: 300, ..shape }, &acts);
}

/// A flip was turned back by its watch to a side of which an operator had just taken the only server.
#[test]
fn a_way_back_leads_to_somebody() {
    let shape = Shape { series: Series::V3_0, half: 1, bake: true, ..SERVERS };
    let acts = [(1_300, call(Verb::Maint(1, None))), (1_500, call(Verb::Rollback))];
    around(322_718, shape, &acts);
}

/// Somebody put a server in maintenance in the moment in which a flip brought it in. Their wish was kept for a server that
/// nobody held any more, was not carried out because it was the last one, and HAProxy never agreed again.
#[test]
fn what_others_change_while_it_is_brought_back_is_overtaken() {
    let shape = Shape { series: Series::V3_0, grace: 300, on_drift: "alarm", bake: true, longest: 300, ..PLAIN };
    for at in (1_328..1_338).step_by(2) {
        for on_drift in ["alarm", "yield", "reassert"] {
            let acts = [(631, call(Verb::Retry)), (at, What::ByHand(0, ByHand::Maint))];
            passes(&scenario(648_487, Shape { on_drift, ..shape }, &acts));
        }
    }
}

/// A batch that waited for others to be in service went out at once when it was itself down for a moment.
#[test]
fn a_batch_that_is_down_for_a_moment_waits_for_others_too() {
    let shape = Shape { strategy: "rolling", grace: 300, on_drift: "yield", order: "gap", bake: true, ..PLAIN };
    for at in (3_060..=3_110).step_by(6) {
        let acts = [(2_398, call(Verb::Drain(0, None))), (at, What::Sick(1, millis(390)))];
        passes(&scenario(1_020_664, Shape { longest: 1_500, ..shape }, &acts));
    }
}

/// teeterd was stopped for 20 s just when it had recorded that a batch is back: the next one had no time left to answer,
/// and was left as it was.
#[test]
fn time_in_which_teeterd_stood_still_is_not_counted_against_those_who_are_asked() {
    let shape = Shape { strategy: "rolling", ..PLAIN };
    for at in (1_500..=1_560).step_by(2) {
        passes(&scenario(1, shape, &[(at, What::DiskStalls(millis(20_000)))]));
    }
}

/// HAProxy was being reloaded when the traffic was turned to all of the farm: the new process had read the map's file
/// before, and led to one side for ever, because nobody kept the route any more.
#[test]
fn a_process_that_comes_after_the_last_turn_is_told_of_it() {
    for master in [false, true] {
        for at in (2_850..=3_050).step_by(10) {
            passes(&scenario(1, Shape { master, ..PLAIN }, &[(at, What::Reload)]));
        }
    }
}

/// Both are turned, emptied and given back, whichever of them is reloaded or dies.
#[test]
fn two_haproxys_are_turned_as_one() {
    let struck = |what: &What, at, on| vec![Act { at: millis(at), what: what.clone(), on }];
    for (shape, at) in [(PLAIN, 1_200), (Shape { same_names: true, ..SERVERS }, 2_000)] {
        let shape = Shape { haproxys: 2, ..shape };
        let none = Scenario { seed: 1, shape, acts: Vec::new() };
        let outcome = play(&none, false);
        assert!(outcome.endings.contains(&"see-saw done".to_owned()), "{:?}", outcome.endings);
        passes(&none);
        for what in [What::Reload, What::KillHaproxy(millis(900)), What::Hang(millis(1_500))] {
            passes(&Scenario { seed: 2, shape, acts: struck(&what, at, 1) });
        }
    }
}
/// A HAProxy that teeterd had not reached since its start was as if it did not exist: a server was called empty that it
/// went on sending requests to, and it was never told.
#[test]
fn a_haproxy_that_was_never_reached_counts() {
    for late in [1_500, 4_000] {
        let shape = Shape { haproxys: 2, late, ..SERVERS };
        passes(&scenario(1, shape, &[(300, call(Verb::Repair(0)))]));
    }
}

/// Half of the lines were spare, and halves were of all of them; and a backend that is off was told what it refuses.
#[test]
fn lines_that_serve_nobody_are_left_aside() {
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

/// A spare slot, which a deploy leaves alone, was counted among those that serve while the other group went out.
#[test]
fn a_spare_slot_does_not_stay_in_service() {
    let shape = Shape { strategy: "canary", spare: 1, grace: 1_000, ..SERVERS };
    let drain = Call { verb: Verb::Drain(0, Some(millis(2_876))), patience: None };
    passes(&scenario(
        388,
        shape,
        &[(802, What::KillTeeterd { back: millis(1_311), jump: 3_600 }), (2_783, What::Call(drain))],
    ));
}

/// Two looks ten milliseconds apart were to show who sticks to a server, and those of a table had no grace.
#[test]
fn clients_of_a_table_have_their_grace() {
    let shape = Shape { sticky: true, grace: 1_000, ..SERVERS };
    for strategy in ["see-saw", "rolling"] {
        passes(&scenario(1, Shape { strategy, ..shape }, &[]));
    }
}

/// A member was kept out of all its backends because its line was down where another one leads, as it had been before.
#[test]
fn a_line_that_was_down_by_design_keeps_nobody_out() {
    let shape = Shape { leader: true, ..SERVERS };
    for verb in [Verb::Maint(1, Some(millis(1_500))), Verb::Repair(1)] {
        passes(&scenario(1, shape, &[(300, call(verb))]));
    }
}
