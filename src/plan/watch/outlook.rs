//! Whether a watch can reach a verdict in its time, before a run begins.

use super::bursts::{self, Bursts};
use super::evidence::{ONE_IN_TWENTY, Question, Sample};
use super::needed::more_requests;
use crate::farm::{BakeSettings, Counts, OnInconclusive, Share, Span};
use crate::plan::run_plan::Plan;
use crate::plan::step::Step;

/// The traffic of a farm until now.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Traffic {
    /// What its servers were given.
    pub counts: Counts,
    /// Requests in a second, on average.
    pub per_second: f64,
}

/// Notes on the watches of a plan that are too short for a verdict at the present number of requests, and whose end
/// without one stops the run or rolls it back.
pub fn too_short(plan: &Plan, traffic: Traffic) -> Vec<String> {
    let Some(settings) = plan.bake.as_ref().filter(|settings| !settings.compares_nothing()) else { return Vec::new() };
    let then = match plan.on_inconclusive(settings) {
        OnInconclusive::Proceed => return Vec::new(),
        OnInconclusive::Rollback => "then it is rolled back",
        OnInconclusive::Pause | OnInconclusive::Wait => "then the run waits for more requests, or for an operator",
    };
    let mut part = 1.0;
    let mut notes = Vec::new();
    for step in &plan.steps {
        match step {
            Step::Share { share, .. } => part = share.as_part(),
            Step::Flip { .. } => part = 1.0,
            Step::Bake { takes, .. } => {
                let takes = takes.unwrap_or(settings.takes);
                notes.extend(note(
                    step,
                    takes,
                    settings,
                    Traffic { per_second: traffic.per_second * part, ..traffic },
                    then,
                ));
            }
            _ => {}
        }
    }
    notes
}

fn note(step: &Step, takes: Span, settings: &BakeSettings, traffic: Traffic, then: &str) -> Option<String> {
    let Traffic { counts, per_second } = traffic;
    let unknown = bursts::factor(&Bursts::default(), &Bursts::default());
    let needed = |most: Option<Share>, failed: u64| {
        // The other side becomes well known until the watch: what it has failed so far is its share.
        let known = counts.requests.max(WELL_KNOWN);
        let share = Sample::new(counts.requests, failed).share();
        let old = Sample::new(known, (known as f64 * share) as u64);
        let question = Question { old, new: Sample::default(), more: most?.as_part(), bursts: unknown };
        more_requests(&question, ONE_IN_TWENTY, false)
    };
    let needed = [needed(settings.max_5xx, counts.hrsp_5xx), needed(settings.max_errors, counts.errors)];
    let needed = needed.into_iter().flatten().max()?.max(settings.min_requests);
    let lasts = needed as f64 / per_second;
    if lasts <= takes.duration().as_secs_f64() {
        return None;
    }
    let rate = match per_second {
        rate if rate < 0.05 => "almost no request".to_owned(),
        rate if rate < 10.0 => format!("{rate:.1} requests/s"),
        rate => format!("{rate:.0} requests/s"),
    };
    let minutes = match (lasts / 60.0).ceil() {
        minutes if minutes > 600.0 => "more than ten hours".to_owned(),
        minutes => format!("about {minutes} min"),
    };
    Some(format!("{step}: at {rate} to the new side a verdict needs {minutes}, and it lasts {takes}; {then}"))
}

/// The requests of a side whose failures are well known.
const WELL_KNOWN: u64 = 10_000;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::tests::planned_canary;

    const FARM: &str = "members = [\"app/*\", \"api/*\"]\nhalves = \"auto\"\n";

    #[test]
    fn a_share_that_gets_too_few_requests_says_so() {
        let plan = planned_canary(&format!(
            "{FARM}bake = {{ for = \"1h\", max_5xx = \"1%\" }}\ncanary = {{ steps = \"5%\", pause = \"5m\" }}"
        ));
        let counts = Counts { requests: 1_000_000, hrsp_5xx: 1000, ..Counts::default() };
        let notes = |per_second| too_short(&plan, Traffic { counts, per_second });
        assert_eq!(notes(5000.0), Vec::<String>::new());
        let weak = notes(60.0);
        assert_eq!(weak.len(), 1, "{weak:?}");
        assert!(weak[0].starts_with("bake a 5m: at 3.0 requests/s to the new side a verdict needs about "), "{weak:?}");
        assert!(weak[0].ends_with("min, and it lasts 5m; then the run waits for more requests, or for an operator"));
        assert!(notes(0.0).iter().all(|note| note.contains("almost no request") && note.contains("ten hours")));
    }

    #[test]
    fn a_watch_that_goes_on_without_a_verdict_has_no_note() {
        let plan = planned_canary(&format!(
            "{FARM}bake = {{ for = \"1m\", max_5xx = \"1%\", on_inconclusive = \"proceed\" }}"
        ));
        assert_eq!(too_short(&plan, Traffic::default()), Vec::<String>::new());
    }
}
