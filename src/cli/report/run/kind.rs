//! The kinds of steps, by which a timeline has its lanes.

use crate::api::StepView;

/// The kind of a step; a lane has the steps of one kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Switch,
    Drain,
    Work,
    Verify,
    Watch,
    Other,
    Stopped,
}

/// The kind of a step, by its text, which begins with a verb.
pub(super) fn kind(step: &StepView) -> Kind {
    if step.phase.is_some() {
        return Kind::Work;
    }
    match step.text.split(' ').next().unwrap_or_default() {
        "out" | "in" | "flip" | "share" => Kind::Switch,
        "drain" => Kind::Drain,
        "ask" | "verify" => Kind::Verify,
        "bake" | "settle" => Kind::Watch,
        _ => Kind::Other,
    }
}

impl Kind {
    /// The name of its lane.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Switch => "Traffic is switched",
            Self::Drain => "Drain",
            Self::Work => "Work of the caller",
            Self::Verify => "Verification",
            Self::Watch => "Watch and settle",
            Self::Other => "Other steps",
            Self::Stopped => "Stopped or paused",
        }
    }

    /// The class of its bars in the style.
    pub(super) fn class(self) -> &'static str {
        match self {
            Self::Switch => "switch",
            Self::Drain => "drain",
            Self::Work => "work",
            Self::Verify => "verify",
            Self::Watch => "watch",
            Self::Other => "other",
            Self::Stopped => "stopped",
        }
    }
}

/// The lanes in their order.
pub(super) const KINDS: [Kind; 7] =
    [Kind::Switch, Kind::Drain, Kind::Work, Kind::Verify, Kind::Watch, Kind::Other, Kind::Stopped];

/// What a step is about, in a word or two.
pub(super) fn short_name(step: &StepView) -> String {
    let plain = ["work", "drain", "verify", "bake"].iter().any(|word| step.text.split(' ').next() == Some(word));
    step.group.clone().filter(|_| plain).unwrap_or_else(|| step.text.clone())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::RunView;
    use crate::cli::report::tests::document;

    #[test]
    fn every_step_of_the_strategies_has_a_kind() {
        for name in ["see-saw-rolled-back", "blue-green-done", "canary-watched", "rolling-left-out", "flip-done"] {
            let run: RunView = document(&format!("run.{name}"));
            let other = run.steps.iter().find(|step| kind(step) == Kind::Other);
            assert!(!run.steps.is_empty() && other.is_none(), "{name}: {other:?}");
        }
    }

    #[test]
    fn a_short_name_is_the_group_where_the_lane_says_the_rest() {
        let run: RunView = document("run.see-saw-rolled-back");
        let names: Vec<String> = run.steps[..4].iter().map(short_name).collect();
        assert_eq!(names, ["before-out a", "out a", "a", "after-out a"]);
    }
}
