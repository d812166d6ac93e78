//! Scenarios that have failed once, by subject. The comment of each test describes the mistake. Scenarios that must
//! fail are here, too: they show that the checks find something.

mod faults;
mod haproxys;
mod operators;
mod routes;
mod runs;
mod servers;
mod store;

use std::time::Duration;

use crate::scenario::{Act, Call, Fault, Verb};
use crate::shape::Shape;
use crate::{Outcome, Scenario, play, shrink};

const PLAIN: Shape = Shape::PLAIN;

/// A farm without a route, of four servers.
const SERVERS: Shape = Shape { route: false, half: 2, ..PLAIN };

fn scenario(seed: u64, shape: Shape, acts: &[(u64, Fault)]) -> Scenario {
    let acts = acts.iter().map(|(at, fault)| Act { at: Duration::from_millis(*at), fault: fault.clone(), on: 0 });
    Scenario { seed, shape, acts: acts.collect() }
}

fn call(verb: Verb) -> Fault {
    Fault::Call(Call { verb, patience: None })
}

fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

/// Plays a scenario and expects no finding.
fn passes(scenario: &Scenario) {
    let outcome = play(scenario, false);
    assert!(outcome.found.is_empty(), "{scenario}{:#?}", outcome.found);
}

/// Plays the acts at several times, so that the test still covers the moment when a step takes a little longer or
/// shorter.
fn around(seed: u64, shape: Shape, acts: &[(u64, Fault)]) {
    for shift in (0..=600).step_by(120) {
        for seed in seed..seed + 2 {
            let shifted: Vec<_> = acts.iter().map(|(at, fault)| (at + shift, fault.clone())).collect();
            passes(&scenario(seed, shape, &shifted));
        }
    }
}

#[test]
fn the_same_seed_is_the_same_run() {
    for seed in 0..6 {
        let played = |_| play(&Scenario::from_seed(seed), false);
        let [one, other]: [Outcome; 2] = [0, 1].map(played);
        assert_eq!(one, other);
    }
}

#[test]
fn an_undisturbed_deploy_ends_with_every_strategy() {
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
fn sabotage_is_found_and_remains_after_shrinking() {
    // A hook works on web01 then. A user makes it ready, and the checks do not know of it.
    let sabotage = [350, 500, 650].map(|at| (at, Fault::Sabotage(0)));
    let acts = [&sabotage[..], &[(3_000, Fault::DiskLies), (5_000, Fault::Reload)]].concat();
    let shape = Shape { longest: 300, on_drift: "alarm", ..SERVERS };
    let found = |scenario: &Scenario| play(scenario, false).found;
    let sabotaged = (0..40).map(|seed| scenario(seed, shape, &acts)).find(|tried| !found(tried).is_empty());
    let sabotaged = sabotaged.expect("a hook works on a server that gets requests, and no check finds it");
    let invariant = found(&sabotaged)[0].invariant;
    let smallest = shrink(&sabotaged, |tried| found(tried).iter().any(|finding| finding.invariant == invariant));
    assert!(smallest.acts.iter().all(|act| matches!(act.fault, Fault::Sabotage(_))), "{smallest}");
    assert!(!smallest.acts.is_empty());
}
