//! The settings of holds on servers that belong to no farm.

use serde::Deserialize;

use crate::farm::settings::drift::OnDrift;
use crate::farm::span::Span;

/// `[holds]`: settings for servers that belong to no farm.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct HoldsSettings {
    /// What happens when a held server is changed outside teeter.
    pub on_drift: OnDrift,
    /// The time for a server to pass its verification.
    pub verify_deadline: Span,
}

impl Default for HoldsSettings {
    fn default() -> Self {
        Self { on_drift: OnDrift::default(), verify_deadline: Span::from_secs(60) }
    }
}
