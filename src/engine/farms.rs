//! The farms of the configuration, as they are now.

use std::collections::BTreeMap;
use std::sync::{Arc, RwLock};

use crate::farm::{Farm, FarmName};
use crate::platform::{read, write};

/// The configured farms. Clones share them, so a configuration that is read again counts everywhere at once.
#[derive(Debug, Clone)]
pub(crate) struct Farms(Arc<RwLock<Arc<BTreeMap<FarmName, Farm>>>>);

impl Farms {
    pub(crate) fn new(farms: BTreeMap<FarmName, Farm>) -> Self {
        Self(Arc::new(RwLock::new(Arc::new(farms))))
    }

    pub(crate) fn get(&self) -> Arc<BTreeMap<FarmName, Farm>> {
        Arc::clone(&read(&self.0))
    }

    pub(crate) fn set(&self, farms: BTreeMap<FarmName, Farm>) {
        *write(&self.0) = Arc::new(farms);
    }
}
