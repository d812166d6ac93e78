//! The running hook, as far as its caller knows it.

use std::sync::{Arc, Mutex};

use jiff::Timestamp;

use crate::platform::lock;

/// What is known of the running hooks; clones share it.
#[derive(Debug, Clone, Default)]
pub(in crate::cli) struct HookState(Arc<Mutex<Known>>);

#[derive(Debug, Clone, Default)]
struct Known {
    began: Option<Timestamp>,
    last: Option<(Timestamp, String)>,
}

impl HookState {
    /// Hooks begin to run; lines of earlier hooks are forgotten.
    pub(in crate::cli) fn begin(&self, at: Timestamp) {
        *lock(&self.0) = Known { began: Some(at), last: None };
    }

    /// All hooks have ended.
    pub(in crate::cli) fn end(&self) {
        *lock(&self.0) = Known::default();
    }

    /// A hook has printed a line.
    pub(in crate::cli) fn line(&self, at: Timestamp, line: &str) {
        lock(&self.0).last = Some((at, line.to_owned()));
    }

    /// When hooks began to run; `None` if none runs, or another process runs it.
    pub(super) fn began(&self) -> Option<Timestamp> {
        lock(&self.0).began
    }

    /// When the running hooks printed their last line or, without one, began; `None` if none runs here.
    pub(in crate::cli) fn silent_since(&self) -> Option<Timestamp> {
        let known = lock(&self.0);
        known.began.map(|began| known.last.as_ref().map_or(began, |(at, _)| *at))
    }

    /// The last line of a hook, and when it was printed.
    pub(in crate::cli) fn last(&self) -> Option<(Timestamp, String)> {
        lock(&self.0).last.clone()
    }
}
