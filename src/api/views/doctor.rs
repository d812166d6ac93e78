//! What `teeter doctor` finds.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::api::words::FindingStatus;

/// What `teeter doctor` examined, and the result of each examination.
#[derive(Debug, Clone, Serialize, Deserialize, ToSchema)]
pub struct Findings {
    /// Each of them.
    pub findings: Vec<FindingView>,
}

/// One result of an examination by `teeter doctor`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FindingView {
    /// The result.
    pub state: FindingStatus,
    /// The examined object.
    pub about: String,
    /// The finding, and how to fix it.
    pub text: String,
}
