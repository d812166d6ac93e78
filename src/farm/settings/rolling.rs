//! What the configuration says about rolling through a farm batch by batch.

use serde::Deserialize;

use crate::farm::settings::count::BatchSize;
use crate::farm::span::Span;

/// `[farm.NAME.rolling]`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RollingSettings {
    /// How many members go out together.
    pub batch: BatchSize,
    /// How long a server may come to rest after the work, before it is asked.
    pub settle: Span,
    /// Servers that may fail and stay out before the run stands still.
    pub max_failed: usize,
    /// Whether servers are asked for their status (`verify.http`, or `/_status`) before they go out and at the end.
    pub status: bool,
}

impl Default for RollingSettings {
    fn default() -> Self {
        Self { batch: BatchSize::default(), settle: Span::from_secs(60), max_failed: 0, status: true }
    }
}
