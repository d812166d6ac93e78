//! Watching the side that has just got traffic: whether it does worse than the other side.
//!
//! `tracker.rs` counts what both sides are given, `bursts.rs` estimates whether failures come in bursts, `evidence.rs`
//! has the sequential test, `measure.rs` one share that is compared, `verdict.rs` the verdict, and `needed.rs` the
//! requests that are missing for one. `outlook.rs` says before a run whether there will be enough of them. `start.rs` is
//! what is stored when a watch begins, `series.rs` what is kept of it, and `replay.rs` judges that again.

mod bursts;
mod evidence;
mod measure;
mod needed;
mod outlook;
mod replay;
mod series;
mod start;
mod tracker;
mod verdict;

pub use bursts::Bursts;
pub use outlook::{Traffic, too_short};
pub use replay::{Replayed, replay};
pub use series::{SideCounts, WatchPoint, WatchSeries};
pub use start::{Bake, Control};
pub use tracker::{Counted, Look, Tracker};
pub use verdict::{Figures, Judgement, Verdict};
