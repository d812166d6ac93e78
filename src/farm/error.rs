//! A farm whose configuration does not fit itself or HAProxy.

use thiserror::Error;

use crate::farm::names::FarmName;

/// A farm whose configuration does not fit itself or HAProxy.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("farm {farm}: {problem}")]
pub struct FarmError {
    /// Which farm.
    pub farm: FarmName,
    /// Which key of it is to be changed.
    pub key: String,
    /// What is wrong.
    pub problem: String,
}
