//! The only code that reads a clock. All other code takes the time as an argument.

use jiff::Timestamp;
use tokio::time::Instant;

/// The time of day. The system clock is read once at the start and advanced by the monotonic clock, so that a jump of
/// the system clock moves no deadline of a running daemon.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    started: Instant,
    /// The time of day at `started`.
    wall: Timestamp,
}

impl Clock {
    /// A clock that starts at the time of the system clock.
    #[allow(clippy::disallowed_methods, reason = "only this file reads a clock")]
    pub fn new() -> Self {
        Self { started: Instant::now(), wall: Timestamp::now() }
    }

    /// A clock that starts at `wall`.
    pub fn starting_at(wall: Timestamp) -> Self {
        Self { wall, ..Self::new() }
    }

    /// The current time of day.
    pub fn now(&self) -> Timestamp {
        self.at(self.mark())
    }

    /// The time of day at a point that [`Clock::mark`] returned.
    pub fn at(&self, mark: Instant) -> Timestamp {
        self.wall.saturating_add(mark.duration_since(self.started)).unwrap_or(Timestamp::MAX)
    }

    /// The current point of the monotonic clock, for measuring durations.
    #[allow(clippy::disallowed_methods, reason = "only this file reads a clock")]
    pub fn mark(&self) -> Instant {
        Instant::now()
    }
}

impl Default for Clock {
    fn default() -> Self {
        Self::new()
    }
}
