//! The state that HAProxy should have, and the commands that lead there.

pub(super) mod batch;
pub(super) mod wanted;
pub(super) mod maps;
pub(super) mod wanted_maps;
pub(super) mod servers;
pub(super) mod withheld;
pub(super) mod gate;
