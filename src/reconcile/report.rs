//! The report of the observer of one HAProxy.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use super::drift::Drift;
use super::old_workers::OldWorker;
use crate::farm::{Seen, StartedVerifications, Withheld};
use crate::haproxy::commands::Level;

/// What the observer of one HAProxy knows.
#[derive(Debug, Clone)]
pub(crate) struct InstanceReport {
    /// The stats socket.
    pub(crate) socket: Arc<str>,
    /// The last look; `None` before the first answer.
    pub(crate) seen: Option<Arc<Seen>>,
    /// Processes that reloads have left behind.
    pub(crate) old: Arc<Vec<OldWorker>>,
    /// Whether teeter can see such processes.
    pub(crate) sees_old: bool,
    /// The level of the socket.
    pub(crate) level: Option<Level>,
    /// Whether HAProxy answered the last request.
    pub(crate) reachable: bool,
    /// The present problem, for people.
    pub(crate) trouble: Option<String>,
    /// The revision of the order that the last round tried to carry out.
    pub(crate) order: u64,
    /// The latest revision with which HAProxy agreed when it was read back; 0 after a change of process.
    pub(crate) agreed: u64,
    /// The servers and maps of that revision that were left out.
    pub(crate) withheld: Arc<Withheld>,
    /// The revision that HAProxy refused, and its words.
    pub(crate) refused: Option<(u64, String)>,
    /// The revision of the last batch, and how long the batch took.
    pub(crate) took: Option<(u64, Duration)>,
    /// Rises when server lines were added or removed, or have another address.
    pub(crate) lines: u64,
    /// Rises with every look that counts all requests.
    pub(crate) sample: u64,
    /// When the last look was.
    pub(crate) at: Timestamp,
    /// The verifications for which this process has started new checks.
    pub(crate) started_verifications: Arc<StartedVerifications>,
    /// Changes made outside teeter since teeterd was started; the index of a change is its number.
    pub(crate) drifts: Arc<Vec<Drift>>,
}

impl InstanceReport {
    /// Whether HAProxy answers, and has everything that is stored up to this revision.
    pub(crate) fn agrees(&self, revision: u64) -> bool {
        self.reachable && self.agreed >= revision && self.withheld.is_empty()
    }

    /// The report before the first look.
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
            withheld: Arc::default(),
            refused: None,
            took: None,
            lines: 0,
            sample: 0,
            at,
            started_verifications: Arc::default(),
            drifts: Arc::default(),
        }
    }
}
