//! Taking away what a failing scenario does not need.

use crate::scenario::Scenario;

/// The same failure with as little as possible: acts are taken out for as long as it still fails, and then the farm is
/// made plainer.
pub fn shrink(scenario: &Scenario, still_fails: impl Fn(&Scenario) -> bool) -> Scenario {
    let mut smallest = scenario.clone();
    // Half of them at a time, then fewer: most scenarios need one or two.
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
        |it| it.shape.half = 1,
        |it| it.shape.bake = false,
        |it| it.shape.warm_up = false,
        |it| it.shape.twice = false,
        |it| it.shape.grace = 0,
        |it| it.shape.longest = 50,
        |it| it.shape.on_drift = "reassert",
        |it| it.shape.on_deadline = "fail",
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
