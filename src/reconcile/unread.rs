//! Commands that HAProxy may still carry out although teeter will not read their replies.
//!
//! A HAProxy that does not answer keeps the commands that it got: from a teeterd that has ended since, or in a batch
//! that was given up. When it goes on, it carries them out together with later commands, in no defined order, because
//! each of its threads has accepted some of the connections. During that moment a look does not show the final state,
//! and a change is not a change made outside teeter.

use std::time::Duration;

use tokio::time::Instant;

/// Whether there may be commands with unread replies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum UnreadCommands {
    /// Every reply has been read.
    None,
    /// HAProxy carries them out when it answers again.
    Unanswered,
    /// HAProxy answers, and has carried them out by this time.
    Until(Instant),
}

impl UnreadCommands {
    /// HAProxy has answered.
    pub(super) fn answered(&mut self, now: Instant) {
        match *self {
            Self::Unanswered => *self = Self::Until(now + TAKES),
            Self::Until(until) if until <= now => *self = Self::None,
            Self::Until(_) | Self::None => {}
        }
    }

    /// Whether HAProxy may carry them out after a look.
    pub(super) fn may_follow(self) -> bool {
        self != Self::None
    }
}

/// HAProxy carries out a line within milliseconds, but its thread may be busy with other lines first.
const TAKES: Duration = Duration::from_millis(500);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::platform::Clock;

    #[test]
    fn unread_commands_are_carried_out_some_time_after_the_first_answer() {
        let start = Clock::new().mark();
        let mut unread = UnreadCommands::Unanswered;
        assert!(unread.may_follow());
        unread.answered(start);
        unread.answered(start + TAKES / 2);
        assert!(unread.may_follow());
        unread.answered(start + TAKES);
        assert!(!unread.may_follow());
        unread.answered(start + TAKES * 2);
        assert!(!unread.may_follow());
    }
}
