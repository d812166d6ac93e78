//! The entries that one HAProxy has in its maps.

use std::collections::BTreeMap;

use crate::haproxy::{MapKey, MapName};

/// The maps of one HAProxy, as far as teeter looked them up.
pub type SeenMaps = BTreeMap<MapName, SeenMap>;

/// The entries of one map.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SeenMap {
    /// Whether HAProxy has no such map.
    pub missing: bool,
    /// The keys that were looked up; `None` where the map has no such key.
    pub entries: BTreeMap<MapKey, Option<String>>,
}
