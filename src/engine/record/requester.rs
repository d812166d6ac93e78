//! Who asks for a change, and whether they still wait for it when it begins.

use std::sync::{Arc, OnceLock};

use crate::state::Caller;

/// Who asks for one change. Clones are the same one.
#[derive(Debug, Clone)]
pub struct Requester {
    /// Who it is.
    pub caller: Caller,
    /// Whether the change has begun; `false`: it was taken back before. What comes first counts.
    begun: Arc<OnceLock<bool>>,
}

impl Requester {
    /// Somebody whose change has not begun yet.
    pub fn new(caller: Caller) -> Self {
        Self { caller, begun: Arc::default() }
    }

    /// That they wait: to be kept for as long as they do.
    pub fn waits(&self) -> CancelOnDrop {
        CancelOnDrop(Arc::clone(&self.begun))
    }

    /// Marks the change as begun. `false`: the requester took it back before.
    pub(crate) fn begins(&self) -> bool {
        *self.begun.get_or_init(|| true)
    }
}

/// Takes back a change that has not begun when this is dropped.
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
    fn what_begins_first_is_carried_through() {
        let it = requester();
        let waiting = it.waits();
        assert!(it.begins());
        drop(waiting);
        assert!(it.clone().begins());
    }

    #[test]
    fn who_goes_first_has_asked_for_nothing() {
        let it = requester();
        drop(it.waits());
        assert!(!it.begins());
    }
}
