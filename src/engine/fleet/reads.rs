//! What readers ask, apart from everything that changes something: on threads of their own, by looks that no order waits
//! for, and with the state as it was last committed, which no change is waited for either.

use std::collections::BTreeSet;

use crate::engine::error::EngineError;
use crate::engine::fleet::Fleet;
use crate::engine::fleet::reports::Reports;
use crate::engine::fleet::targets::{LookDepth, backends_of};
use crate::farm::{Entry, Selector};
use crate::reconcile::ANSWER_TAKES;

impl Fleet {
    /// Looks at every HAProxy, for a reader.
    pub(crate) async fn read_all(&self) -> Reports {
        self.read(self.instances.keys().map(|_| None)).await
    }

    /// Looks, for a reader, at what these selectors may name, and finds what they name there.
    pub(crate) async fn read_for(&self, selectors: &[Selector]) -> (Reports, Result<BTreeSet<Entry>, EngineError>) {
        let farms = self.farms();
        let backends = self.instances.values().map(|instance| {
            let seen = instance.reports.borrow().seen.clone();
            seen.and_then(|seen| backends_of(selectors, &farms, &seen, LookDepth::Known))
        });
        let reports = self.read(backends).await;
        let found = self.resolve(selectors, &reports);
        if found.is_ok() {
            return (reports, found);
        }
        // What is not known by now may have come since everything was looked at.
        let reports = self.read_all().await;
        let found = self.resolve(selectors, &reports);
        (reports, found)
    }

    async fn read(&self, backends: impl Iterator<Item = Option<BTreeSet<crate::haproxy::BackendName>>>) -> Reports {
        let looks = self.instances.values().zip(backends).map(|(instance, backends)| instance.looks.look(backends));
        let looks = tokio::time::timeout(ANSWER_TAKES + ANSWER_TAKES, futures_util::future::join_all(looks));
        match looks.await {
            Ok(reports) => self.instances.keys().cloned().zip(reports).collect(),
            Err(_) => self.reports(),
        }
    }
}
