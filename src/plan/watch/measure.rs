//! One share of requests that is compared: its question, and the words about it.

use super::evidence::{ONE_IN_TWENTY, Question, Sample};
use crate::farm::Share;

/// One share that is compared.
pub(super) struct Measure {
    /// What has happened to the requests, such as `failed`.
    pub(super) what: &'static str,
    pub(super) question: Question,
    /// What the old side was given before, where both sides are counted over the same time.
    pub(super) before: Sample,
    /// How much larger the share may be.
    pub(super) most: Share,
}

impl Measure {
    /// Whether the new side is worse; a false answer has at most the chance `exp(-limit)`. At the beginning of a share
    /// little is known of the other side at the same time. Then what it was given before counts, too, if the same time
    /// points in the same direction: when both sides begin to fail together, the new version is not the reason.
    pub(super) fn is_worse(&self, limit: f64) -> bool {
        if self.before.requests == 0 {
            return self.question.is_worse(limit);
        }
        let each = limit + std::f64::consts::LN_2;
        let all = Question { old: self.question.old.plus(self.before), ..self.question };
        self.question.is_worse(each) || (self.question.is_worse(SAME_DIRECTION) && all.is_worse(each))
    }

    /// Whether the new side is no worse; a false answer has at most a chance of one in twenty.
    pub(super) fn is_no_worse(&self) -> bool {
        self.question.is_no_worse(ONE_IN_TWENTY)
    }

    /// The numbers of both sides, and what is allowed.
    pub(super) fn describe(&self, concurrent: bool) -> String {
        let Question { old, new, .. } = self.question;
        let (is, was) = (Share::of(new.failed, new.requests), Share::of(old.failed, old.requests));
        let when = if concurrent { "on the other side meanwhile" } else { "before" };
        let was = if old.requests == 0 {
            format!("and nothing is known of the requests {when}")
        } else {
            format!("{was} of {} {when}", old.requests)
        };
        format!("{is} of {} requests {}, {was}; {} more is allowed", new.requests, self.what, self.most)
    }
}

/// Evidence that is four times as likely if the new side is worse: the logarithm of four.
const SAME_DIRECTION: f64 = 1.386_294_361_119_890_6;
