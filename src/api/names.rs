//! Names that a command line may contain, for its completion.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::words::{RunStatus, RunStrategy};

/// All names that teeterd knows, as HAProxy had them at the last look.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct NamesView {
    /// The HAProxys.
    pub haproxys: Vec<String>,
    /// The servers, as BACKEND/SERVER, each once.
    pub servers: Vec<String>,
    /// The farms, each with its groups.
    pub farms: Vec<FarmNamesView>,
    /// The owners of holds: users, and `run N`.
    pub owners: Vec<String>,
    /// The latest runs, the latest first.
    pub runs: Vec<RunNameView>,
}

/// The name of a farm, and the names of its groups.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FarmNamesView {
    /// The farm.
    pub name: String,
    /// Its groups.
    pub groups: Vec<String>,
}

/// A run in a few words.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RunNameView {
    /// Its number.
    pub id: u64,
    /// The farm.
    pub farm: String,
    /// The strategy.
    pub strategy: RunStrategy,
    /// The state of the run.
    pub state: RunStatus,
    /// Whether it may still change traffic.
    pub active: bool,
}
