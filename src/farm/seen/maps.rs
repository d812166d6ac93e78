//! The entries that one HAProxy has in its maps.

use std::collections::BTreeMap;

use crate::haproxy::{MapKey, MapName};

/// The maps of one HAProxy that teeter has looked up.
pub type SeenMaps = BTreeMap<MapName, SeenMap>;

/// The entries of one map.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SeenMap {
    /// Whether HAProxy does not have the map.
    pub missing: bool,
    /// The values of the keys that were looked up; `None` where the map does not have the key.
    pub entries: BTreeMap<MapKey, Option<String>>,
}
