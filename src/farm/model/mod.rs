//! What teeter keeps of a farm: the holds on its servers, and its route.

pub(super) mod hold;
pub(super) mod reach;
pub(super) mod renamed;
pub(super) mod route;
