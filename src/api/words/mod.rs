//! The words of the API's documents, as enums.
//!
//! teeterd and `teeter` may be of different versions. A word that this version does not know is kept as
//! `Unknown`, shown as it is, and written again as it is: a client goes on waiting at an unknown stage, and takes an
//! unknown kind of failure for a failure.

/// Makes an enum of the words that a field may have.
macro_rules! words {
    ($(#[$about:meta])* $name:ident { $($(#[$doc:meta])* $variant:ident = $word:literal,)+ }) => {
        $(#[$about])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
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

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl utoipa::PartialSchema for $name {
            fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::Schema> {
                let text = utoipa::openapi::ObjectBuilder::new().schema_type(utoipa::openapi::Type::String);
                text.enum_values(Some([$($word,)+])).into()
            }
        }

        impl utoipa::ToSchema for $name {
            fn name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }
        }
    };
}

mod doctor;
mod haproxy;
mod hold;
mod live_side;
mod run;

pub use self::doctor::FindingStatus;
pub use self::haproxy::{ServerAdmin, SocketLevel};
pub use self::hold::{DrainEnd, HoldStage};
pub use self::live_side::LiveSide;
pub use self::run::{
    CallerPresence, FlipMeans, RunFailure, RunStatus, RunStrategy, StepStatus, WatchVerdict, WorkPhase,
};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::haproxy::AdminState;
    use crate::haproxy::commands::Level;
    use crate::plan::{Phase, Strategy};

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
