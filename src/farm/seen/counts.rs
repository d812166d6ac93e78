//! What HAProxy has counted of some servers, for the bake after a flip.

use serde::{Deserialize, Serialize};

use crate::farm::seen::server::Load;

/// Counters of some servers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Requests that the servers were given.
    pub requests: u64,
    /// Answers with status 500 to 599, also those that HAProxy generated itself.
    pub hrsp_5xx: u64,
    /// Failed connections, and answers that broke off or could not be parsed.
    pub errors: u64,
    /// The time of all answers together, in milliseconds, where HAProxy reports it.
    pub time: u64,
}

impl Counts {
    /// The counters of one server since its HAProxy process started. HAProxy reports the time of an answer as an
    /// average over about the last thousand.
    pub fn of_server(load: &Load) -> Self {
        let time = load.rtime.unwrap_or_default() * load.stot;
        Self { requests: load.stot, hrsp_5xx: load.hrsp_5xx, errors: load.errors, time }
    }

    /// What was added after `then`.
    #[must_use]
    pub fn since(self, then: Self) -> Self {
        let requests = self.requests.saturating_sub(then.requests);
        Self {
            requests,
            hrsp_5xx: self.hrsp_5xx.saturating_sub(then.hrsp_5xx),
            errors: self.errors.saturating_sub(then.errors),
            // The average covers the latest answers, not all answers.
            time: self.average() * requests,
        }
    }

    /// The sum of both.
    #[must_use]
    pub fn plus(self, more: Self) -> Self {
        Self {
            requests: self.requests + more.requests,
            hrsp_5xx: self.hrsp_5xx + more.hrsp_5xx,
            errors: self.errors + more.errors,
            time: self.time + more.time,
        }
    }

    /// The average time of one answer, in milliseconds.
    pub fn average(&self) -> u64 {
        self.time / self.requests.max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_added_has_the_latest_average_time() {
        let counts = |requests, hrsp_5xx| Counts { requests, hrsp_5xx, errors: 0, time: requests * 10 };
        assert_eq!(counts(100, 7).since(counts(60, 5)), Counts { requests: 40, hrsp_5xx: 2, errors: 0, time: 400 });
    }
}
