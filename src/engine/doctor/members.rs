//! What a member is, and which of its lines are in use.

use super::{Examined, ok};
use crate::engine::view::FindingView;
use crate::farm;

/// Backends whose lines every command leaves aside.
pub(super) fn left_aside(examined: &Examined<'_>) -> Vec<FindingView> {
    let of = |(name, seen): (&farm::InstanceName, &&farm::Seen)| {
        let texts = farm::left_aside(&[(name.clone(), *seen)].into(), |_, _| true);
        texts.into_iter().map(|text| ok(format!("HAProxy {name}"), text)).collect::<Vec<_>>()
    };
    examined.seen.iter().flat_map(of).collect()
}
