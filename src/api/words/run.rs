//! The words about runs and their steps.

use crate::plan::{FailureKind, Phase, RunState, Strategy};

words! {
    /// The state of a run.
    RunStatus {
        /// It goes on.
        Running = "running",
        /// It has stopped at its step.
        Failed = "failed",
        /// It brings back the servers that are healthy.
        Aborting = "aborting",
        /// It has ended before its last step.
        Aborted = "aborted",
        /// Its flip was undone, and it has ended.
        RolledBack = "rolled back",
        /// It has ended after its last step.
        Done = "done",
        /// A plan that was not started.
        Planned = "planned",
    }
}

impl From<&RunState> for RunStatus {
    fn from(state: &RunState) -> Self {
        match state {
            RunState::Running => Self::Running,
            RunState::Failed { .. } => Self::Failed,
            RunState::Aborting => Self::Aborting,
            RunState::Aborted => Self::Aborted,
            RunState::RolledBack => Self::RolledBack,
            RunState::Done => Self::Done,
        }
    }
}

words! {
    /// The kind of failure that stopped a run.
    RunFailure {
        /// The caller reported that its work failed.
        Work = "work",
        /// Servers could not be verified.
        Verify = "verify",
        /// Requests were in flight at the deadline.
        Deadline = "deadline",
        /// HAProxy refused a change.
        Refused = "refused",
        /// HAProxy did not answer.
        Unreachable = "unreachable",
        /// Another user has taken over servers that the run kept out.
        Taken = "taken",
        /// Too few other servers are in service.
        Guard = "guard",
        /// The work was not reported in time.
        Stalled = "stalled",
        /// The side that got the traffic does worse than the other side did, and the run cannot be rolled back.
        Bake = "bake",
    }
}

impl From<FailureKind> for RunFailure {
    fn from(kind: FailureKind) -> Self {
        match kind {
            FailureKind::Work => Self::Work,
            FailureKind::Verify => Self::Verify,
            FailureKind::Deadline => Self::Deadline,
            FailureKind::Refused => Self::Refused,
            FailureKind::Unreachable => Self::Unreachable,
            FailureKind::Taken => Self::Taken,
            FailureKind::Guard => Self::Guard,
            FailureKind::Stalled => Self::Stalled,
            FailureKind::Bake => Self::Bake,
        }
    }
}

words! {
    /// How a run is deployed.
    RunStrategy {
        /// One half, a flip, the other half.
        SeeSaw = "see-saw",
        /// One batch after the other.
        Rolling = "rolling",
        /// The side that gets no traffic, then a flip; the other side is on standby.
        BlueGreen = "blue-green",
        /// A share of the traffic, more of it, all of it.
        Canary = "canary",
        /// No work: only a switch of the traffic.
        Flip = "flip",
    }
}

impl From<Strategy> for RunStrategy {
    fn from(strategy: Strategy) -> Self {
        match strategy {
            Strategy::SeeSaw => Self::SeeSaw,
            Strategy::Rolling => Self::Rolling,
            Strategy::BlueGreen => Self::BlueGreen,
            Strategy::Canary => Self::Canary,
            Strategy::Flip => Self::Flip,
        }
    }
}

impl RunStrategy {
    /// Whether the side without traffic stays on standby at the end, as [`Strategy::leaves_standby`] says.
    pub fn leaves_standby(&self) -> bool {
        let strategy = match self {
            Self::SeeSaw => Strategy::SeeSaw,
            Self::Rolling => Strategy::Rolling,
            Self::BlueGreen => Strategy::BlueGreen,
            Self::Canary => Strategy::Canary,
            Self::Flip => Strategy::Flip,
            Self::Unknown(_) => return false,
        };
        strategy.leaves_standby()
    }
}

words! {
    /// The state of a step.
    StepStatus {
        /// It is done.
        Done = "done",
        /// The run is at this step.
        Now = "now",
        /// It failed: the run stopped there, or was allowed to go on.
        Failed = "failed",
        /// It was about servers that the run goes on without.
        Skipped = "skipped",
        /// The run has not come to it.
        ToDo = "to do",
    }
}

words! {
    /// What the caller works on in a step.
    WorkPhase {
        /// The hook before the group goes out, while it still serves.
        BeforeOut = "before-out",
        /// The hook after the group went out and is empty.
        AfterOut = "after-out",
        /// The deploy itself.
        Deploy = "deploy",
        /// The hook after the group serves again.
        AfterIn = "after-in",
    }
}

impl From<Phase> for WorkPhase {
    fn from(phase: Phase) -> Self {
        match phase {
            Phase::BeforeOut => Self::BeforeOut,
            Phase::AfterOut => Self::AfterOut,
            Phase::Deploy => Self::Deploy,
            Phase::AfterIn => Self::AfterIn,
        }
    }
}

words! {
    /// Whether the process that does a run's work is there.
    CallerPresence {
        /// It is connected.
        Here = "here",
        /// It has disconnected.
        Gone = "gone",
    }
}

words! {
    /// How a flip switched the traffic.
    FlipMeans {
        /// By an entry of a map: all traffic at once.
        Route = "route",
        /// Server by server: while the commands ran, both sides may have been given requests.
        Servers = "servers",
    }
}

words! {
    /// The verdict of a watch.
    WatchVerdict {
        /// The side that got traffic does worse than allowed.
        Worse = "worse",
        /// It does no worse than allowed.
        NoWorse = "no worse",
        /// Too little was seen for either.
        Inconclusive = "inconclusive",
    }
}
