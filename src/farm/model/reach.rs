//! What a hold covers beside its lines: lines that come later, and HAProxys that were away.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::farm::names::{Entry, InstanceName};

/// Lines and instances that a hold covers beside its entries.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reach {
    /// Whether new lines that its selectors name join it. Holds of stores from before this field do not follow.
    #[serde(default)]
    pub follows: bool,
    /// Lines that its selectors name and that it skips: it began without them, or gave them back.
    #[serde(default, alias = "left", skip_serializing_if = "BTreeSet::is_empty")]
    pub skipped: BTreeSet<Entry>,
    /// HAProxys that do not answer and that it goes on without. Their lines join as soon as they answer.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub without: BTreeSet<InstanceName>,
}

impl Reach {
    /// The reach of a hold that follows new lines and begins without these HAProxys.
    pub fn following(without: BTreeSet<InstanceName>) -> Self {
        Self { follows: true, skipped: BTreeSet::new(), without }
    }

    /// The reach of the hold after it gave back these lines.
    #[must_use]
    pub fn skipping(&self, gone: &BTreeSet<Entry>) -> Self {
        Self { skipped: &self.skipped | gone, ..self.clone() }
    }
}
