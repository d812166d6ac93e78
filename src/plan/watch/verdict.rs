//! The verdict on a watch: worse than allowed, no worse, or not enough seen for either.

use serde::{Deserialize, Serialize};

use super::bursts;
use super::evidence::{ONE_IN_TWENTY, Question, Sample};
use super::measure::Measure;
use super::needed;
use super::tracker::Counted;
use crate::farm::{BakeSettings, Counts, Share};

/// What a watch has seen so far.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Figures {
    /// The side to compare with.
    pub old: Counted,
    /// The side that is watched, since the watch began.
    pub new: Counted,
    /// Whether both sides were counted over the same time; otherwise the old side was counted before the watch.
    pub concurrent: bool,
    /// Where both are counted over the same time: what the old side was given before.
    pub before: Counts,
    /// The requests to the new side at which its answers became slower than allowed; `None` while they are not.
    pub slow_since: Option<u64>,
}

/// The verdict on the new side.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// It is worse than allowed.
    Worse,
    /// It is no worse than allowed.
    NoWorse,
    /// Too little was seen for either.
    Inconclusive,
}

/// A verdict with its reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Judgement {
    /// The verdict.
    pub verdict: Verdict,
    /// The numbers behind it, in a sentence without an end.
    pub text: String,
    /// Requests to the new side that are still needed before it can be found no worse, if failures go on as so far.
    /// `None` where none are needed, or no number of them is enough.
    pub needed: Option<u64>,
}

/// The sides as they compare now.
enum Comparison {
    /// The new side is worse, in words.
    Worse(String),
    /// It is no worse by any of these.
    NoWorse(Vec<Measure>),
    /// Too little was seen for either: these shares are no worse, and those are open.
    Open { decided: Vec<Measure>, open: Vec<Measure> },
}

impl Figures {
    /// The shares that the settings compare.
    fn measures(&self, settings: &BakeSettings) -> Vec<Measure> {
        let measure = |most: Option<Share>, what, side: fn(&Counts) -> Sample, bursts: f64| {
            let (most, old, new) = (most?, side(&self.old.counts), side(&self.new.counts));
            let question = Question { old, new, more: most.as_part(), bursts };
            Some(Measure { what, question, before: side(&self.before), most })
        };
        let factor_5xx = bursts::factor(&self.old.bursts_5xx, &self.new.bursts_5xx);
        let factor_errors = bursts::factor(&self.old.bursts_errors, &self.new.bursts_errors);
        let measures = [
            measure(settings.max_5xx, "were answered with 5xx", Sample::of_5xx, factor_5xx),
            measure(settings.max_errors, "failed", Sample::of_errors, factor_errors),
        ];
        measures.into_iter().flatten().collect()
    }

    /// The verdict on the watch as it is now. The chance of a false `Worse` over the whole watch, however often it is
    /// judged, is at most `alpha` for the shares together; that of a false `NoWorse` is at most one in twenty.
    pub fn verdict(&self, settings: &BakeSettings) -> Verdict {
        match self.compare(settings) {
            Comparison::Worse(_) => Verdict::Worse,
            Comparison::NoWorse(_) => Verdict::NoWorse,
            Comparison::Open { .. } => Verdict::Inconclusive,
        }
    }

    /// The verdict with its reason, and with what is missing for one.
    pub fn judge(&self, settings: &BakeSettings) -> Judgement {
        let describe = |measures: &[Measure]| {
            measures.iter().map(|measure| measure.describe(self.concurrent)).collect::<Vec<_>>().join("; ")
        };
        match self.compare(settings) {
            Comparison::Worse(text) => Judgement { verdict: Verdict::Worse, text, needed: None },
            Comparison::NoWorse(measures) => {
                Judgement { verdict: Verdict::NoWorse, text: describe(&measures), needed: None }
            }
            Comparison::Open { decided, open } => {
                let too_few = settings.min_requests.saturating_sub(self.new.counts.requests);
                let more = |measure: &Measure| needed::more_requests(&measure.question, ONE_IN_TWENTY, self.concurrent);
                let needed = open.iter().map(more).collect::<Option<Vec<u64>>>();
                let needed = needed.map(|all| all.into_iter().fold(too_few, u64::max));
                let shown = if open.is_empty() { decided } else { open };
                Judgement { verdict: Verdict::Inconclusive, text: self.missing(&shown, needed), needed }
            }
        }
    }

    /// Compares the sides by each share, and by the time of their answers.
    fn compare(&self, settings: &BakeSettings) -> Comparison {
        let measures = self.measures(settings);
        let limit = (measures.len().max(1) as f64 / settings.alpha.as_part()).ln();
        let worse = measures.iter().find(|measure| measure.is_worse(limit));
        let worse = worse.map(|measure| measure.describe(self.concurrent)).or_else(|| self.too_slow(settings));
        if let Some(text) = worse {
            return Comparison::Worse(text);
        }
        let (decided, open): (Vec<Measure>, Vec<Measure>) = measures.into_iter().partition(Measure::is_no_worse);
        match open.is_empty() && self.new.counts.requests >= settings.min_requests {
            true => Comparison::NoWorse(decided),
            false => Comparison::Open { decided, open },
        }
    }

    /// What is missing for a verdict.
    fn missing(&self, open: &[Measure], needed: Option<u64>) -> String {
        let seen = match open.first() {
            Some(measure) => measure.describe(self.concurrent),
            None => format!("{} requests", self.new.counts.requests),
        };
        let bursts = open.iter().map(|measure| measure.question.bursts).fold(1.0, f64::max);
        let bursts = match self.known_failures(open) {
            true if bursts >= 2.0 => format!(", because failures come in bursts of about {bursts:.0}"),
            _ => String::new(),
        };
        let unknown = open.iter().any(|measure| measure.question.old.requests == 0);
        match needed {
            Some(needed) => format!("{seen}: about {needed} more requests are needed for a verdict{bursts}"),
            None if unknown && self.concurrent => format!("{seen}: both sides need requests for a verdict"),
            None if unknown => format!("{seen}: there is nothing to compare with"),
            None => format!("{seen}: no number of requests is enough while both sides fail like this{bursts}"),
        }
    }

    fn known_failures(&self, open: &[Measure]) -> bool {
        open.iter().any(|measure| measure.question.old.failed + measure.question.new.failed >= 10)
    }

    /// Whether answers take longer than allowed now. HAProxy's time of an answer is an average over about the last
    /// thousand, so this compares two averages and knows nothing of their spread.
    pub fn is_slow(&self, settings: &BakeSettings) -> bool {
        let (Some(limit), before) = (settings.max_time, self.old.counts.average()) else { return false };
        // Below a few milliseconds the average says more about the machine than about the version.
        let most = limit.times(before).max(before + FEW_MILLISECONDS);
        before > 0 && self.new.counts.requests > 0 && self.new.counts.average() > most
    }

    /// The text about answers that were slower than allowed for so many requests that the average has none of the
    /// earlier answers left.
    fn too_slow(&self, settings: &BakeSettings) -> Option<String> {
        let (limit, since) = (settings.max_time?, self.slow_since?);
        let lasted = self.new.counts.requests.saturating_sub(since);
        (lasted >= settings.min_requests.max(AVERAGED)).then(|| {
            format!(
                "an answer takes {} ms, {} ms before, over the last {lasted} requests; {limit} of that is allowed",
                self.new.counts.average(),
                self.old.counts.average(),
            )
        })
    }
}

/// HAProxy counts whole milliseconds.
const FEW_MILLISECONDS: u64 = 3;

/// The answers in one of HAProxy's averages (`TIME_STATS_SAMPLES`): after as many, earlier ones weigh about a third.
const AVERAGED: u64 = 512;

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(more: &str) -> BakeSettings {
        toml::from_str(&format!("for = \"60s\"\nmin_requests = 50\n{more}")).unwrap()
    }

    /// A side whose failures come one by one.
    fn counted(requests: u64, hrsp_5xx: u64, average: u64) -> Counted {
        let mut counted = Counted { counts: Counts { requests, hrsp_5xx, errors: 0, time: 0 }, ..Counted::default() };
        counted.counts.time = average * requests;
        let every = requests.checked_div(hrsp_5xx).unwrap_or(u64::MAX).max(1);
        let mut left = hrsp_5xx;
        for request in 0..requests {
            let fails = left > 0 && (request * 7919) % every == 0;
            left -= u64::from(fails);
            counted.bursts_5xx.add(1, u64::from(fails));
        }
        counted
    }

    fn judged(more: &str, old: Counted, new: Counted) -> Judgement {
        Figures { old, new, ..Figures::default() }.judge(&settings(more))
    }

    #[test]
    fn ten_failures_of_ten_are_worse_and_say_so() {
        let judged = judged("max_5xx = \"1%\"", counted(3000, 3, 10), counted(10, 10, 10));
        assert_eq!(judged.verdict, Verdict::Worse);
        assert_eq!(judged.text, "100% of 10 requests were answered with 5xx, 0.1% of 3000 before; 1% more is allowed");
    }

    #[test]
    fn few_requests_are_inconclusive_and_say_how_many_are_missing() {
        let first = judged("max_5xx = \"1%\"", counted(3000, 3, 10), counted(60, 0, 10));
        assert_eq!(first.verdict, Verdict::Inconclusive);
        let needed = first.needed.unwrap();
        assert!((100..3000).contains(&needed) && first.text.contains("more requests are needed"), "{first:?}");
        let later = judged("max_5xx = \"1%\"", counted(3000, 3, 10), counted(60 + needed, 0, 10));
        assert_eq!((later.verdict, later.needed), (Verdict::NoWorse, None), "{later:?}");
    }

    #[test]
    fn a_side_without_requests_has_no_verdict() {
        let none = judged("max_5xx = \"1%\"", counted(3000, 0, 10), Counted::default());
        assert_eq!(none.verdict, Verdict::Inconclusive);
        let both = judged("max_5xx = \"1%\"", Counted::default(), Counted::default());
        assert!(both.text.contains("nothing is known of the requests before"), "{both:?}");
    }

    #[test]
    fn sides_that_begin_to_fail_together_are_alike() {
        let settings = settings("max_5xx = \"1%\"");
        let figures = |old_fails: u64| Figures {
            old: counted(190, old_fails, 10),
            new: counted(10, 10, 10),
            concurrent: true,
            before: Counts { requests: 3000, ..Counts::default() },
            slow_since: None,
        };
        assert_eq!(figures(0).judge(&settings).verdict, Verdict::Worse);
        assert_eq!(figures(190).judge(&settings).verdict, Verdict::Inconclusive);
    }

    #[test]
    fn both_shares_must_be_no_worse() {
        let settings = "max_5xx = \"1%\"\nmax_errors = \"1%\"";
        let mut failing = counted(5000, 0, 10);
        failing.counts.errors = 400;
        assert_eq!(judged(settings, counted(5000, 5, 10), failing).verdict, Verdict::Worse);
        let healthy = judged(settings, counted(5000, 5, 10), counted(5000, 0, 10));
        assert!(healthy.verdict == Verdict::NoWorse && healthy.text.contains("failed"), "{healthy:?}");
    }

    #[test]
    fn slow_answers_are_worse_only_after_a_whole_average_of_them() {
        let settings = settings("max_time = \"200%\"");
        let figures = |requests, average, slow_since| Figures {
            old: counted(5000, 0, 40),
            new: counted(requests, 0, average),
            slow_since,
            ..Figures::default()
        };
        assert!(figures(100, 81, None).is_slow(&settings) && !figures(100, 80, None).is_slow(&settings));
        let verdict = |requests, since| figures(requests, 200, since).judge(&settings).verdict;
        assert_eq!(verdict(600, Some(100)), Verdict::NoWorse);
        assert_eq!(verdict(700, Some(100)), Verdict::Worse);
        assert_eq!(verdict(40, None), Verdict::Inconclusive);
    }
}
