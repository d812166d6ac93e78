//! What the observer of one HAProxy tells the rest of the engine.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use super::drift::Drift;
use super::old_workers::OldWorker;
use crate::farm::{Seen, StartedVerifications, Untold};
use crate::haproxy::commands::Level;

/// What an instance reports.
#[derive(Debug, Clone)]
pub(crate) struct InstanceReport {
    /// The stats socket.
    pub(crate) socket: Arc<str>,
    /// What was last seen; `None` before the first answer.
    pub(crate) seen: Option<Arc<Seen>>,
    /// Processes that reloads have left behind.
    pub(crate) old: Arc<Vec<OldWorker>>,
    /// Whether they would be seen.
    pub(crate) sees_old: bool,
    /// The level of the socket.
    pub(crate) level: Option<Level>,
    /// Whether HAProxy answered the last time.
    pub(crate) reachable: bool,
    /// What is wrong.
    pub(crate) trouble: Option<String>,
    /// The revision of the order that the last round was about, whatever came of it.
    pub(crate) order: u64,
    /// The latest revision that HAProxy was read back to agree with; 0 after a change of process.
    pub(crate) agreed: u64,
    /// What of that it was not told.
    pub(crate) untold: Arc<Untold>,
    /// The revision that HAProxy refused, and its words.
    pub(crate) refused: Option<(u64, String)>,
    /// How long the last batch took, and for which revision.
    pub(crate) took: Option<(u64, Duration)>,
    /// Rises when lines have come or gone, or have another address.
    pub(crate) lines: u64,
    /// Rises with every look.
    pub(crate) sample: u64,
    /// When that was.
    pub(crate) at: Timestamp,
    /// Proofs begun in this process.
    pub(crate) begun: Arc<StartedVerifications>,
    /// What others have changed, since the start; numbered by its place.
    pub(crate) drifts: Arc<Vec<Drift>>,
}

impl InstanceReport {
    /// Before anything was looked at.
    pub(crate) fn first(at: Timestamp, socket: Arc<str>) -> Self {
        Self {
            socket,
            seen: None,
            old: Arc::default(),
            sees_old: false,
            level: None,
            reachable: false,
            trouble: Some("not looked at yet".to_owned()),
            order: 0,
            agreed: 0,
            untold: Arc::default(),
            refused: None,
            took: None,
            lines: 0,
            sample: 0,
            at,
            begun: Arc::default(),
            drifts: Arc::default(),
        }
    }
}
