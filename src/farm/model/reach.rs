//! What a hold reaches beside the lines that it has: lines that come later, and HAProxys that were away.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::farm::names::{Entry, InstanceName};

/// What a hold reaches beside the lines that it has.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reach {
    /// Whether lines that come later, and that its selectors name, are held as well. Holds of a store from before do not.
    #[serde(default)]
    pub follows: bool,
    /// Lines that its selectors name and that it leaves alone: it was begun without them, or has let go of them.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub left: BTreeSet<Entry>,
    /// HAProxys that it goes on without, because they do not answer: their lines are held as soon as they do.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub without: BTreeSet<InstanceName>,
}

impl Reach {
    /// That of a hold which lines join, begun without these HAProxys.
    pub fn following(without: BTreeSet<InstanceName>) -> Self {
        Self { follows: true, left: BTreeSet::new(), without }
    }

    /// The same without lines that the hold lets go of.
    #[must_use]
    pub fn but(&self, gone: &BTreeSet<Entry>) -> Self {
        Self { left: &self.left | gone, ..self.clone() }
    }
}
