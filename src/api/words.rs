//! The words of the API's documents, as enums.
//!
//! teeterd and `teeter` may be of different versions. A word that this version does not know is kept as
//! `Unknown`, shown as it is, and written again as it is: a client goes on waiting at an unknown stage, and takes an
//! unknown kind of failure for a failure.

use std::borrow::Cow;
use std::fmt;

use serde::{Deserialize, Serialize};
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{ObjectBuilder, Schema, Type};
use utoipa::{PartialSchema, ToSchema};

use crate::haproxy::AdminState;
use crate::haproxy::commands::Level;
use crate::plan::{FailureKind, Phase, RunState, Strategy};

/// Makes an enum of the words that a field may have.
macro_rules! words {
    ($(#[$about:meta])* $name:ident { $($(#[$doc:meta])* $variant:ident = $word:literal,)+ }) => {
        $(#[$about])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(from = "String", into = "String")]
        pub enum $name {
            $($(#[$doc])* $variant,)+
            /// A word that this version does not know, from a newer teeterd.
            Unknown(String),
        }

        impl $name {
            /// The word as in a document.
            pub fn as_str(&self) -> &str {
                match self {
                    $(Self::$variant => $word,)+
                    Self::Unknown(word) => word,
                }
            }
        }

        impl From<String> for $name {
            fn from(word: String) -> Self {
                match word.as_str() {
                    $($word => Self::$variant,)+
                    _ => Self::Unknown(word),
                }
            }
        }

        impl From<$name> for String {
            fn from(word: $name) -> Self {
                word.as_str().to_owned()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl PartialSchema for $name {
            fn schema() -> RefOr<Schema> {
                ObjectBuilder::new().schema_type(Type::String).enum_values(Some([$($word,)+])).into()
            }
        }

        impl ToSchema for $name {
            fn name() -> Cow<'static, str> {
                stringify!($name).into()
            }
        }
    };
}

words! {
    /// How far a hold has come.
    HoldStage {
        /// Its servers are being emptied.
        Draining = "draining",
        /// Its deadline has passed with requests left, and its policy is to stop.
        Stuck = "stuck",
        /// Its servers are out, and nothing is in flight on them.
        Out = "out",
        /// Its servers are being verified before they come back.
        Verifying = "verifying",
        /// Its servers have been verified, and wait for their run.
        Verified = "verified",
        /// Its servers take traffic with another weight.
        Shared = "shared",
    }
}

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

words! {
    /// The result of an examination by `teeter doctor`.
    FindingStatus {
        /// Nothing is wrong.
        Ok = "ok",
        /// It works now, and will fail when it matters.
        Warning = "warning",
        /// It does not work.
        Error = "error",
        /// It does not answer.
        Unreachable = "unreachable",
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
    /// The state that an administrator has set for a server in HAProxy.
    ServerAdmin {
        /// It takes traffic when its checks pass.
        Ready = "ready",
        /// It takes no new clients; sticky clients still come.
        Drain = "drain",
        /// It takes no traffic, and its checks are paused.
        Maint = "maint",
    }
}

words! {
    /// The level of a stats socket.
    SocketLevel {
        /// It may read most things.
        User = "user",
        /// It may read everything and change a little.
        Operator = "operator",
        /// It may do everything; teeter needs this to change the state of a server.
        Admin = "admin",
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

impl From<AdminState> for ServerAdmin {
    fn from(state: AdminState) -> Self {
        match state {
            AdminState::Ready => Self::Ready,
            AdminState::Drain => Self::Drain,
            AdminState::Maint => Self::Maint,
        }
    }
}

impl From<Level> for SocketLevel {
    fn from(level: Level) -> Self {
        match level {
            Level::User => Self::User,
            Level::Operator => Self::Operator,
            Level::Admin => Self::Admin,
        }
    }
}

/// The side that gets a farm's traffic.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub enum LiveSide {
    /// The name of a group, or `all`.
    Side(String),
    /// HAProxy does not say.
    NotKnown,
}

impl From<String> for LiveSide {
    fn from(side: String) -> Self {
        if side == NOT_KNOWN { Self::NotKnown } else { Self::Side(side) }
    }
}

impl From<LiveSide> for String {
    fn from(live: LiveSide) -> Self {
        match live {
            LiveSide::Side(side) => side,
            LiveSide::NotKnown => NOT_KNOWN.to_owned(),
        }
    }
}

const NOT_KNOWN: &str = "unknown";

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_word_is_kept_and_written_again() {
        let read: HoldStage = serde_json::from_str("\"resting\"").unwrap();
        assert_eq!(read, HoldStage::Unknown("resting".to_owned()));
        assert_eq!(read.to_string(), "resting");
        assert_eq!(serde_json::to_string(&read).unwrap(), "\"resting\"");
        assert_eq!(serde_json::from_str::<RunStatus>("\"rolled back\"").unwrap(), RunStatus::RolledBack);
    }

    #[test]
    fn the_words_of_the_plan_are_those_of_the_documents() {
        for strategy in [Strategy::SeeSaw, Strategy::Rolling, Strategy::BlueGreen, Strategy::Canary, Strategy::Flip] {
            let word = RunStrategy::from(strategy);
            assert_eq!(word.as_str(), strategy.to_string());
            assert_eq!(word.leaves_standby(), strategy.leaves_standby());
        }
        for phase in [Phase::BeforeOut, Phase::AfterOut, Phase::Deploy, Phase::AfterIn] {
            assert_eq!(WorkPhase::from(phase).as_str(), phase.to_string());
        }
        for state in [AdminState::Ready, AdminState::Drain, AdminState::Maint] {
            assert_eq!(ServerAdmin::from(state).as_str(), state.to_string());
        }
        for level in [Level::User, Level::Operator, Level::Admin] {
            assert_eq!(SocketLevel::from(level).as_str(), level.to_string());
        }
    }
}
