//! The documents with which the API answers, and which the command line prints: a file for each subject.

mod doctor;
mod drain;
mod watch;
mod event;
mod farm_runs;
mod hold;
mod run;
mod session;
mod status;
mod store;

pub use self::doctor::{FindingView, Findings};
pub use self::drain::{DrainView, EstimateView};
pub use self::event::{CallerView, ChangedView, EventView, Events, LoginView};
pub use self::farm_runs::{DrainSummaryView, FarmRuns, RunSummaryView};
pub use self::hold::{HoldView, Holds};
pub use self::run::{AttendantView, FlipView, ForecastView, RunServerView, RunView, Runs, StepView, WorkView};
pub use self::session::{SessionView, Sessions};
pub use self::status::{IdleView, InstanceView, OldProcessView, RouteEntryView, RouteView, ServerView, StatusView};
pub use self::store::StoreView;
pub use self::watch::{WatchCountsView, WatchPointView, WatchView};
