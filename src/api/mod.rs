//! The API's documents: what goes over the control socket, defined once for the server and its clients.

mod names;
mod problem;
mod problem_kind;
mod requests;
mod selectors;
mod views;
mod words;

pub use self::names::{FarmNamesView, NamesView, RunNameView};
pub use self::problem::{Exit, Problem};
pub use self::problem_kind::ProblemKind;
pub use self::requests::{
    AdvanceRequest, ForgetRequest, ForgottenView, HoldMode, HoldRequest, LONGEST_OUTPUT_LINE, MOST_OUTPUT_OF_A_RUN,
    OUTPUT_LINE_OVERHEAD, OutputLine, OutputRequest, OutputView, ReleaseRequest, RollbackRequest, RunRequest,
};
pub use self::selectors::Selectors;
pub use self::views::{
    AttendantView, CallerView, ChangedView, DrainSummaryView, DrainView, EstimateView, EventView, Events, FarmRuns,
    FindingView, Findings, FlipView, ForecastView, HoldView, Holds, IdleView, InstanceView, LoginView, OldProcessView,
    RouteEntryView, RouteView, RunServerView, RunSummaryView, RunView, Runs, ServerView, SessionView, Sessions,
    StatusView, StepView, StoreView, WatchCountsView, WatchPointView, WatchView, WorkView,
};
pub use self::words::{
    CallerPresence, DrainEnd, FindingStatus, FlipMeans, HoldStage, LiveSide, RunFailure, RunStatus, RunStrategy,
    ServerAdmin, SocketLevel, StepStatus, WatchVerdict, WorkPhase,
};
