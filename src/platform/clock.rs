//! The only clock. Everything else is told the time.

use jiff::Timestamp;
use tokio::time::Instant;

/// The time of day, read once at the start and carried on by the monotonic clock, so that a jump of the system's
/// clock moves no deadline of a running daemon.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    begun: Instant,
    wall: Timestamp,
}

impl Clock {
    /// A clock that agrees with the system's now.
    #[allow(clippy::disallowed_methods, reason = "this is the one place that reads the clock")]
    pub fn new() -> Self {
        Self { begun: Instant::now(), wall: Timestamp::now() }
    }

    /// A clock that says `wall` now.
    pub fn starting_at(wall: Timestamp) -> Self {
        Self { wall, ..Self::new() }
    }

    /// The time now.
    pub fn now(&self) -> Timestamp {
        self.at(self.mark())
    }

    /// The time that it was at a point.
    pub fn at(&self, mark: Instant) -> Timestamp {
        self.wall.saturating_add(mark.duration_since(self.begun)).unwrap_or(Timestamp::MAX)
    }

    /// A point from which to measure.
    #[allow(clippy::disallowed_methods, reason = "this is the one place that reads the clock")]
    pub fn mark(&self) -> Instant {
        Instant::now()
    }
}

impl Default for Clock {
    fn default() -> Self {
        Self::new()
    }
}
