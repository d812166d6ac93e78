//! The lines and HAProxys that a hold covers beside its entries: lines that come later, and HAProxys that did not
//! answer.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::farm::names::{Entry, InstanceName};

/// Lines and instances that a hold covers beside its entries.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reach {
    /// Whether new lines that the hold's selectors name join the hold. A stored hold without this field does not
    /// follow.
    #[serde(default)]
    pub follows: bool,
    /// Lines that the selectors name and that the hold skips: it began without them, or they were released.
    #[serde(default, alias = "left", skip_serializing_if = "BTreeSet::is_empty")]
    pub skipped: BTreeSet<Entry>,
    /// HAProxys that do not answer, without which the hold goes on. Their lines join as soon as they answer.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub without: BTreeSet<InstanceName>,
}

impl Reach {
    /// The reach of a hold that follows new lines and begins without these HAProxys.
    pub fn following(without: BTreeSet<InstanceName>) -> Self {
        Self { follows: true, skipped: BTreeSet::new(), without }
    }

    /// The reach of the hold after these lines were released.
    #[must_use]
    pub fn skipping(&self, released: &BTreeSet<Entry>) -> Self {
        Self { skipped: &self.skipped | released, ..self.clone() }
    }
}
