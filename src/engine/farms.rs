//! The farms of the configuration, as they are now.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use crate::farm::{Farm, FarmName};

/// The configured farms. Clones share them, so a configuration that is read again counts everywhere at once.
#[derive(Debug, Clone)]
pub(crate) struct Farms(Arc<RwLock<Arc<BTreeMap<FarmName, Farm>>>>);

impl Farms {
    pub(crate) fn new(farms: BTreeMap<FarmName, Farm>) -> Self {
        Self(Arc::new(RwLock::new(Arc::new(farms))))
    }

    pub(crate) fn get(&self) -> Arc<BTreeMap<FarmName, Farm>> {
        Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner))
    }

    pub(crate) fn set(&self, farms: BTreeMap<FarmName, Farm>) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(farms);
    }
}
