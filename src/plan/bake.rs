//! Whether the side that has just got the traffic does worse than the other side did.

use std::collections::BTreeMap;

use super::run::{Bake, Run};
use super::step::Step;
use crate::farm::{BakeSettings, Counts, Entry, GroupName, Share};

/// What HAProxy has counted for a watch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Figures {
    /// The side that had the traffic before.
    pub before: Counts,
    /// The side that has it now, since the watch began.
    pub now: Counts,
}

impl Bake {
    /// What a watch that begins now is measured against. `counts`: what HAProxy has counted of a line.
    pub fn begin(run: &Run, counts: impl Fn(&Entry) -> Option<Counts>) -> Self {
        let Some(Step::Bake { new, old, .. }) = run.current() else {
            return Self { before: Counts::default(), from: BTreeMap::new() };
        };
        let all_and_late = |entry: &Entry| {
            let now = counts(entry)?;
            Some((now, now.since(run.counted.get(entry).copied().unwrap_or_default())))
        };
        let (all, late) = lines(run, old)
            .filter_map(all_and_late)
            .fold((Counts::default(), Counts::default()), |sum, line| (sum.0.plus(line.0), sum.1.plus(line.1)));
        let enough = run.plan.bake.as_ref().is_some_and(|bake| late.requests >= bake.min_requests);
        Self {
            // A run too short for a comparison is compared with all that the process has counted.
            before: if enough { late } else { all },
            from: lines(run, new).filter_map(|entry| Some((entry.clone(), counts(entry)?))).collect(),
        }
    }
}

/// The lines of a run's groups.
fn lines<'a>(run: &'a Run, groups: &'a [GroupName]) -> impl Iterator<Item = &'a Entry> {
    groups.iter().flat_map(|group| run.members(group)).flat_map(|member| &member.entries)
}

impl Figures {
    /// The figures of the watch that a run is at; `None` where it is at none, or has not begun it.
    pub fn of_watch(run: &Run, counts: impl Fn(&Entry) -> Option<Counts>) -> Option<Self> {
        let (Some(Step::Bake { .. }), Some(bake)) = (run.current(), &run.bake) else { return None };
        run.step.acted?;
        let since = |(entry, from): (&Entry, &Counts)| counts(entry).map(|now| now.since(*from));
        let now = bake.from.iter().filter_map(since).fold(Counts::default(), Counts::plus);
        Some(Self { before: bake.before, now })
    }

    /// Whether there were too few requests for a verdict.
    pub fn are_too_few(&self, settings: &BakeSettings) -> bool {
        self.now.requests < settings.min_requests
    }

    /// The figures that are worse than allowed, as text; `None` if there are none.
    pub fn breach(&self, settings: &BakeSettings) -> Option<String> {
        if self.are_too_few(settings) {
            return None;
        }
        let Self { before, now } = self;
        let share = |what: &str, part: u64, was: u64, more: Option<Share>| {
            let (is, was, more) = (Share::of(part, now.requests), Share::of(was, before.requests), more?);
            (is > was.plus(more)).then(|| {
                format!("{is} of {} requests {what}, {was} before; {more} more would be allowed", now.requests)
            })
        };
        let slow = || {
            let limit = settings.max_time?;
            let known = before.requests > 0 && before.average() > 0;
            // Below a few milliseconds the average says more about the machine than about the version.
            let most = limit.times(before.average()).max(before.average() + FEW_MILLISECONDS);
            (known && now.average() > most).then(|| {
                format!(
                    "an answer takes {} ms, {} ms before; {limit} of that would be allowed",
                    now.average(),
                    before.average()
                )
            })
        };
        share("answered with 5xx", now.hrsp_5xx, before.hrsp_5xx, settings.max_5xx)
            .or_else(|| share("failed", now.errors, before.errors, settings.max_errors))
            .or_else(slow)
    }
}

/// HAProxy counts whole milliseconds.
const FEW_MILLISECONDS: u64 = 3;

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(requests: u64, hrsp_5xx: u64, errors: u64, average: u64) -> Counts {
        Counts { requests, hrsp_5xx, errors, time: requests * average }
    }

    #[test]
    fn only_what_is_worse_than_before_is_a_breach() {
        let settings: BakeSettings = toml::from_str(
            "for = \"60s\"\nmax_5xx = \"1%\"\nmax_errors = \"0.5%\"\nmax_time = \"200%\"\nmin_requests = 50",
        )
        .unwrap();
        let before = counts(1000, 20, 0, 40);
        let breach = |now: Counts| Figures { before, now }.breach(&settings);
        assert_eq!(breach(counts(100, 3, 0, 40)), None, "as many as before, and what is allowed");
        assert_eq!(breach(counts(49, 49, 49, 4000)), None, "too few requests");
        assert!(breach(counts(100, 4, 0, 40)).unwrap().contains("4% of 100 requests answered with 5xx, 2% before"));
        assert!(breach(counts(100, 0, 1, 40)).unwrap().contains("1% of 100 requests failed, 0% before"));
        assert!(breach(counts(100, 0, 0, 81)).unwrap().contains("takes 81 ms, 40 ms before"));
        let unknown = Figures { before: Counts::default(), now: counts(100, 2, 0, 900) };
        assert!(unknown.breach(&settings).is_some(), "without figures of before, the limit alone counts");
    }
}
