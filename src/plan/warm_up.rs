//! When a server is warm: as many answers in a row as make the wanted rounds over all paths took less than the limit.

use std::fmt;
use std::time::Duration;

use crate::farm::WarmUp;

/// One answer to a warm-up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timed {
    /// Its status.
    pub status: u16,
    /// From the request to the last byte of the answer.
    pub took: Duration,
}

/// How warm one server is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Warmth {
    /// The number of requests so far.
    asked: u32,
    /// Good and fast answers in a row, up to the latest.
    row: u32,
    last: Option<Result<Duration, String>>,
    /// The latest answer that was bad or slow, in words.
    bad: Option<String>,
}

impl Warmth {
    /// A server that cannot be sent requests, and why.
    pub fn unasked(why: String) -> Self {
        Self { last: Some(Err(why.clone())), bad: Some(why), ..Self::default() }
    }

    /// The path of the next request: one path after the other.
    pub fn path<'a>(&self, settings: &'a WarmUp) -> &'a str {
        let index = (self.asked as usize).checked_rem(settings.paths.len());
        index.and_then(|index| settings.paths.get(index)).map_or("/", String::as_str)
    }

    /// Counts the answer to that request, or why there was none.
    pub fn handle_answer(&mut self, settings: &WarmUp, answer: Result<Timed, String>) {
        let path = self.path(settings);
        self.asked = self.asked.saturating_add(1);
        let at = ordinal(self.asked);
        let (last, bad) = match answer {
            Ok(Timed { status, took }) if status != settings.expect => (
                Ok(took),
                Some(format!("GET {path} was answered with {status} at the {at} request, not {}", settings.expect)),
            ),
            Ok(Timed { took, .. }) if took >= settings.below.duration() => {
                let (slow, below) = (millis(took), millis(settings.below.duration()));
                (Ok(took), Some(format!("GET {path} took {slow} at the {at} request, not below {below}")))
            }
            Ok(Timed { took, .. }) => (Ok(took), None),
            Err(why) => (Err(why.clone()), Some(format!("{why} (the {at} request)"))),
        };
        self.row = if bad.is_none() { self.row.saturating_add(1) } else { 0 };
        self.last = Some(last);
        self.bad = bad.or(self.bad.take());
    }

    /// Whether there were enough requests, and the last rounds were fast. Paths are asked one after the other, so as
    /// many answers in a row as there are paths are a round, whichever path it begins with.
    pub fn is_warm(&self, settings: &WarmUp) -> bool {
        let paths = u32::try_from(settings.paths.len()).unwrap_or(u32::MAX);
        self.asked >= settings.requests && self.row >= settings.in_a_row.saturating_mul(paths)
    }

    /// Why it is not warm.
    pub fn why_cold(&self, settings: &WarmUp) -> String {
        match &self.bad {
            Some(bad) if self.row == 0 => bad.clone(),
            Some(bad) => format!("{bad}, and since then only {} in a row were fast", self.row),
            None if self.asked == 0 => "has answered no request of the warm-up".to_owned(),
            None => format!(
                "answered only {} requests of the warm-up in {}, all of them fast",
                self.asked, settings.deadline
            ),
        }
    }
}

impl fmt::Display for Warmth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let requests = if self.asked == 1 { "request" } else { "requests" };
        match &self.last {
            Some(Ok(took)) => write!(f, "{} {requests}, last {}", self.asked, millis(*took)),
            Some(Err(why)) => write!(f, "{} {requests}, last: {why}", self.asked),
            None => f.write_str("has not answered yet"),
        }
    }
}

/// In milliseconds, or in microseconds below one.
fn millis(took: Duration) -> String {
    match took.as_millis() {
        0 => format!("{} µs", took.as_micros()),
        millis => format!("{millis} ms"),
    }
}

fn ordinal(number: u32) -> String {
    let ending = match (number % 100, number % 10) {
        (11..=13, _) => "th",
        (_, 1) => "st",
        (_, 2) => "nd",
        (_, 3) => "rd",
        _ => "th",
    };
    format!("{number}{ending}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(more: &str) -> WarmUp {
        toml::from_str(&format!("paths = [\"/\", \"/products\"]\nbelow = \"200ms\"\n{more}")).unwrap()
    }

    /// Gives answers that take these milliseconds; 0: an answer with 503.
    fn after(settings: &WarmUp, answers: &[u64]) -> Warmth {
        let mut warmth = Warmth::default();
        for millis in answers {
            let (status, took) = (if *millis == 0 { 503 } else { 200 }, Duration::from_millis(*millis));
            warmth.handle_answer(settings, Ok(Timed { status, took }));
        }
        warmth
    }

    #[test]
    fn a_round_is_one_answer_of_every_path() {
        let settings = settings("in_a_row = 2");
        let mut warmth = Warmth::default();
        for path in ["/", "/products", "/", "/products"] {
            assert_eq!(warmth.path(&settings), path);
            assert!(!warmth.is_warm(&settings));
            warmth.handle_answer(&settings, Ok(Timed { status: 200, took: Duration::from_millis(199) }));
        }
        assert!(warmth.is_warm(&settings));
    }

    #[test]
    fn a_slow_wrong_or_failed_answer_begins_the_row_anew() {
        let settings = settings("in_a_row = 1");
        assert!(after(&settings, &[900, 900, 10, 10]).is_warm(&settings));
        assert!(!after(&settings, &[10, 200, 10]).is_warm(&settings));
        assert!(!after(&settings, &[10, 0, 10]).is_warm(&settings));
        let mut warmth = after(&settings, &[10]);
        warmth.handle_answer(&settings, Err("no connection".to_owned()));
        warmth.handle_answer(&settings, Ok(Timed { status: 200, took: Duration::from_millis(1) }));
        assert!(!warmth.is_warm(&settings));
    }

    #[test]
    fn the_configured_number_of_requests_is_made() {
        let settings = settings("in_a_row = 1\nrequests = 5");
        assert!(!after(&settings, &[10; 4]).is_warm(&settings));
        assert!(after(&settings, &[10; 5]).is_warm(&settings));
    }

    #[test]
    fn progress_and_the_reason_for_cold_are_shown() {
        let settings = settings("");
        let slow = after(&settings, &[10, 340]);
        assert_eq!(slow.to_string(), "2 requests, last 340 ms");
        assert_eq!(slow.why_cold(&settings), "GET /products took 340 ms at the 2nd request, not below 200 ms");
        let wrong = after(&settings, &[0, 10]).why_cold(&settings);
        assert_eq!(
            wrong,
            "GET / was answered with 503 at the 1st request, not 200, and since then only 1 in a row were fast"
        );
        assert_eq!(after(&settings, &[]).to_string(), "has not answered yet");
        assert_eq!(
            after(&settings, &[1]).why_cold(&settings),
            "answered only 1 requests of the warm-up in 1m, all of them fast"
        );
        let ordinals = [1, 2, 3, 4, 11, 12, 13, 21, 57, 112].map(ordinal);
        assert_eq!(ordinals, ["1st", "2nd", "3rd", "4th", "11th", "12th", "13th", "21st", "57th", "112th"]);
    }
}
