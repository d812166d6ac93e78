//! The store as a whole: whether it is sound, and a copy of it.

use std::fs::File;
use std::sync::Arc;

use crate::api::StoreView;
use crate::engine::Engine;
use crate::engine::error::EngineError;
use crate::store::{Store, StoreError, Verified};

impl Engine {
    /// Looks whether the store is whole. Changes nothing.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn verify_store(&self) -> Result<StoreView, EngineError> {
        Ok(self.of_store(|store| store.verify()).await?.into())
    }

    /// A copy of the store as it is at one moment, in a file without a name.
    ///
    /// # Errors
    /// The store cannot be read, or there is no room for the copy.
    pub async fn backup(&self) -> Result<File, EngineError> {
        self.of_store(|store| store.backup()).await
    }

    pub(crate) async fn of_store<T: Send + 'static>(
        &self,
        read: impl FnOnce(&dyn Store) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, EngineError> {
        let store = Arc::clone(&self.store);
        let read = self.platform.on_disk(move || read(&*store));
        Ok(read.await.map_err(|error| EngineError::Unreachable(format!("the store: {error}")))??)
    }
}

impl From<Verified> for StoreView {
    fn from(found: Verified) -> Self {
        let Verified { schema, revision, holds, baselines, routes, runs, events, problems } = found;
        Self { path: None, schema, revision, holds, baselines, routes, runs, events, problems }
    }
}
