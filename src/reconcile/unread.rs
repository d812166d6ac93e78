//! Commands that HAProxy may still carry out although their replies will not be read.
//!
//! A HAProxy that does not answer keeps what it was sent: by a teeterd that has ended since, or in a turn that was given
//! up. When it goes on, it carries that out together with what it was sent later, each thread what it has accepted. For
//! a moment a look does not say what will be, and what changes in that moment is not a change made outside teeter.

use std::time::Duration;

use tokio::time::Instant;

/// Whether there may be such commands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum UnreadCommands {
    /// Every reply has been read.
    None,
    /// They come when HAProxy answers again.
    Unanswered,
    /// It answers, and has carried them out by then.
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

    /// Whether a look may be followed by them.
    pub(super) fn may_follow(self) -> bool {
        self != Self::None
    }
}

/// A line is carried out within milliseconds once its turn has come; its thread may be busy with others before.
const TAKES: Duration = Duration::from_millis(500);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::platform::Clock;

    #[test]
    fn they_have_come_some_time_after_the_first_answer() {
        let begun = Clock::new().mark();
        let mut late = UnreadCommands::Unanswered;
        assert!(late.may_follow());
        late.answered(begun);
        late.answered(begun + TAKES / 2);
        assert!(late.may_follow());
        late.answered(begun + TAKES);
        assert!(!late.may_follow());
        late.answered(begun + TAKES * 2);
        assert!(!late.may_follow());
    }
}
