//! What teeter keeps of a farm: the holds on its servers.

pub(super) mod hold;
