//! Shrinking: removing what a failing scenario does not need.

use crate::scenario::Scenario;

/// The smallest scenario that still fails: first acts are removed, then the farm is made plainer.
pub fn shrink(scenario: &Scenario, still_fails: impl Fn(&Scenario) -> bool) -> Scenario {
    let mut smallest = scenario.clone();
    // Half of the acts at a time, then fewer: most failures need one or two.
    let mut chunk = smallest.acts.len();
    while chunk > 0 {
        let mut from = 0;
        while from < smallest.acts.len() {
            let mut fewer = smallest.clone();
            let to = (from + chunk).min(fewer.acts.len());
            fewer.acts.drain(from..to);
            if still_fails(&fewer) {
                smallest = fewer;
            } else {
                from += chunk;
            }
        }
        chunk /= 2;
    }
    let plainer: [fn(&mut Scenario); 8] = [
        |scenario| scenario.shape.half = 1,
        |scenario| scenario.shape.bake = false,
        |scenario| scenario.shape.warm_up = false,
        |scenario| scenario.shape.twice = false,
        |scenario| scenario.shape.grace = 0,
        |scenario| scenario.shape.longest = 50,
        |scenario| scenario.shape.on_drift = "reassert",
        |scenario| scenario.shape.on_deadline = "fail",
    ];
    for plain in plainer {
        let mut plainer = smallest.clone();
        plain(&mut plainer);
        if still_fails(&plainer) {
            smallest = plainer;
        }
    }
    smallest
}
