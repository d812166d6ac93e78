//! The settings of farms in the configuration.

pub(super) mod count;
pub(super) mod side;
pub(super) mod route_key;
pub(super) mod flip;
pub(super) mod bake;
pub(super) mod canary;
pub(super) mod trust;
pub(super) mod version;
pub(super) mod probe;
pub(super) mod warm_up;
pub(super) mod verify;
pub(super) mod rolling;
pub(super) mod drain;
pub(super) mod drift;
pub(super) mod holds;
pub(super) mod members;
pub(super) mod farm_settings;
pub(super) mod farm;
