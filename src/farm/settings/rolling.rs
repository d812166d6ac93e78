//! The settings of a rolling deploy, which takes the members of a farm out batch by batch.

use serde::Deserialize;

use crate::farm::settings::count::BatchSize;
use crate::farm::span::Span;

/// `[farm.NAME.rolling]`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RollingSettings {
    /// How many members go out together.
    pub batch: BatchSize,
    /// How long teeter waits after the work before it probes the servers.
    pub settle: Span,
    /// How many servers may fail and stay out before the run stops.
    pub max_failed: usize,
    /// Whether servers are probed (`verify.http`, or `/_status`) before they go out and at the end.
    pub status: bool,
}

impl Default for RollingSettings {
    fn default() -> Self {
        Self { batch: BatchSize::default(), settle: Span::from_secs(60), max_failed: 0, status: true }
    }
}
