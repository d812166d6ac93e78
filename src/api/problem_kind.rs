//! The kinds of problems. docs/messages.md says of each what to do; a test compares the two.

use super::Exit;

/// Makes the enum of all kinds: the word of the kind, its title, and the exit code of the command line.
macro_rules! kinds {
    ($($(#[$doc:meta])* $kind:ident = $word:literal, $title:literal, $exit:ident;)+) => {
        /// What kind of problem it is. The HTTP status may differ between problems of a kind; the rest does not.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum ProblemKind {
            $($(#[$doc])* $kind,)+
        }

        impl ProblemKind {
            /// Every kind.
            pub const ALL: &[Self] = &[$(Self::$kind,)+];

            /// The stable word: `KIND` in the type `urn:teeter:KIND` of a problem.
            pub fn word(self) -> &'static str {
                match self {
                    $(Self::$kind => $word,)+
                }
            }

            /// The kind as text.
            pub fn title(self) -> &'static str {
                match self {
                    $(Self::$kind => $title,)+
                }
            }

            /// The exit code of the command line.
            pub fn exit(self) -> Exit {
                match self {
                    $(Self::$kind => Exit::$exit,)+
                }
            }
        }
    };
}

kinds! {
    /// The request cannot be understood.
    BadRequest = "bad-request", "The request cannot be understood", Usage;
    /// There is no such server, farm, run or hold.
    NotFound = "not-found", "Not found", NotFound;
    /// The path has other methods.
    MethodNotAllowed = "method-not-allowed", "The path does not support this method", Usage;
    /// A change without the content type that only programs send.
    MediaType = "media-type", "The request has the wrong content type", Usage;
    /// The head or the body of the request is too long.
    TooLarge = "too-large", "The request is too large", Usage;
    /// The body of the request did not arrive in time.
    TooSlow = "too-slow", "The request took too long", TimedOut;
    /// A bound of one user, or of all users together, is reached.
    TooMany = "too-many", "Too many requests", Busy;
    /// The level of HAProxy's stats socket is too low.
    NotPermitted = "not-permitted", "HAProxy does not permit the command", NotPermitted;
    /// The caller's role is too low.
    Role = "role", "Your role does not allow the request", NotPermitted;
    /// A browser sent the request for a web page.
    CrossSite = "cross-site", "Web pages may not send requests", NotPermitted;
    /// A guard refused.
    RefusedByGuard = "refused-by-guard", "A guard refused", Refused;
    /// The records that the caller wants to forget are still needed.
    StillNeeded = "still-needed", "The records are still needed", Refused;
    /// The run is in a state that does not allow the request.
    NotNow = "not-now", "The run is in another state", Refused;
    /// Another user's hold, or another run, is in the way.
    Busy = "busy", "Another run or hold is in the way", Busy;
    /// The hold was created, and another request has ended it already.
    Ended = "ended", "The hold has ended already", Aborted;
    /// HAProxy refused the change.
    RefusedByHaproxy = "refused-by-haproxy", "HAProxy refused", Failed;
    /// HAProxy does not answer.
    Unreachable = "unreachable", "HAProxy does not answer", Unreachable;
    /// teeterd is stopping.
    Stopping = "stopping", "teeterd is stopping", Unreachable;
    /// The store failed.
    Store = "store", "The store failed", Failed;
    /// None of the others.
    Failed = "failed", "The request failed", Failed;
}
