//! The entries that one HAProxy has in its maps.

use std::collections::BTreeMap;

use crate::haproxy::{MapKey, MapName};

/// What one HAProxy's maps have, as far as anybody asked.
pub type SeenMaps = BTreeMap<MapName, SeenMap>;

/// What one map has.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SeenMap {
    /// HAProxy has no such map.
    pub missing: bool,
    /// The entries that were looked up; `None` where there is none of this key.
    pub entries: BTreeMap<MapKey, Option<String>>,
}
