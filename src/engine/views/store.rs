//! The store as a whole: whether it is sound, and a copy of it.

use std::fs::File;

use crate::api::StoreView;
use crate::engine::Engine;
use crate::engine::error::EngineError;
use crate::store::Verified;

impl Engine {
    /// Looks whether the store is whole. Changes nothing.
    ///
    /// # Errors
    /// The store cannot be read.
    pub async fn verify_store(&self) -> Result<StoreView, EngineError> {
        Ok(self.record.read(|store| store.verify()).await?.into())
    }

    /// A copy of the store as it is at one moment, in a file without a name.
    ///
    /// # Errors
    /// The store cannot be read, or there is no room for the copy.
    pub async fn backup(&self) -> Result<File, EngineError> {
        self.record.read(|store| store.backup()).await
    }
}

impl From<Verified> for StoreView {
    fn from(found: Verified) -> Self {
        let Verified { schema, revision, holds, baselines, routes, runs, drains, watches, events, problems } = found;
        Self { path: None, schema, revision, holds, baselines, routes, runs, drains, watches, events, problems }
    }
}
