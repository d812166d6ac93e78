//! The backends that the next look covers. A look at all backends costs much time if there are thousands of servers, so
//! it is taken only at the start, after a reload and on request.

use std::collections::BTreeSet;
use std::time::Duration;

use tokio::time::Instant;

use super::order::Order;
use crate::haproxy::BackendName;

/// The backends that the next look covers.
#[derive(Debug)]
pub(super) struct Scope {
    whole: bool,
    /// Backends that requests name.
    also: BTreeSet<BackendName>,
    /// The revision and the time of the last look at the backends of all held servers.
    wide: Option<(u64, Instant)>,
}

impl Scope {
    /// The first look covers all backends.
    pub(super) fn new() -> Self {
        Self { whole: true, also: BTreeSet::new(), wide: None }
    }

    /// The next look covers all backends.
    pub(super) fn everything(&mut self) {
        self.whole = true;
    }

    /// The next look also covers these backends; all for `None`.
    pub(super) fn add(&mut self, backends: Option<BTreeSet<BackendName>>) {
        match backends {
            Some(backends) => self.also.extend(backends),
            None => self.whole = true,
        }
    }

    pub(super) fn is_whole(&self) -> bool {
        self.whole
    }

    /// The backends of a look that does not cover all. The backends of draining servers are looked at many times a
    /// second, those of other held servers only as often as usual.
    pub(super) fn backends(&mut self, order: &Order, agreed: u64, now: Instant) -> BTreeSet<BackendName> {
        let mut backends = std::mem::take(&mut self.also);
        let lately = |(revision, at): (u64, Instant)| revision == order.revision && now.duration_since(at) < USUALLY;
        if !order.draining.is_empty() && agreed >= order.revision && self.wide.is_some_and(lately) {
            let draining = order.draining.iter().flat_map(|draining| &draining.servers);
            let verifying = order.wanted.iter().filter(|(_, wanted)| wanted.new_checks_since.is_some() || !wanted.held);
            backends.extend(draining.chain(verifying.map(|(server, _)| server)).map(|server| server.backend.clone()));
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

/// The time between two looks at held servers while no server drains.
const USUALLY: Duration = Duration::from_millis(200);
