//! Requests that fail at random.

use teeter_lab::Dice;

/// A version: the share of its requests that fail, and how many fail in a row.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Version {
    pub(crate) share: f64,
    pub(crate) burst: u64,
}

/// The requests to one version, one after the other.
#[derive(Debug)]
pub(crate) struct Requests {
    version: Version,
    /// Requests that still pass before the next burst.
    passing: u64,
    /// Requests that still fail in the present burst.
    failing: u64,
}

/// A number above zero and below one.
pub(crate) fn uniform(dice: &mut Dice) -> f64 {
    ((dice.throw() >> 11) as f64 + 0.5) / (1_u64 << 53) as f64
}

impl Requests {
    /// Requests from a random moment on: it may lie within a burst.
    pub(crate) fn new(version: Version, dice: &mut Dice) -> Self {
        let mut requests = Self { version, passing: 0, failing: 0 };
        if uniform(dice) < version.share {
            requests.failing = 1 + dice.within(0..version.burst);
        } else {
            requests.next_burst(dice);
        }
        requests
    }

    fn next_burst(&mut self, dice: &mut Dice) {
        let Version { share, burst } = self.version;
        (self.passing, self.failing) = match share {
            none if none <= 0.0 => (u64::MAX, 0),
            all if all >= 1.0 => (0, u64::MAX),
            share => {
                let gap = burst as f64 * (1.0 - share) / share;
                let ends = 1.0 / (1.0 + gap);
                ((uniform(dice).ln() / (1.0 - ends).ln()) as u64, burst)
            }
        };
    }

    /// How many of the next requests fail.
    pub(crate) fn failing_of(&mut self, mut requests: u64, dice: &mut Dice) -> u64 {
        let mut failed = 0;
        while requests > 0 {
            let passing = requests.min(self.passing);
            self.passing -= passing;
            requests -= passing;
            let failing = requests.min(self.failing);
            self.failing -= failing;
            requests -= failing;
            failed += failing;
            if self.failing == 0 && self.passing == 0 {
                self.next_burst(dice);
            }
        }
        failed
    }
}

/// Splits a rate of requests into whole requests for each look.
#[derive(Debug)]
pub(crate) struct Pace {
    each: f64,
    rest: f64,
}

impl Pace {
    pub(crate) fn new(rate: f64, dice: &mut Dice) -> Self {
        Self { each: rate * SECONDS_BETWEEN_LOOKS, rest: uniform(dice) }
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.rest += self.each;
        let whole = self.rest.floor();
        self.rest -= whole;
        whole as u64
    }
}

/// teeterd looks at HAProxy every 200 ms during a watch.
pub(crate) const SECONDS_BETWEEN_LOOKS: f64 = 0.2;
