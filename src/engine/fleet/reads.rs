//! What readers ask, apart from everything that changes something: on threads of their own, by looks that no order waits
//! for, and with the state as it was last committed, which no change is waited for either.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::engine::fleet::targets::{LookDepth, backends_of};
use crate::engine::{ANSWER_TAKES, Engine, EngineError};
use crate::farm::{Entry, InstanceName, Selector};
use crate::reconcile::InstanceReport;
use crate::state::Event;
use crate::store::EventQuery;

impl Engine {
    /// Answers a reader on the threads of readers. It goes on to its end when nobody waits for it any more.
    ///
    /// # Errors
    /// The daemon is stopping.
    pub async fn for_reader<T: Send + 'static>(
        &self,
        read: impl Future<Output = T> + Send + 'static,
    ) -> Result<T, EngineError> {
        let stopping = |error| EngineError::Unreachable(format!("teeterd is stopping: {error}"));
        self.platform.spawn_for_reader(read).await.map_err(stopping)
    }

    /// Reads the log.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn events(&self, query: EventQuery) -> Result<Vec<Event>, EngineError> {
        let store = Arc::clone(&self.store);
        let read = self.platform.on_disk(move || store.events(query));
        Ok(read.await.map_err(|error| EngineError::Unreachable(format!("the store: {error}")))??)
    }

    /// Looks at every HAProxy, for a reader.
    pub(crate) async fn read_all(&self) -> BTreeMap<InstanceName, InstanceReport> {
        self.read(self.instances.keys().map(|_| None)).await
    }

    /// Looks, for a reader, at what these selectors may name, and finds what they name there.
    pub(crate) async fn read_for(
        &self,
        selectors: &[Selector],
    ) -> (BTreeMap<InstanceName, InstanceReport>, Result<BTreeSet<Entry>, EngineError>) {
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

    async fn read(
        &self,
        backends: impl Iterator<Item = Option<BTreeSet<crate::haproxy::BackendName>>>,
    ) -> BTreeMap<InstanceName, InstanceReport> {
        let looks = self.instances.values().zip(backends).map(|(instance, backends)| instance.looks.look(backends));
        let looks = tokio::time::timeout(ANSWER_TAKES + ANSWER_TAKES, futures_util::future::join_all(looks));
        match looks.await {
            Ok(reports) => self.instances.keys().cloned().zip(reports).collect(),
            Err(_) => self.reports(),
        }
    }
}
