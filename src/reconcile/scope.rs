//! What the next look is at. A look at everything is dear where there are thousands of servers, so it is taken at the
//! start, after a reload and on request.

use std::collections::BTreeSet;
use std::time::Duration;

use tokio::time::Instant;

use super::order::Order;
use crate::haproxy::BackendName;

/// What the next look is at.
#[derive(Debug)]
pub(super) struct Scope {
    whole: bool,
    /// Backends that requests ask for.
    also: BTreeSet<BackendName>,
    /// When all that is held was looked at last, and in which order.
    wide: Option<(u64, Instant)>,
}

impl Scope {
    /// The first look is at everything.
    pub(super) fn new() -> Self {
        Self { whole: true, also: BTreeSet::new(), wide: None }
    }

    /// The next look is at everything.
    pub(super) fn everything(&mut self) {
        self.whole = true;
    }

    /// The next look is at these backends, too; at everything where none are named.
    pub(super) fn add(&mut self, backends: Option<BTreeSet<BackendName>>) {
        match backends {
            Some(backends) => self.also.extend(backends),
            None => self.whole = true,
        }
    }

    pub(super) fn is_whole(&self) -> bool {
        self.whole
    }

    /// The backends of a look that is not at everything. While servers are emptied these are looked at many times a
    /// second, and whatever else is held only as often as usual.
    pub(super) fn backends(&mut self, order: &Order, agreed: u64, now: Instant) -> BTreeSet<BackendName> {
        let mut backends = std::mem::take(&mut self.also);
        let lately = |(revision, at): (u64, Instant)| revision == order.revision && now.duration_since(at) < USUALLY;
        if !order.draining.is_empty() && agreed >= order.revision && self.wide.is_some_and(lately) {
            let draining = order.draining.iter().flat_map(|draining| &draining.servers);
            let proving = order.wanted.iter().filter(|(_, wanted)| wanted.afresh.is_some() || !wanted.held);
            backends.extend(draining.chain(proving.map(|(server, _)| server)).map(|server| server.backend.clone()));
        } else {
            self.wide = Some((order.revision, now));
            backends.extend(order.wanted.keys().map(|server| server.backend.clone()));
        }
        backends.extend(order.watched.iter().cloned());
        backends
    }

    /// The look has been taken.
    pub(super) fn taken(&mut self) {
        self.whole = false;
    }
}

/// As often as held servers are looked at while nothing is emptied.
const USUALLY: Duration = Duration::from_millis(200);
