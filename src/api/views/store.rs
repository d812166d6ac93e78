//! The contents of the store.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The contents of the store, and the result of its verification.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct StoreView {
    /// The file; `null` for the store of the running teeterd.
    pub path: Option<String>,
    /// The schema that the file has.
    pub schema: u32,
    /// Rises with every transaction.
    pub revision: u64,
    /// The number of holds.
    pub holds: usize,
    /// The number of server lines with a stored state from before their first hold.
    pub baselines: usize,
    /// The number of farms with a stored route.
    pub routes: usize,
    /// The number of runs.
    pub runs: usize,
    /// The number of drains that have ended.
    #[serde(default)]
    pub drains: usize,
    /// The number of watches that have ended.
    #[serde(default)]
    pub watches: usize,
    /// The number of events.
    pub events: usize,
    /// The problems found, as text; empty if the store is intact.
    pub problems: Vec<String>,
}
