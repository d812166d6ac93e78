//! Judging a watch again from its kept points, with other settings.

use super::series::WatchPoint;
use super::verdict::{Figures, Judgement, Verdict};
use crate::farm::BakeSettings;

/// The verdict on a watch that was played again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replayed {
    /// The verdict: worse if any point was, else that of the last point.
    pub judgement: Judgement,
    /// Requests to the new side at the point that decided.
    pub requests: u64,
}

/// Judges a watch at each of its points, in order of time, as teeterd does at each look. The points are fewer than the
/// looks were, so a rollback may come some requests later here.
pub fn replay(points: &[WatchPoint], concurrent: bool, settings: &BakeSettings) -> Replayed {
    let mut figures = Figures { concurrent, ..Figures::default() };
    let mut judgement = figures.judge(settings);
    for point in points {
        figures.old.count_until(point.old.into());
        figures.new.count_until(point.new.into());
        judgement = figures.judge(settings);
        if judgement.verdict == Verdict::Worse {
            break;
        }
    }
    Replayed { judgement, requests: figures.new.counts.requests }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::watch::SideCounts;

    fn point(number: u64, failed: u64) -> WatchPoint {
        let side = |requests, hrsp_5xx| SideCounts { requests, hrsp_5xx, errors: 0 };
        WatchPoint { ms: number * 1000, new: side(number * 50, failed), old: side(3000 + number * 50, 3) }
    }

    #[test]
    fn a_watch_is_judged_again_with_other_settings() {
        let points: Vec<WatchPoint> = (0..30).map(|number| point(number, number * 2)).collect();
        let judged =
            |settings: &str| replay(&points, true, &toml::from_str(&format!("for = \"60s\"\n{settings}")).unwrap());
        let strict = judged("max_5xx = \"1%\"");
        assert_eq!(strict.judgement.verdict, Verdict::Worse);
        assert!(strict.requests < 1450, "{strict:?}");
        let generous = judged("max_5xx = \"10%\"");
        assert_eq!((generous.judgement.verdict, generous.requests), (Verdict::NoWorse, 1450));
        assert_eq!(replay(&[], true, &toml::from_str("for = \"1s\"\nmax_5xx = \"1%\"").unwrap()).requests, 0);
    }
}
