//! `[farm.NAME.drain]`: how servers are emptied.

use serde::{Deserialize, Serialize};

use crate::farm::span::Span;

/// `[farm.NAME.drain]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DrainSettings {
    /// How long clients with affinity to a server may go on using it.
    pub grace: Span,
    /// How long to wait until nothing is in flight.
    pub deadline: Span,
    /// What happens at the deadline.
    pub on_deadline: OnDeadline,
    /// Whether to wait as well until HAProxy keeps no idle connections to a server.
    pub idle: bool,
}

impl Default for DrainSettings {
    fn default() -> Self {
        Self { grace: Span::from_secs(30), deadline: Span::from_secs(300), on_deadline: OnDeadline::Fail, idle: false }
    }
}

/// What happens to sessions that are left at the deadline.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnDeadline {
    /// Stop and report the sessions. The servers stay out, and the sessions go on.
    #[default]
    Fail,
    /// End the sessions, and go on when they have ended.
    Kill,
    /// Go on although sessions are left.
    Proceed,
    /// Stop, report the sessions, and bring the servers back.
    Restore,
}
