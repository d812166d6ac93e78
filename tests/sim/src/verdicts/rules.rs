//! The rules that judge a watch: teeter's, and others on the same counters.

use teeter::farm::{BakeSettings, Counts, Span};
use teeter::plan::watch::{Counted, Figures, Verdict};
use teeter_lab::Dice;

use crate::streams::{Pace, Requests, SECONDS_BETWEEN_LOOKS, Version};

/// A watch that is played.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Watch {
    pub(crate) old: Version,
    pub(crate) new: Version,
    /// Requests to each side in a second.
    pub(crate) rate: f64,
    pub(crate) seconds: f64,
    /// Whether the old side has traffic meanwhile. It had it for five minutes before in any case.
    pub(crate) concurrent: bool,
}

/// The requests at which each rule turned the new version down; `None` where it did not.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Played {
    pub(crate) teeter: Option<u64>,
    pub(crate) threshold: Option<u64>,
    pub(crate) argo: Option<u64>,
    pub(crate) flagger: Option<u64>,
    /// The requests at which teeter found the new version no worse.
    pub(crate) no_worse: Option<u64>,
}

const BEFORE_SECONDS: f64 = 300.0;

pub(crate) fn settings() -> BakeSettings {
    BakeSettings { max_5xx: "1%".parse().ok(), ..BakeSettings::without_comparison(Span::from_secs(60)) }
}

/// Plays a watch to its end, or until every rule has spoken.
pub(crate) fn play(watch: &Watch, settings: &BakeSettings, dice: &mut Dice) -> Played {
    let (mut old_requests, mut pace) = (Requests::new(watch.old, dice), Pace::new(watch.rate, dice));
    let (mut figures, mut played) = (Figures { concurrent: watch.concurrent, ..Figures::default() }, Played::default());
    for _ in 0..looks(BEFORE_SECONDS) {
        look(&mut figures.old, pace.next(), &mut old_requests, dice);
    }
    if watch.concurrent {
        figures.before = std::mem::take(&mut figures.old.counts);
    }
    let mut new_requests = Requests::new(watch.new, dice);
    let (mut argo, mut flagger) = (Intervals::ARGO, Intervals::FLAGGER);
    for number in 1..=looks(watch.seconds) {
        let failed = look(&mut figures.new, pace.next(), &mut new_requests, dice);
        if watch.concurrent {
            look(&mut figures.old, pace.next(), &mut old_requests, dice);
        }
        let (new, old) = (figures.new.counts, figures.old.counts);
        // A side that was found no worse becomes worse with a failure only.
        if played.teeter.is_none() && (failed > 0 || played.no_worse.is_none()) {
            match figures.verdict(settings) {
                Verdict::Worse => played.teeter = Some(new.requests),
                Verdict::NoWorse => played.no_worse = played.no_worse.or(Some(new.requests)),
                Verdict::Inconclusive => {}
            }
        }
        if new.requests >= 100 && 10_000 * new.hrsp_5xx / new.requests > share_of(old) + 100 {
            played.threshold = played.threshold.or(Some(new.requests));
        }
        let seconds = number as f64 * SECONDS_BETWEEN_LOOKS;
        played.argo = played.argo.or(argo.fails(seconds, new).then_some(new.requests));
        played.flagger = played.flagger.or(flagger.fails(seconds, new).then_some(new.requests));
        let spoken = played.teeter.is_some() && played.threshold.is_some();
        if spoken && played.argo.is_some() && played.flagger.is_some() {
            break;
        }
    }
    played
}

fn looks(seconds: f64) -> u64 {
    (seconds / SECONDS_BETWEEN_LOOKS) as u64
}

/// Counts the requests of one look. Returns how many failed.
fn look(side: &mut Counted, requests: u64, stream: &mut Requests, dice: &mut Dice) -> u64 {
    let failed = stream.failing_of(requests, dice);
    side.count_until(side.counts.plus(Counts { requests, hrsp_5xx: failed, ..Counts::default() }));
    failed
}

fn share_of(counts: Counts) -> u64 {
    (10_000 * counts.hrsp_5xx).checked_div(counts.requests).unwrap_or(0)
}

/// A rule that measures the share of passed requests once in each interval, and gives up after some failed measurements.
struct Intervals {
    seconds: f64,
    /// The least share of requests that must pass, in hundredths of a percent.
    least: u64,
    /// The failed measurements that are accepted.
    accepted: u32,
    failed: u32,
    measured: u64,
    before: Counts,
}

impl Intervals {
    /// An analysis as in Argo Rollouts' documentation: `interval: 5m`, `successCondition: result[0] >= 0.95`,
    /// `failureLimit: 3`.
    const ARGO: Self = Self { accepted: 3, ..Self::every(300.0, 9500) };
    /// A canary as in Flagger's documentation: `interval: 1m`, `threshold: 5`, request-success-rate at least 99.
    const FLAGGER: Self = Self { accepted: 4, ..Self::every(60.0, 9900) };

    const fn every(seconds: f64, least: u64) -> Self {
        let before = Counts { requests: 0, hrsp_5xx: 0, errors: 0, time: 0 };
        Self { seconds, least, accepted: 0, failed: 0, measured: 0, before }
    }

    fn fails(&mut self, seconds: f64, now: Counts) -> bool {
        let interval = (seconds / self.seconds + 1e-9) as u64;
        if interval > self.measured {
            self.measured = interval;
            let fresh = now.since(self.before);
            self.before = now;
            self.failed += u32::from(fresh.requests > 0 && 10_000 - share_of(fresh) < self.least);
        }
        self.failed > self.accepted
    }
}
