//! The requester of a change, and whether the requester is still connected when the change begins.

use std::sync::{Arc, OnceLock};

use crate::state::Caller;

/// The requester of one change. Clones are the same requester.
#[derive(Debug, Clone)]
pub struct Requester {
    /// The user and the process behind the request.
    pub caller: Caller,
    /// `true`: the change has begun. `false`: it was cancelled first. The first value set stays.
    begun: Arc<OnceLock<bool>>,
}

impl Requester {
    /// A requester whose change has not begun.
    pub fn new(caller: Caller) -> Self {
        Self { caller, begun: Arc::default() }
    }

    /// A guard to keep for as long as the requester is connected.
    pub fn cancel_on_drop(&self) -> CancelOnDrop {
        CancelOnDrop(Arc::clone(&self.begun))
    }

    /// Marks the change as begun. `false`: the change was cancelled before.
    pub(crate) fn begin(&self) -> bool {
        *self.begun.get_or_init(|| true)
    }
}

/// When dropped, cancels a change that has not begun.
#[must_use]
#[derive(Debug)]
pub struct CancelOnDrop(Arc<OnceLock<bool>>);

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.0.get_or_init(|| false);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn requester() -> Requester {
        let caller = Caller {
            uid: 0,
            gid: 0,
            pid: None,
            user: "root".to_owned(),
            command: "teeter".to_owned(),
            exe: None,
            login: None,
        };
        Requester::new(caller)
    }

    #[test]
    fn a_change_that_has_begun_is_not_cancelled() {
        let requester = requester();
        let guard = requester.cancel_on_drop();
        assert!(requester.begin());
        drop(guard);
        assert!(requester.clone().begin());
    }

    #[test]
    fn a_change_is_cancelled_if_the_requester_disconnects_before_it_begins() {
        let requester = requester();
        drop(requester.cancel_on_drop());
        assert!(!requester.begin());
    }
}
