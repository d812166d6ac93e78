//! Looks for readers, apart from all changes: on threads and connections of their own, and with the last committed
//! state, so that neither waits for the other.

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

    /// Looks, for a reader, at the backends that these selectors may concern, and finds the lines that they name.
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
        // A server that is not known yet may have been added since the last look at all backends.
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
