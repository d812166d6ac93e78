//! The error of a farm whose configuration contradicts itself or does not fit HAProxy.

use thiserror::Error;

use crate::farm::names::FarmName;

/// A farm whose configuration contradicts itself or does not fit HAProxy.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("farm {farm}: {problem}")]
pub struct FarmError {
    /// The name of the farm.
    pub farm: FarmName,
    /// The key of the farm's table that the operator has to change.
    pub key: String,
    /// The problem with the value of this key.
    pub problem: String,
}
