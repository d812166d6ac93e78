//! What HAProxy has counted of some servers, for the watch after a flip.

use serde::{Deserialize, Serialize};

use crate::farm::seen::server::Load;

/// What HAProxy has counted of some servers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Requests.
    pub requests: u64,
    /// Answers 500 to 599, those that HAProxy gave itself among them.
    pub hrsp_5xx: u64,
    /// Connections that failed, and answers that broke off or could not be read.
    pub errors: u64,
    /// The time of all answers together, in milliseconds, as far as it is known.
    pub time: u64,
}

impl Counts {
    /// Of one server, since its process began. HAProxy has the time of answers as an average of the last thousand.
    pub fn of(load: &Load) -> Self {
        let time = load.rtime.unwrap_or_default() * load.stot;
        Self { requests: load.stot, hrsp_5xx: load.hrsp_5xx, errors: load.errors, time }
    }

    /// What has been added since then. A process that has begun anew has counted only this.
    #[must_use]
    pub fn since(self, then: Self) -> Self {
        if self.requests < then.requests {
            return self;
        }
        let requests = self.requests - then.requests;
        Self {
            requests,
            hrsp_5xx: self.hrsp_5xx.saturating_sub(then.hrsp_5xx),
            errors: self.errors.saturating_sub(then.errors),
            // The average is that of late, not of all time.
            time: self.average() * requests,
        }
    }

    /// Both together.
    #[must_use]
    pub fn and(self, more: Self) -> Self {
        Self {
            requests: self.requests + more.requests,
            hrsp_5xx: self.hrsp_5xx + more.hrsp_5xx,
            errors: self.errors + more.errors,
            time: self.time + more.time,
        }
    }

    /// The average time of an answer, in milliseconds.
    pub fn average(&self) -> u64 {
        self.time / self.requests.max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_that_began_anew_counts_from_nothing() {
        let counts = |requests, hrsp_5xx| Counts { requests, hrsp_5xx, errors: 0, time: requests * 10 };
        assert_eq!(counts(100, 7).since(counts(60, 5)), Counts { requests: 40, hrsp_5xx: 2, errors: 0, time: 400 });
        assert_eq!(counts(10, 1).since(counts(60, 5)), counts(10, 1));
    }
}
